"""Bring data in: versioned, checked against its contract, in the catalog."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cd4ml.data import catalog as known
from cd4ml.data.manifest import manifest_of
from cd4ml.data.personal import refuse_unknown_personal
from cd4ml.data.quarantine import Arrival
from cd4ml.data.refs import find_version, version_at
from cd4ml.data.snapshot import look
from cd4ml.data.taking import Keeping
from cd4ml.data.verification import damaged_records
from cd4ml.data.versions import known_version, newest_version
from cd4ml.errors import ConfigurationError, Conflict, InvalidInput
from cd4ml.loop.access import discreet, shown, without_values
from cd4ml.loop.catalog import Facts, facts_of
from cd4ml.loop.contracts import declared
from cd4ml.loop.known import n_arrived
from cd4ml.loop.quarantine import Wanted, arrive, publish_arrival, taken_back
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import Column, Dataset, DatasetVersion
from cd4ml.records.settings import DataSettings
from cd4ml.store import lineage, people, rows
from cd4ml.store.project import Project

_TRIES = 4  # how often bytes may be removed while a version is made that shares them


class DatasetDetails(msgspec.Struct, frozen=True, kw_only=True):
    """One version with its dataset, its siblings, and what it came from and went into.

    `is_stored` says whether the store has all of its bytes, wherever its files were left.
    Asked for as of a moment, `n_known` says how many of its rows had arrived by then.
    """

    dataset: Dataset
    version: DatasetVersion
    versions: tuple[DatasetVersion, ...]
    parents: tuple[str, ...]
    children: tuple[str, ...]
    facts: Facts
    is_stored: bool = True
    as_of: datetime | None = None
    n_known: int | None = None


def ingest(
    project: Project,
    name: str,
    *,
    path: str = "",
    note: str = "",
    keeping: Keeping | None = None,
    contract: Contract | None = None,
    actor: str,
) -> DatasetVersion:
    """Make a version of a dataset's files as they are now; unchanged files make no new one.

    Args:
        project: Whose dataset.
        name: As `cd4ml.toml` has it under `[data.NAME]`, or a new one with `path`.
        path: A file, folder or glob below the project; that of `cd4ml.toml` by default.
        note: What is special about this version.
        keeping: How its bytes are kept; as `cd4ml.toml` says by default.
        contract: What its rows have to keep; as `cd4ml.toml` says by default.
        actor: Who.

    Raises:
        InvalidInput: If the name is not in `cd4ml.toml` and no path is given, or the
            files cannot be read.
        NotFound: If no file matches.
        ContractViolated: If the rows break the contract; nothing is stored. With
            `on_violation = "quarantine"` only if nothing can be set aside, or all would be.
        ConfigurationError: If `personal` names a column that there is not.
        Conflict: If a file changed while it was read.
    """
    if not path and _is_pulled(project, name):
        from cd4ml.loop.pull import pull

        return pull(project, name, note=note, actor=actor)
    with discreet(project, name, actor=actor):
        version = _ingest(
            project, name, path=path, note=note, keeping=keeping, contract=contract, actor=actor
        )
    return shown(project, version, actor)


def _ingest(
    project: Project,
    name: str,
    *,
    path: str,
    note: str,
    keeping: Keeping | None,
    contract: Contract | None,
    actor: str,
) -> DatasetVersion:
    settings = _settings(project, name, path)
    keeping = keeping or settings.store
    contract = contract or declared(project, settings.contract, key=f"data.{name}.contract")
    with project.database.read() as connection:
        people.actor(connection, actor)
    looked = look(project.files, project.folder, settings.path)
    with project.database.read() as connection:
        same = known_version(connection, name, looked, contract=contract)
        newest = newest_version(connection, name)
    if same is not None and _is_whole(project, same, keeping):
        describe(project, name, actor)
        return same

    before = newest.profile if newest else ""

    def arrived() -> Arrival:
        wanted = Wanted(settings, contract, keeping, before)
        return arrive(project, looked, wanted, actor=actor)

    for _ in range(_TRIES):
        arrival = arrived()
        with suppress(Conflict):  # bytes that it shares with an older version were just removed
            return _published(project, arrival, name, note=note, actor=actor)
    return _published(project, arrived(), name, note=note, actor=actor)


def _published(
    project: Project, arrival: Arrival, name: str, *, note: str, actor: str
) -> DatasetVersion:
    at = project.clock.now()
    with taken_back(project, arrival), project.database.write() as connection:
        dataset = register(connection, project, name, actor, arrival.good.columns)
        return publish_arrival(connection, arrival, dataset=dataset, at=at, actor=actor, note=note)


def describe(project: Project, name: str, actor: str) -> None:
    """Tell the catalog what `cd4ml.toml` says now; nothing is written where it says the same.

    Raises:
        ConfigurationError: If it names a column that there is not.
    """
    declared_now = project.settings.data.get(name)
    if declared_now is None:
        return
    with project.database.read() as connection:
        dataset = rows.get(connection, Dataset, name)
    keys = set(Dataset.__struct_fields__) & set(DataSettings.__struct_fields__)
    if any(getattr(dataset, key) != getattr(declared_now, key) for key in keys):
        with project.database.write() as connection:
            newest = newest_version(connection, name)
            register(connection, project, name, actor, newest.columns if newest else ())


def register(
    connection: sa.Connection,
    project: Project,
    name: str,
    actor: str,
    columns: tuple[Column, ...],
) -> Dataset:
    """Enter a dataset in the catalog as `cd4ml.toml` describes it.

    Args:
        connection: Of a write transaction.
        project: Whose dataset.
        name: Which one.
        actor: Who.
        columns: Those of the version that is being made, or is the newest.

    Raises:
        ConfigurationError: If it names a column that there is not.
    """
    settings = project.settings.data.get(name, DataSettings())
    dataset = known.register(
        connection,
        name=name,
        owner=settings.owner,
        description=settings.description,
        tags=settings.tags,
        licence=settings.licence,
        personal=settings.personal,
        readers=settings.readers,
        fresh_within_hours=settings.fresh_within_hours,
        at=project.clock.now(),
        actor=actor,
    )
    refuse_unknown_personal(connection, dataset, columns)
    return dataset


def show_dataset(
    project: Project, ref: str, *, as_of: datetime | None = None, actor: str = ""
) -> DatasetDetails:
    """One version, `name@number`, or the newest of `name`: now, or that of a moment.

    Who may not read it sees no value of it.

    Raises:
        NotFound: If there is none, or was none yet.
    """
    with project.database.read() as connection:
        version = version_at(connection, ref, as_of) if as_of else find_version(connection, ref)
        dataset = rows.get(connection, Dataset, version.dataset)
        facts = facts_of(connection, project, version, dataset, actor)
        versions = rows.find(connection, DatasetVersion, dataset=version.dataset)
        if not facts.may_read:
            version = without_values(version)
            versions = [without_values(each) for each in versions]
        details = DatasetDetails(
            dataset=dataset,
            version=version,
            versions=tuple(versions),
            facts=facts,
            parents=_names(lineage.upstream(connection, version.digest)),
            children=_names(lineage.downstream(connection, version.digest)),
        )
    if version.place:
        is_stored = _is_stored(project, version)
        details = msgspec.structs.replace(details, is_stored=is_stored)
    if as_of is None:
        return details
    known = n_arrived(project, version, as_of)
    return msgspec.structs.replace(details, as_of=as_of, n_known=known)


def _names(hops: Iterable[lineage.Hop]) -> tuple[str, ...]:
    """The names of what is met, each once though many ways lead there, nearest first."""
    return tuple(dict.fromkeys(hop.node.name for hop in hops))


def _is_pulled(project: Project, name: str) -> bool:
    settings = project.settings.data.get(name)
    return settings is not None and settings.source in ("sql", "delta", "http")


def _settings(project: Project, name: str, path: str) -> DataSettings:
    settings = project.settings.data.get(name)
    if settings is None and not path:
        listed = ", ".join(sorted(project.settings.data)) or "none"
        msg = f"no dataset named {name!r} in cd4ml.toml"
        raise InvalidInput(msg, hint=f"known: {listed}; or give its files with --path")
    if settings is not None and settings.source == "production":
        msg = f"the rows of {name!r} come from production, not from files"
        raise InvalidInput(msg, hint="cd4ml label FILE brings the truth; retraining curates it")
    if settings is not None and settings.source == "pushed":
        msg = f"the rows of {name!r} are pushed to the API, not read"
        raise InvalidInput(msg, hint=f"POST /api/data/{name}/rows")
    if settings is None:
        return DataSettings(path=path)
    if not (path or settings.path):
        msg = f"cd4ml.toml: the dataset {name!r} has no files - at `data.{name}.path`"
        raise ConfigurationError(msg, hint='for example path = "data/flights/*.parquet"')
    return msgspec.structs.replace(settings, path=path or settings.path)


def _is_stored(project: Project, version: DatasetVersion) -> bool:
    if damaged_records(project.files, version):
        return False
    digests = {file.digest for file in manifest_of(project.blobs, version).files}
    return len(project.files.held(digests)) == len(digests)


def _is_whole(project: Project, version: DatasetVersion, keeping: Keeping) -> bool:
    """Whether all of a version is kept, as it is wanted; else its files are taken again."""
    if damaged_records(project.files, version):
        return False  # what is made anew is stored anew
    if keeping == "reference":
        return bool(version.place)
    files = manifest_of(project.blobs, version).files
    return project.files.holds(file.digest for file in files)
