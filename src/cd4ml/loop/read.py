"""Read a dataset from anywhere: a notebook, a script, another tool."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.data.known import arrived_by, known_at
from cd4ml.data.published import version_at
from cd4ml.data.versions import Manifest, find_version, scan_version
from cd4ml.errors import InvalidInput
from cd4ml.loop.refs import moment_in
from cd4ml.records.contract import Contract
from cd4ml.store.project import open_project

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.records.dataset import DatasetVersion
    from cd4ml.store.blobs import Blobs


class OpenDataset:
    """One version of a dataset, ready to be read; its bytes are verified when they are.

    `version` says what it is: its number, digest, columns, rows, files. `as_of` is the
    moment it is read as of, None for the version as it is.
    """

    def __init__(self, version: DatasetVersion, blobs: Blobs, as_of: datetime | None) -> None:
        self.version = version
        self.as_of = as_of
        self._blobs = blobs

    @property
    def contract(self) -> Contract | None:
        """What its rows were checked against when the version was made; None for nothing."""
        return (
            self._blobs.get_record(self.version.contract, Contract)
            if self.version.contract
            else None
        )

    def scan(self, *, history: bool = False) -> pl.LazyFrame:
        """The table, not read yet.

        Opened as of a moment, and if the contract names an arrival time: the rows that had
        arrived by then, each as it stood.

        Args:
            history: Every arrival until the moment, corrections beside what they correct:
                what `join_as_of(..., known=...)` wants.

        Raises:
            NotFound: If bytes of it are no longer there.
            Corrupted: If they are not what was stored.
        """
        frame, contract = scan_version(self._blobs, self.version), self.contract
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
        manifest = self._blobs.get_record(self.version.digest, Manifest)
        return {file.path: self._blobs.path(file.digest) for file in manifest.files}

    def paths(self) -> list[Path]:
        """Where its bytes lie on this machine, in the order of the files' names; see `files`."""
        return list(self.files().values())

    def __repr__(self) -> str:
        version = self.version
        files = f"{len(version.files)} file{'s' if len(version.files) != 1 else ''}"
        said = f"{version.ref}: {version.n_rows:,} rows, {files}, {version.created_at:%Y-%m-%d %H:%M} UTC"
        return f"<{said} as of {self.as_of.isoformat()}>" if self.as_of else f"<{said}>"


def dataset(
    ref: str,
    *,
    as_of: datetime | date | str | None = None,
    project: Path | str | None = None,
) -> OpenDataset:
    """Open a version of a dataset.

    Args:
        ref: `flights` for the newest version, `flights@3` (or `flights@v3`) for one of them.
        as_of: A moment, a date (its beginning, UTC) or either as text: the newest version
            that was published by then, and of its rows those that had arrived. With the
            number of a version, the rows of that one that had arrived by then.
        project: Its folder or one below; else CD4ML_PROJECT, else where you are.

    Raises:
        ProjectNotFound: If there is no project.
        NotFound: If there is no such version, or was none yet.
        InvalidInput: If the ref or the moment has another form.
    """
    name, at_sign, number = ref.partition("@")
    wanted = f"{name}{at_sign}{number.removeprefix('v')}"
    moment = None if as_of is None else moment_in(as_of)
    with open_project(Path(project) if project else None) as opened:
        with opened.database.read() as connection:
            version = (
                find_version(connection, wanted)
                if moment is None
                else version_at(connection, wanted, moment)
            )
        return OpenDataset(version, opened.blobs, moment)
