"""Where files lie, as the artifact proxy names it, and which ones there are.

    runs/ID/artifacts/PATH      of a run
    models/ID/artifacts/PATH    of a logged model
    versions/NAME/NUMBER/PATH   of a model version; nobody writes there

A client is told `mlflow-artifacts:/` before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from cd4ml.engines.mlflow.entities import FileInfo
from cd4ml.errors import Conflict, InvalidInput, NotFound
from cd4ml.experiments.logged_models import files_of, logged_model
from cd4ml.loop.mlflow.exported import version_files
from cd4ml.loop.mlflow.ids import run_of
from cd4ml.models import registry
from cd4ml.records.logged_model import LoggedModelFile
from cd4ml.records.run import Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import rows
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking.logged import log_artifacts

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from cd4ml.store.project import Project

SCHEME = "mlflow-artifacts:"


class Place(NamedTuple):
    """A root with files, and a path below it ("" for all of them)."""

    kind: str  # runs, models or versions
    name: str  # the id, or NAME/NUMBER
    path: str

    @property
    def root(self) -> str:
        """Where the root is, for a client."""
        tail = "" if self.kind == "versions" else "/artifacts"
        return f"{SCHEME}/{self.kind}/{self.name}{tail}"


class Held(NamedTuple):
    """A file: where its bytes are, and how many."""

    address: str
    n_bytes: int


def place_in(path: str) -> Place:
    """The place that a path of the artifact proxy names.

    Raises:
        NotFound: If nothing can lie there.
        InvalidInput: If the path leads out of it.

    Examples:
        >>> place_in("runs/run-7/artifacts/plots/roc.png")
        Place(kind='runs', name='run-7', path='plots/roc.png')
        >>> place_in("versions/delay/3").root
        'mlflow-artifacts:/versions/delay/3'
    """
    parts = [part for part in path.strip("/").split("/") if part]
    if any(part in (".", "..") or "\\" in part or "\0" in part for part in parts):
        raise InvalidInput(f"expected a path without '.' and '..', got {path!r:.200}")
    match parts:
        case ["runs" | "models" as kind, name, "artifacts", *below]:
            return Place(kind, name, "/".join(below))
        case ["versions", name, number, *below]:
            return Place("versions", f"{name}/{number}", "/".join(below))
    msg = f"no artifacts can lie at {path!r:.200}"
    raise NotFound(msg, hint="expected runs/ID/artifacts/... or models/ID/artifacts/...")


def held_at(project: Project, connection: Connection, place: Place) -> dict[str, Held]:
    """The files of a place's root, by path.

    Raises:
        NotFound: If there is no such run, model or version.
    """
    if place.kind == "runs":
        run = run_of(connection, place.name)
        found = rows.find(connection, RunArtifact, run=run.number)
        return {each.path: Held(each.address, each.n_bytes) for each in found}
    if place.kind == "models":
        model = logged_model(connection, place.name)
        files = files_of(connection, model.id)
        return {each.path: Held(each.address, each.n_bytes) for each in files}
    version = registry.version(connection, *registry.version_in(place.name))
    return {path: Held(*each) for path, each in version_files(project, version).items()}


def listed(files: Iterable[tuple[str, int]], folder: str) -> list[FileInfo]:
    """What lies in a folder: files, and the folders that have some; by name.

    Examples:
        >>> [each.path for each in listed([("model/MLmodel", 9), ("roc.png", 3)], "")]
        ['model', 'roc.png']
    """
    before = f"{folder.strip('/')}/" if folder.strip("/") else ""
    found: dict[str, FileInfo] = {}
    for path, n_bytes in files:
        if not path.startswith(before):
            continue
        name, slash, _ = path[len(before) :].partition("/")
        size = None if slash else n_bytes
        found[name] = FileInfo(path=name, is_dir=bool(slash), file_size=size)
    return [found[name] for name in sorted(found)]


def put_file(connection: Connection, place: Place, held: Held, *, at: datetime) -> None:
    """Note a file whose bytes are stored; what lay there before is replaced.

    Raises:
        NotFound: If there is no such run or model.
        Conflict: If the pipeline made the run, the place is a version's, or a file lies where it
            needs a folder, or a folder where it would lie.
        InvalidInput: If it is the root.
    """
    if not place.path:
        raise InvalidInput(f"expected the path of a file below {place.root}")
    if place.kind == "versions":
        msg = f"the files of {place.name} never change"
        raise Conflict(msg, hint="log another model, and register it as a new version")
    if place.kind == "models":
        model = logged_model(connection, place.name)
        _refuse_hiding(connection, LoggedModelFile, place, model=model.id)
        rows.put(
            connection,
            LoggedModelFile(
                model=model.id, path=place.path, address=held.address, n_bytes=held.n_bytes
            ),
        )
        return
    run = _of_client(connection, place.name)
    _refuse_hiding(connection, RunArtifact, place, run=run.number)
    artifact = RunArtifact(
        run=run.number,
        path=place.path,
        address=held.address,
        n_bytes=held.n_bytes,
        logged_at=at,
    )
    log_artifacts(connection, [artifact])


def remove_files(connection: Connection, place: Place) -> int:
    """Forget a file, or all in a folder; returns how many. Their bytes stay where others use them.

    Raises:
        NotFound: If there is no such run or model.
        Conflict: If the pipeline made the run, or the place is a version's.
    """
    if place.kind == "versions":
        raise Conflict(f"the files of {place.name} never change")
    if place.kind == "models":
        table = TABLES[LoggedModelFile]
        mine = table.c.model == logged_model(connection, place.name).id
    else:
        table = TABLES[RunArtifact]
        mine = table.c.run == _of_client(connection, place.name).number
    below = table.c.path.startswith(f"{place.path}/", autoescape=True)
    here = sa.or_(table.c.path == place.path, below) if place.path else sa.true()
    return connection.execute(table.delete().where(mine, here)).rowcount


def _refuse_hiding(
    connection: Connection, kind: type[LoggedModelFile | RunArtifact], place: Place, **of: object
) -> None:
    """Refuse a file in a file, and one over a folder: the other could not be fetched any more."""
    table = TABLES[kind]
    parts = place.path.split("/")
    above = ["/".join(parts[:i]) for i in range(1, len(parts))]
    below = table.c.path.startswith(f"{place.path}/", autoescape=True)
    mine = [table.c[name] == value for name, value in of.items()]
    hidden = sa.select(table.c.path).where(*mine, sa.or_(table.c.path.in_(above), below))
    found = connection.execute(hidden.limit(1)).scalar()
    if found is not None:
        is_file = found in above
        what = f"{found!r} is a file" if is_file else f"{place.path!r} is a folder"
        msg = f"{place.path!r} cannot lie in {place.root}: {what} there"
        raise Conflict(msg, hint="log it under another path, or remove the other first")


def _of_client(connection: Connection, id: str) -> Run:
    run = run_of(connection, id)
    if run.code:
        msg = f"{run.ref} was made by the pipeline: its files cannot be changed"
        raise Conflict(msg, hint="log them in a run of your own: mlflow.start_run()")
    return run
