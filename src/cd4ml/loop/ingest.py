"""Bring data in: versioned, checked against its contract, in the catalog."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from cd4ml.data import catalog as known
from cd4ml.data.versions import find_version, known_version
from cd4ml.errors import ConfigurationError, Corrupted, InvalidInput, NotFound
from cd4ml.loop.contracts import declared
from cd4ml.loop.quarantine import arrive, publish_arrival
from cd4ml.records.dataset import Dataset, DatasetVersion
from cd4ml.records.settings import DataSettings
from cd4ml.store import lineage, people, rows
from cd4ml.store.project import Project


class DatasetDetails(msgspec.Struct, frozen=True, kw_only=True):
    """One version with its dataset, its siblings, and what it came from and went into."""

    dataset: Dataset
    version: DatasetVersion
    versions: tuple[DatasetVersion, ...]
    parents: tuple[str, ...]
    children: tuple[str, ...]


def ingest(
    project: Project, name: str, *, path: str = "", note: str = "", actor: str
) -> DatasetVersion:
    """Make a version of a dataset's files as they are now; unchanged files make no new one.

    Args:
        project: Whose dataset.
        name: As `cd4ml.toml` has it under `[data.NAME]`, or a new one with `path`.
        path: A file or glob below the project; that of `cd4ml.toml` by default.
        note: What is special about this version.
        actor: Who.

    Raises:
        InvalidInput: If the name is not in `cd4ml.toml` and no path is given, or the
            files cannot be read as a table.
        NotFound: If no file matches.
        ContractViolated: If the rows break the contract; nothing is stored. With
            `on_violation = "quarantine"` only if nothing can be set aside, or all would be.
    """
    settings = _settings(project, name, path)
    contract = declared(project, settings.contract, key=f"data.{name}.contract")
    with project.database.read() as connection:
        people.actor(connection, actor)
        same = known_version(
            connection, name, root=project.folder, pattern=settings.path, contract=contract
        )
    if same is not None and _is_whole(project, same):
        return same
    arrival = arrive(project, settings, contract)
    at = project.clock.now()
    with project.database.write() as connection:
        dataset = register(connection, project, name, actor)
        return publish_arrival(connection, arrival, dataset=dataset, at=at, actor=actor, note=note)


def register(connection: sa.Connection, project: Project, name: str, actor: str) -> Dataset:
    """Enter a dataset in the catalog as `cd4ml.toml` describes it."""
    settings = project.settings.data.get(name, DataSettings())
    return known.register(
        connection,
        name=name,
        owner=settings.owner,
        description=settings.description,
        tags=settings.tags,
        licence=settings.licence,
        at=project.clock.now(),
        actor=actor,
    )


def catalog(project: Project, query: str = "") -> list[known.Entry]:
    """The datasets whose name, description, owner, tags or columns have the words in them."""
    with project.database.read() as connection:
        return known.search(connection, query)


def show_dataset(project: Project, ref: str) -> DatasetDetails:
    """One version, `name@number`, or the newest of `name`.

    Raises:
        NotFound: If there is none.
    """
    with project.database.read() as connection:
        version = find_version(connection, ref)
        return DatasetDetails(
            dataset=rows.get(connection, Dataset, version.dataset),
            version=version,
            versions=tuple(rows.find(connection, DatasetVersion, dataset=version.dataset)),
            parents=_names(lineage.upstream(connection, version.digest)),
            children=_names(lineage.downstream(connection, version.digest)),
        )


def _names(hops: Iterable[lineage.Hop]) -> tuple[str, ...]:
    """The names of what is met, each once though many ways lead there, nearest first."""
    return tuple(dict.fromkeys(hop.node.name for hop in hops))


def _settings(project: Project, name: str, path: str) -> DataSettings:
    settings = project.settings.data.get(name)
    if settings is None and not path:
        listed = ", ".join(sorted(project.settings.data)) or "none"
        msg = f"no dataset named {name!r} in cd4ml.toml"
        raise InvalidInput(msg, hint=f"known: {listed}; or give its files with --path")
    if settings is not None and settings.source == "production":
        msg = f"the rows of {name!r} come from production, not from files"
        raise InvalidInput(msg, hint="cd4ml label FILE brings the truth; retraining curates it")
    if settings is None:
        return DataSettings(path=path)
    if not (path or settings.path):
        msg = f"cd4ml.toml: the dataset {name!r} has no files - at `data.{name}.path`"
        raise ConfigurationError(msg, hint='for example path = "data/flights/*.parquet"')
    return msgspec.structs.replace(settings, path=path or settings.path)


def _is_whole(project: Project, version: DatasetVersion) -> bool:
    """Whether all of a version's bytes are stored as they were; else its files are stored again."""
    try:
        for address in (version.digest, *(file.digest for file in version.files)):
            project.blobs.path(address)
    except (NotFound, Corrupted):
        return False
    return True
