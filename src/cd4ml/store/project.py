"""A project: reads `cd4ml.toml`, opens its stores, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cd4ml.errors import ProjectNotFound
from cd4ml.store.seen import FILE as SEEN
from cd4ml.store.seen import remember, require
from cd4ml.store.settings import read_settings

if TYPE_CHECKING:
    from cd4ml.records.settings import Settings
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.checkpoints import Checkpoints
    from cd4ml.store.clock import Clock
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore
    from cd4ml.store.log import PredictionLog
    from cd4ml.store.masking import Mask

FILE = "cd4ml.toml"
STATE = ".cd4ml"


class Project:
    """A folder with a `cd4ml.toml`, its settings, and its open stores.

    The stores are opened when they are first asked for, once for all threads. Paths of
    stores begin in the folder. Close it, or use it in a `with` block.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self.state = folder / STATE
        self._opening = RLock()
        self._database: Database | None = None
        self._blobs: Blobs | None = None
        self._files: FileStore | None = None
        self._clock: Clock | None = None
        self._log: PredictionLog | None = None

    @property
    def database(self) -> Database:
        """The database: CD4ML_DATABASE, else `[store] database`."""
        with self._opening:
            if self._database is None:
                from cd4ml.store.database import open_database

                url = os.environ.get("CD4ML_DATABASE") or self.settings.store.database
                self._database = open_database(url, folder=self.folder, seen=self._seen)
            return self._database

    @property
    def blobs(self) -> Blobs:
        """The blob store: CD4ML_BLOBS, else `[store] blobs`."""
        with self._opening:
            if self._blobs is None:
                from cd4ml.store.blobs import open_blobs

                place = self._blobs_place
                is_folder = "://" not in place
                if is_folder:
                    require(Path(place), f"the folder of the blobs {place}", seen=self._seen)
                self._blobs = open_blobs(place, cache=self.state / "cache")
                if is_folder:
                    remember(Path(place), seen=self._seen)
            return self._blobs

    @property
    def files(self) -> FileStore:
        """The files of the datasets: below the blobs, in `files`."""
        with self._opening:
            if self._files is None:
                from cd4ml.store.file_store import FileStore
                from cd4ml.store.objects import open_objects

                self._files = FileStore(
                    self.database,
                    self.blobs,
                    open_objects(f"{self._blobs_place.rstrip('/')}/files"),
                    cache=self.state / "cache",
                )
            return self._files

    @property
    def may_share_blobs(self) -> bool:
        """Whether others may have the same blobs: those in the project's own state nobody has."""
        place = self._blobs_place
        return "://" in place or not Path(place).resolve().is_relative_to(self.state.resolve())

    @property
    def _seen(self) -> Path:
        return self.state / SEEN

    @property
    def _blobs_place(self) -> str:
        url = os.environ.get("CD4ML_BLOBS") or self.settings.store.blobs
        return url if "://" in url else str(self.folder / url)

    @property
    def checkpoints(self) -> Checkpoints:
        """The ledger's signed checkpoints: CD4ML_CHECKPOINTS, else `[audit] checkpoints`."""
        from cd4ml.store.checkpoints import open_checkpoints
        from cd4ml.store.digest import address_of, short

        url = os.environ.get("CD4ML_CHECKPOINTS") or self.settings.audit.checkpoints
        if not url:  # the blobs may be many projects'
            name = short(address_of(self.settings.project.name.encode()))
            url = f"{self._blobs_place.rstrip('/')}/checkpoints/{name}"
        return open_checkpoints(url if "://" in url else str(self.folder / url))

    @property
    def signing_key(self) -> Path:
        """The private key that signs checkpoints: CD4ML_AUDIT_KEY, else one in the state."""
        given = os.environ.get("CD4ML_AUDIT_KEY")
        return Path(given) if given else self.state / "keys" / "audit.pem"

    @property
    def mask(self) -> Mask:
        """What of requests is not written, by `[capture]`."""
        from cd4ml.store.masking import Mask, secret_in

        capture = self.settings.capture
        secret = secret_in(self.state / "keys" / "capture.key") if capture.hash else b""
        return Mask(capture.redact, capture.hash, secret=secret)

    @property
    def clock(self) -> Clock:
        """The machine's clock, or the simulated one that a rehearsal left."""
        with self._opening:
            if self._clock is None:
                from cd4ml.store.clock import open_clock

                self._clock = open_clock(self.state)
            return self._clock

    @property
    def segments(self) -> Path:
        """Where serving processes append what they answered."""
        return self.state / "segments"

    @property
    def log(self) -> PredictionLog:
        """The prediction log."""
        with self._opening:
            if self._log is None:
                from cd4ml.store.log import PredictionLog

                self._log = PredictionLog(
                    self.database, self.blobs, self.segments, clock=self.clock
                )
            return self._log

    def with_settings(self, settings: Settings) -> Project:
        """The same project, and its open stores, under other settings; only this one is closed."""
        other = Project(self.folder, settings)
        other._database, other._blobs, other._files = self.database, self.blobs, self.files
        other._clock = self.clock
        return other

    def close(self) -> None:
        """Close the database, if it was opened."""
        with self._opening:
            if self._database is not None:
                self._database.close()
            self._database = self._log = self._files = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_project(folder: Path | None = None) -> Project:
    """The project in a folder, or in the nearest folder above it that has a `cd4ml.toml`.

    Args:
        folder: Where to begin; CD4ML_PROJECT or the working directory by default.

    Raises:
        ProjectNotFound: If there is none, or no such folder.
        ConfigurationError: If the file is not as it should be; the message has its
            path and the place in it.
    """
    start = (folder or Path(os.environ.get("CD4ML_PROJECT", "."))).absolute()
    if not start.is_dir():
        msg = f"there is no folder {start}"
        raise ProjectNotFound(msg, hint="cd4ml init NAME lays out a new project")
    for candidate in (start, *start.parents):
        if (candidate / FILE).is_file():
            return Project(candidate, read_settings(candidate / FILE))
    msg = f"no {FILE} in {start} or above it"
    raise ProjectNotFound(msg, hint="cd4ml init NAME lays out a new project")
