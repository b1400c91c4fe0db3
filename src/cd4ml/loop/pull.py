"""Read a source and make a version of what it holds now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cd4ml.data import quarantine
from cd4ml.data.manifest import manifest_of
from cd4ml.data.snapshot import look
from cd4ml.data.sources import delta, http, sql
from cd4ml.data.sources.arrival import Arrival, Wanted, arrivals
from cd4ml.data.verification import verify
from cd4ml.data.versions import newest_version, paths_of
from cd4ml.errors import Cd4mlError, Corrupted, InvalidInput, NotFound, Unavailable
from cd4ml.loop.access import discreet, shown
from cd4ml.loop.contracts import declared
from cd4ml.loop.ingest import ingest, register
from cd4ml.loop.quarantine import Wanted as Rows
from cd4ml.loop.quarantine import arrive, publish_arrival, taken_back
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.settings import DataSettings
from cd4ml.records.source_mark import SourceMark
from cd4ml.store import people, rows
from cd4ml.store.address import address_of_record
from cd4ml.store.project import Project

READERS = {"sql": sql.read, "delta": delta.read, "http": http.read}

_ASKED = ("source", "path", "version", "query", "connection", "url", "headers")


def pull(project: Project, name: str, *, note: str = "", actor: str) -> DatasetVersion:
    """Make a version of what a dataset's source holds now; if it holds the same, none is made.

    A source that can say that nothing changed (an ETag, a Delta version) is not read.

    Args:
        project: Whose dataset.
        name: As `cd4ml.toml` has it under `[data.NAME]`.
        note: What is special about this version.
        actor: Who.

    Raises:
        NotFound: If nobody has the actor's name, or there is nothing at the source.
        InvalidInput: If the dataset has no source to read, or what came is no table.
        ContractViolated: If the rows break the contract; nothing is stored. With
            `on_violation = "quarantine"` only if nothing can be set aside, or all would be.
        Unavailable: If the source does not answer.
    """
    settings = _settings(project, name)
    if settings.source not in READERS:
        return ingest(project, name, note=note, actor=actor)
    with discreet(project, name, actor=actor):
        version = _pull(project, name, settings, note=note, actor=actor)
    return shown(project, version, actor)


def _pull(
    project: Project, name: str, settings: DataSettings, *, note: str, actor: str
) -> DatasetVersion:
    contract = declared(project, settings.contract, key=f"data.{name}.contract")
    asked = _asked(settings, contract)
    with project.database.read() as connection:
        people.actor(connection, actor)
        newest = newest_version(connection, name)
    known = _known(project, name, asked)
    with _explained(name), arrivals(project.state) as folder:
        state = known[0].state if known else {}
        wanted = Wanted(settings, project.folder, folder, contract, state)
        arrival = READERS[settings.source](wanted)
        if arrival is None:
            return _unchanged(known)
        rows_wanted = Rows(settings, contract, before=newest.profile if newest else "")
        sifted = _sifted(project, folder, arrival, rows_wanted, actor)
    return _publish(project, name, sifted, arrival, asked, note or arrival.note, actor)


def newest_or_pulled(project: Project, name: str, *, actor: str) -> DatasetVersion:
    """The version that a run takes of a dataset with a source of its own.

    What is read on a schedule, or pushed, is taken as it stands; the rest is read now.

    Raises:
        NotFound: If rows are pushed to it, and none were yet.
    """
    settings = project.settings.data[name]
    with project.database.read() as connection:
        newest = newest_version(connection, name)
    if newest is not None and (settings.every or settings.source == "pushed"):
        return newest
    if settings.source == "pushed":
        msg = f"the dataset {name!r} has no version yet"
        raise NotFound(msg, hint=f"POST /api/data/{name}/rows brings the first rows")
    return pull(project, name, actor=actor)


def _settings(project: Project, name: str) -> DataSettings:
    settings = project.settings.data.get(name)
    if settings is None:
        listed = ", ".join(sorted(project.settings.data)) or "none"
        msg = f"no dataset named {name!r} in cd4ml.toml"
        raise InvalidInput(msg, hint=f"known: {listed}")
    return settings


def _asked(settings: DataSettings, contract: Contract | None) -> str:
    return address_of_record(({key: getattr(settings, key) for key in _ASKED}, contract))


def _known(project: Project, name: str, asked: str) -> tuple[SourceMark, DatasetVersion] | None:
    """Where the source stood when it was last read, if that version is there as it was."""
    with project.database.read() as connection:
        marks = rows.find(connection, SourceMark, dataset=name, asked=asked)
        if not marks:
            return None
        version = rows.get(connection, DatasetVersion, name, marks[0].version)
    try:
        paths_of(project.files, version, manifest_of(project.blobs, version))
    except (NotFound, Corrupted):
        verify(project.database, project.files, [version])  # so that they are stored again
        return None
    return marks[0], version


def _unchanged(known: tuple[SourceMark, DatasetVersion] | None) -> DatasetVersion:
    if known is None:
        msg = "the source says that nothing changed, and nobody asked it that"
        raise InvalidInput(msg, hint="it answers requests wrongly (HTTP 304)")
    return known[1]


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """What goes wrong with files of this machine, such as a full disk."""
    try:
        yield
    except OSError as error:
        msg = f"{name!r} cannot be read: {error.strerror or error}"
        raise Unavailable(msg, hint="is there room, and may this user write here?") from None


def _sifted(
    project: Project, folder: Path, arrival: Arrival, wanted: Rows, actor: str
) -> quarantine.Arrival:
    try:
        looked = look(project.files, folder, arrival.pattern)
        found = arrive(project, looked, wanted, actor=actor)
    except Cd4mlError as error:
        plain = error.message.replace(f"{folder}/", "")
        message = f"{arrival.words}: {plain}"
        kept = error.discreet.replace(f"{folder}/", "")
        without = f"{arrival.words}: {kept}" if kept else ""
        raise type(error)(message, hint=error.hint, discreet=without) from None
    bad = found.bad and msgspec.structs.replace(found.bad, source=arrival.words)
    good = msgspec.structs.replace(found.good, source=arrival.words)
    return found._replace(good=good, bad=bad)


def _publish(
    project: Project,
    name: str,
    sifted: quarantine.Arrival,
    arrival: Arrival,
    asked: str,
    note: str,
    actor: str,
) -> DatasetVersion:
    at = project.clock.now()
    with taken_back(project, sifted), project.database.write() as connection:
        dataset = register(connection, project, name, actor, sifted.good.columns)
        version = publish_arrival(
            connection, sifted, dataset=dataset, at=at, actor=actor, note=note
        )
        mark = SourceMark(
            dataset=name, asked=asked, state=arrival.state, version=version.number, read_at=at
        )
        rows.put(connection, mark)
    return version
