"""Data as it was known at a moment: for a run that is to be what it would have been then."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cd4ml.data.known import arrived_by
from cd4ml.data.refs import version_at
from cd4ml.loop.access import input_of
from cd4ml.pipeline.dataset_input import DatasetInput
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import DatasetVersion
from cd4ml.store import lineage
from cd4ml.store.address import address_of_record
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl


def input_at(project: Project, ref: str, moment: datetime) -> DatasetInput:
    """What a step would have been given at a moment.

    The newest version that had been published by then (or the one that `name@number`
    names), and of it the rows that had arrived: all of their history, so that steps find
    corrections beside what they correct, as they would have found them then. If nothing has
    arrived since, it is the version itself.

    Raises:
        NotFound: If there is no such version, or was none yet.
    """
    with project.database.read() as connection:
        version = version_at(connection, ref, moment)
    digest = digest_at(project, version, moment)
    if digest != version.digest:
        _trace(project, version, digest, moment)
    return DatasetInput(
        ref=version.ref, digest=digest, scan=lambda: scan_at(project, version, moment)
    )


def scan_at(project: Project, version: DatasetVersion, moment: datetime) -> pl.LazyFrame:
    """The rows of a version that had arrived by a moment, not read yet."""
    frame = input_of(project, version).scan()
    if not version.contract:
        return frame
    return arrived_by(frame, project.blobs.get_record(version.contract, Contract), moment)


def n_arrived(project: Project, version: DatasetVersion, moment: datetime) -> int:
    """How many rows of a version had arrived by a moment."""
    import polars as pl

    n: int = scan_at(project, version, moment).select(pl.len()).collect().item()
    return n


def digest_at(project: Project, version: DatasetVersion, moment: datetime) -> str:
    """The address of a version's rows as they were known; the same rows have the same.

    Which rows those are is settled by the last arrival among them, so that moments between
    two arrivals are one.
    """
    import polars as pl

    arrival = ""
    if version.contract:
        arrival = project.blobs.get_record(version.contract, Contract).arrival_time
    if not arrival:
        return version.digest
    last = pl.col(arrival).max().cast(pl.String)
    seen = scan_at(project, version, moment).select(n=pl.len(), last=last).collect().row(0)
    if seen[0] == version.n_rows:
        return version.digest
    return address_of_record(("known", version.digest, arrival, *seen))


def _trace(project: Project, version: DatasetVersion, digest: str, moment: datetime) -> None:
    name = f"{version.ref} as of {moment.isoformat()}"
    with project.database.write() as connection:
        at = project.clock.now()
        lineage.note(connection, address=digest, kind="dataset version", name=name, at=at)
        lineage.link(connection, digest, version.digest, "known rows of")
