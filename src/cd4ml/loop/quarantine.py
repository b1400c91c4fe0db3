"""What arrives is published, without the rows that its contract sets aside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from cd4ml.data import catalog as known
from cd4ml.data.quarantine import Arrival, quarantine_of, snapshot_good
from cd4ml.data.references import referenced
from cd4ml.data.refs import find_version
from cd4ml.data.rules import Context
from cd4ml.data.snapshot import Look, snapshot_files
from cd4ml.data.taking import Keeping
from cd4ml.data.versions import publish
from cd4ml.errors import ConfigurationError, Conflict
from cd4ml.loop.access import admit, input_of
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import Dataset, DatasetVersion
from cd4ml.records.settings import DataSettings
from cd4ml.store import lineage
from cd4ml.store.project import Project


class Wanted(NamedTuple):
    """How the files of a dataset become a version."""

    settings: DataSettings
    contract: Contract | None
    keeping: Keeping = "copy"
    before: str = ""  # address of the profile of the version before


def context_of(project: Project, contract: Contract | None, *, actor: str) -> Context:
    """The time, and the datasets that the contract's fields refer to, as they are now.

    Raises:
        NotFound: If one of them has no version.
        NotAllowed: If one of them is restricted and the actor has none of its roles.
    """
    return _context(project, _referenced(project, contract), actor)


def arrive(project: Project, looked: Look, wanted: Wanted, *, actor: str) -> Arrival:
    """Read, check and store the files of a dataset; nobody sees them yet.

    Raises:
        ContractViolated: If rows break the contract, and it blocks or none is left.
        NotFound: If the contract refers to a dataset that has no version.
        NotAllowed: If that is restricted and the actor has none of its roles.
    """
    versions = _referenced(project, wanted.contract)
    context = _context(project, versions, actor)
    contract = wanted.contract
    options: dict[str, Any] = {"keeping": wanted.keeping, "before": wanted.before}
    if contract is not None and wanted.settings.on_violation == "quarantine":
        arrival = snapshot_good(
            project.files, looked, contract=contract, context=context, **options
        )
    else:
        good = snapshot_files(project.files, looked, contract=contract, context=context, **options)
        arrival = Arrival(good)
    return arrival._replace(against=tuple(version.digest for version in versions.values()))


def _referenced(project: Project, contract: Contract | None) -> dict[str, DatasetVersion]:
    names = referenced(contract) if contract else []
    with project.database.read() as connection:
        return {name: find_version(connection, name) for name in names}


def _context(project: Project, versions: dict[str, DatasetVersion], actor: str) -> Context:
    admit(project, *versions.values(), actor=actor, why="a contract refers to it")
    tables = {name: input_of(project, version).scan() for name, version in versions.items()}
    return Context(now=project.clock.now(), tables=tables)


@contextmanager
def taken_back(project: Project, arrival: Arrival) -> Iterator[None]:
    """What arrived does not stay in the store if it cannot be published."""
    try:
        yield
    except (Conflict, ConfigurationError):
        project.files.objects.remove(arrival.new_objects)
        raise


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
            personal=dataset.personal,
            readers=dataset.readers,
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
