"""Models that stay on this process's own disk, so that it answers while the stores are away."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

from cd4ml.errors import Corrupted, NotFound, Unavailable
from cd4ml.models.manifest import Manifest
from cd4ml.store.blobs import Blobs, open_blobs

T = TypeVar("T")


class KeptModels:
    """A folder with the files of models, by digest, and one record that says which they are.

    Several processes may share it: the record is replaced whole, the files are immutable and
    verified whenever they are read.

    Args:
        folder: Made if it is not there.
        name: Of the record's file.

    Raises:
        Unavailable: If the folder cannot be made.
    """

    def __init__(self, folder: Path, name: str) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"the endpoint's folder {folder} cannot be made: {error.strerror}"
            raise Unavailable(msg, hint="may this user write there?") from None
        self._file = folder / name
        self.blobs = open_blobs(str(folder / "blobs"))

    def recall(self, kind: type[T]) -> T | None:
        """The record that was kept; None if none was.

        Raises:
            msgspec.MsgspecError: If the file is damaged.
        """
        if not self._file.exists():
            return None
        return msgspec.json.decode(self._file.read_bytes(), type=kind)

    def keep(self, record: object) -> None:
        """Replace the record; call it once all of its models are here."""
        with tempfile.NamedTemporaryFile(dir=self._file.parent, delete=False) as file:
            file.write(msgspec.json.encode(record))
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
