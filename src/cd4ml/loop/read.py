"""Read a dataset from anywhere: a notebook, a script, another tool."""

from __future__ import annotations

import getpass
import os
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.data.known import arrived_by, known_at
from cd4ml.data.manifest import manifest_of
from cd4ml.data.refs import find_version, version_at
from cd4ml.data.versions import paths_of
from cd4ml.errors import InvalidInput
from cd4ml.loop.access import admit, open_table, shown
from cd4ml.loop.refs import moment_in
from cd4ml.records.contract import Contract
from cd4ml.store.project import open_project

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.records.dataset import DatasetVersion

_WHY = "cd4ml.dataset"  # what the ledger says a restricted dataset was read for


class OpenDataset:
    """One version of a dataset, ready to be read; its bytes are verified when they are.

    `version` says what it is: its number, digest, columns, rows, files; no value of rows that
    the reader may not read. `as_of` is the moment it is read as of, None for the version as
    it is.
    """

    def __init__(
        self, version: DatasetVersion, project: Path, as_of: datetime | None, actor: str
    ) -> None:
        self.version = version
        self.as_of = as_of
        self._project = project
        self._actor = actor

    @property
    def contract(self) -> Contract | None:
        """What its rows were checked against when the version was made; None for nothing."""
        if not self.version.contract:
            return None
        with open_project(self._project) as project:
            return project.blobs.get_record(self.version.contract, Contract)

    def scan(self, *, history: bool = False) -> pl.LazyFrame:
        """The table, not read yet.

        Opened as of a moment, and if the contract names an arrival time: the rows that had
        arrived by then, each as it stood.

        Args:
            history: Every arrival until the moment, corrections beside what they correct:
                what `join_as_of(..., known=...)` wants.

        Raises:
            NotAllowed: If the dataset is restricted and the reader has none of its roles.
            NotFound: If bytes of it are no longer there.
            Corrupted: If they are not what was stored.
        """
        contract = self.contract
        with open_project(self._project) as project:
            frame = open_table(project, self.version.ref, actor=self._actor, why=_WHY)
        if self.as_of is None or contract is None:
            return frame
        return (arrived_by if history else known_at)(frame, contract, self.as_of)

    def files(self) -> dict[str, Path]:
        """Path in the dataset -> where its bytes lie on this machine, verified.

        The files are those of the whole version, and not to be written to; from S3 they are
        fetched into the project's cache first.

        Raises:
            InvalidInput: If the dataset is opened as of a moment and its files may hold rows that
                arrived later.
            NotFound: If one is no longer there.
            Corrupted: If one is not what was stored.
        """
        contract = self.contract
        if self.as_of is not None and contract is not None and contract.arrival_time:
            msg = (
                f"the files of {self.version.ref} hold whatever arrived, not only what was known"
                f" on {self.as_of.isoformat()}"
            )
            raise InvalidInput(
                msg, hint="scan() reads what was known; .sink_parquet(...) writes it"
            )
        with open_project(self._project) as project:
            admit(project, self.version, actor=self._actor, why=_WHY)
            manifest = manifest_of(project.blobs, self.version)
            paths = paths_of(project.files, self.version, manifest)
        return dict(zip((file.path for file in manifest.files), paths, strict=True))

    def paths(self) -> list[Path]:
        """Where its bytes lie on this machine, in the order of the files' names; see `files`."""
        return list(self.files().values())

    def __repr__(self) -> str:
        version = self.version
        files = f"{version.n_files:,} file{'s' if version.n_files != 1 else ''}"
        rows = f"{version.n_rows:,} row{'s' if version.n_rows != 1 else ''}, "
        rows = rows if version.kind == "table" else ""
        said = f"{version.ref}: {rows}{files}, {version.created_at:%Y-%m-%d %H:%M} UTC"
        return f"<{said} as of {self.as_of.isoformat()}>" if self.as_of else f"<{said}>"


def dataset(
    ref: str,
    *,
    as_of: datetime | date | str | None = None,
    project: Path | str | None = None,
    actor: str = "",
) -> OpenDataset:
    """Open a version of a dataset.

    Args:
        ref: `flights` for the newest version, `flights@3`, `flights@v3` or
            `flights@TAG` for one of them.
        as_of: A moment, a date (its beginning, UTC) or either as text: the newest version
            that was published by then, and of its rows those that had arrived. With the
            number of a version, the rows of that one that had arrived by then.
        project: Its folder or one below; else CD4ML_PROJECT, else where you are.
        actor: Who reads; else CD4ML_ACTOR, else your login name. It is asked for, and written
            down, only where the dataset is restricted.

    Raises:
        ProjectNotFound: If there is no project.
        NotFound: If there is no such version, or was none yet.
        InvalidInput: If the ref or the moment has another form.
    """
    moment = None if as_of is None else moment_in(as_of)
    with open_project(Path(project) if project else None) as opened:
        with opened.database.read() as connection:
            version = (
                find_version(connection, ref)
                if moment is None
                else version_at(connection, ref, moment)
            )
        reader = actor or oneself()
        return OpenDataset(shown(opened, version, reader), opened.folder, moment, reader)


def oneself() -> str:
    """Who sits here: CD4ML_ACTOR, else the login name, else ""."""
    named = os.environ.get("CD4ML_ACTOR", "")
    try:
        return named or getpass.getuser()
    except (KeyError, OSError):  # the system has no name for this user: neither has the project
        return ""
