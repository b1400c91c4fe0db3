"""Which files a client means by the source of a model version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.experiments.logged_models import logged_model
from cd4ml.loop.mlflow.ids import run_of
from cd4ml.loop.mlflow.places import Held, Place, held_at, place_in
from cd4ml.models import registry

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

_MODEL_ID = re.compile(r"models:/(m-[0-9a-f]+)(?:/.*)?")
_PROXIED = re.compile(
    r"(?:mlflow-artifacts:/+(?:[^/]*:\d+/)?|https?://[^/]+(?:/[^/]+)*?/api/2\.0/mlflow-artifacts/artifacts/)(.*)"
)


class Found(NamedTuple):
    """The files at a source: path -> address and size; the run and logged model they are of."""

    files: dict[str, tuple[str, int]]
    run: int = 0
    model: str = ""


def files_at(project: Project, connection: Connection, source: str, *, model_id: str = "") -> Found:
    """The files at a source: a logged model's, a run's below a path, or another version's.

    Raises:
        NotFound: If there is no such model, run or version, or nothing lies there.
        InvalidInput: If the source is somewhere else.
    """
    id = model_id or model_id_in(source)
    if id:
        model = logged_model(connection, id)
        found = _below(project, connection, Place("models", id, ""))
        return Found(found, model.run, id)
    place = _place(connection, source)
    run = run_of(connection, place.name).number if place.kind == "runs" else 0
    files = _below(project, connection, place)
    if place.kind == "versions":
        run = registry.version(connection, *registry.version_in(place.name)).run
    if not files:
        msg = f"nothing lies at {source!r:.300}"
        raise NotFound(msg, hint="log the model first: mlflow.sklearn.log_model(...)")
    return Found(files, run, place.name if place.kind == "models" else "")


def model_id_in(source: str) -> str:
    """The id of the logged model that a source names; "" if it names none.

    Examples:
        >>> model_id_in("models:/m-0a1b"), model_id_in("runs:/run-1/model")
        ('m-0a1b', '')
    """
    named = _MODEL_ID.fullmatch(source)
    return named[1] if named else ""


def _place(connection: Connection, source: str) -> Place:
    if source.startswith("runs:/"):
        id, _, path = source.removeprefix("runs:/").strip("/").partition("/")
        return place_in(f"runs/{id}/artifacts/{path}")
    if source.startswith("models:/"):
        version = registry.find_version(connection, source.removeprefix("models:/"))
        return place_in(f"versions/{version.ref}")
    proxied = _PROXIED.fullmatch(source)
    if proxied:
        return place_in(proxied[1])
    msg = f"the files of a version have to be in cd4ml, and {source!r:.300} is elsewhere"
    raise InvalidInput(msg, hint="log the model to this server, or cd4ml import mlmodel FOLDER")


def _below(project: Project, connection: Connection, place: Place) -> dict[str, tuple[str, int]]:
    found: dict[str, Held] = held_at(project, connection, place)
    before = f"{place.path}/" if place.path else ""
    return {
        path.removeprefix(before): (held.address, held.n_bytes)
        for path, held in found.items()
        if path.startswith(before)
    }
