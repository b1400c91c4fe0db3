"""What a serving process needs when the database and the blob store are away."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from cd4ml.errors import Corrupted, NotFound, Unavailable
from cd4ml.models.manifest import Manifest
from cd4ml.records.plan import Plan
from cd4ml.store.blobs import Blobs, open_blobs


class Known(msgspec.Struct, frozen=True):
    """The last plan that was loaded, and the pickles it loaded as this project's own."""

    plan: Plan
    trusted: tuple[str, ...]


class LastKnown:
    """A folder with the last known plan and the files of its models, by digest.

    Two servers of one environment may share it: the plan is replaced whole, the files are
    immutable and verified whenever they are read.

    Raises:
        Unavailable: If the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"the endpoint's folder {folder} cannot be made: {error.strerror}"
            raise Unavailable(msg, hint="may this user write there?") from None
        self._file = folder / "plan.json"
        self.blobs = open_blobs(str(folder / "blobs"))

    def read(self) -> Known | None:
        """What was remembered; None if nothing was.

        Raises:
            msgspec.MsgspecError: If the file is damaged.
        """
        if not self._file.exists():
            return None
        return msgspec.json.decode(self._file.read_bytes(), type=Known)

    def remember(self, plan: Plan, trusted: Iterable[str]) -> None:
        """Replace what is remembered; call it once all of the plan's models are here."""
        data = msgspec.json.encode(Known(plan, tuple(sorted(trusted))))
        with tempfile.NamedTemporaryFile(dir=self._file.parent, delete=False) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self._file)

    def fetch(self, blobs: Blobs, artifact: str) -> None:
        """Copy what serving a model needs from the project's blobs, if it is not here yet.

        Raises:
            NotFound: If a part is missing there.
            Corrupted: If a part is not what was packaged.
            Unavailable: If the blob store does not answer.
        """
        manifest = msgspec.json.decode(self._copy(blobs, artifact), type=Manifest)
        for address in manifest.served:
            self._copy(blobs, address)

    def _copy(self, blobs: Blobs, address: str) -> bytes:
        try:
            return self.blobs.get(address)
        except (NotFound, Corrupted):  # not here yet, or damaged here: the store has it whole
            data = blobs.get(address)
        self.blobs.put(data)
        return data
