"""What arrives is published, without the rows that its contract sets aside."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.data import catalog as known
from cd4ml.data.quarantine import Arrival, quarantine_of, snapshot_good
from cd4ml.data.references import referenced
from cd4ml.data.rules import Context
from cd4ml.data.versions import find_version, publish, scan_version, snapshot_files
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import Dataset, DatasetVersion
from cd4ml.records.settings import DataSettings
from cd4ml.store import lineage
from cd4ml.store.project import Project


def context_of(project: Project, contract: Contract | None) -> Context:
    """The time, and the datasets that the contract's fields refer to, as they are now.

    Raises:
        NotFound: If one of them has no version.
    """
    return _context(project, _referenced(project, contract))


def arrive(project: Project, settings: DataSettings, contract: Contract | None) -> Arrival:
    """Read, check and store the files of a dataset; nobody sees them yet.

    Raises:
        ContractViolated: If rows break the contract, and it blocks or none is left.
        NotFound: If the contract refers to a dataset that has no version.
    """
    versions = _referenced(project, contract)
    context = _context(project, versions)
    blobs, root, pattern = project.blobs, project.folder, settings.path
    if contract is not None and settings.on_violation == "quarantine":
        arrival = snapshot_good(blobs, root, pattern, contract=contract, context=context)
    else:
        arrival = Arrival(snapshot_files(blobs, root, pattern, contract=contract, context=context))
    return arrival._replace(against=tuple(version.digest for version in versions.values()))


def _referenced(project: Project, contract: Contract | None) -> dict[str, DatasetVersion]:
    names = referenced(contract) if contract else []
    with project.database.read() as connection:
        return {name: find_version(connection, name) for name in names}


def _context(project: Project, versions: dict[str, DatasetVersion]) -> Context:
    tables = {name: scan_version(project.blobs, version) for name, version in versions.items()}
    return Context(now=project.clock.now(), tables=tables)


def publish_arrival(
    connection: sa.Connection,
    arrival: Arrival,
    *,
    dataset: Dataset,
    at: datetime,
    actor: str,
    note: str,
) -> DatasetVersion:
    """Give what arrived its number; what was set aside gets one of its own, linked to it."""
    aside = None
    if arrival.bad is not None:
        name = quarantine_of(dataset.name)
        known.register(
            connection,
            name=name,
            owner=dataset.owner,
            description=f"rows of {dataset.name} that broke its contract",
            tags=("quarantine",),
            licence=dataset.licence,
            at=at,
            actor=actor,
        )
        aside = publish(connection, arrival.bad, dataset=name, at=at, actor=actor, note=note)
    version = publish(
        connection,
        arrival.good,
        dataset=dataset.name,
        at=at,
        actor=actor,
        note=note,
        quarantine=aside,
    )
    for digest in arrival.against:
        lineage.link(connection, version.digest, digest, "checked against")
    if aside is not None:
        lineage.link(connection, aside.digest, version.digest, "set aside from")
    return version
