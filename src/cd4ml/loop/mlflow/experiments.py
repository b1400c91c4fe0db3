"""Experiments, as MLflow's clients make, find, rename and delete them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cd4ml.engines.mlflow import entities, messages
from cd4ml.engines.mlflow.search_language import (
    EXPERIMENTS,
    Comparison,
    Order,
    holds,
    parse_filter,
    parse_order,
)
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop.mlflow.ids import DEFAULT_ID, OURS, experiment_id, experiment_of, our_name
from cd4ml.loop.mlflow.ordering import ordered
from cd4ml.loop.mlflow.paging import page_of
from cd4ml.loop.mlflow.told import NOTE, told_experiment
from cd4ml.records.experiment import Experiment
from cd4ml.store import rows
from cd4ml.store.tracking.experiments import (
    change_experiment,
    create_experiment,
    delete_experiment,
    ensure_experiment,
    experiment_named,
    restore_experiment,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

_LONGEST_NAME = 500  # characters
_USUAL, _MOST = 1000, 50_000
_VIEWS = {1: "ACTIVE_ONLY", 2: "DELETED_ONLY", 3: "ALL"}


def create(project: Project, asked: messages.CreateExperiment, actor: str) -> dict[str, str]:
    """A new experiment; where its artifacts lie is cd4ml's to say.

    Raises:
        AlreadyExists: If there is one of this name, deleted or not.
        InvalidInput: If it is no name.
    """
    name = our_name(asked.name)
    _refuse_name(name)
    tags, note = _noted({tag.key: tag.value for tag in asked.tags})
    with project.database.write() as connection:
        made = create_experiment(
            connection, name, note=note or "", tags=tags, at=project.clock.now(), actor=actor
        )
    return {"experiment_id": experiment_id(made)}


def get(project: Project, asked: messages.ExperimentById, actor: str) -> dict[str, object]:
    """An experiment by its id, deleted or not; the one with the id 0 is made when asked for.

    Raises:
        NotFound: If there is none.
    """
    if asked.experiment_id == DEFAULT_ID:
        _make_default(project, actor)
    with project.database.read() as connection:
        found = experiment_of(connection, asked.experiment_id)
    return {"experiment": told_experiment(found)}


def get_by_name(
    project: Project, asked: messages.ExperimentByName, actor: str
) -> dict[str, object]:
    """An experiment by its name, deleted or not.

    Raises:
        NotFound: If there is none.
    """
    name = our_name(asked.experiment_name)
    if name == OURS:
        _make_default(project, actor)
    with project.database.read() as connection:
        found = experiment_named(connection, name)
    return {"experiment": told_experiment(found)}


def update(project: Project, asked: messages.UpdateExperiment, actor: str) -> dict[str, object]:
    """Rename an experiment; its runs follow.

    Raises:
        NotFound: If there is none.
        AlreadyExists: If another one has the name.
        InvalidInput: If it is no name, or the experiment is the default one, or was deleted.
    """
    if asked.experiment_id == DEFAULT_ID:
        raise InvalidInput("the experiment Default keeps its name", hint="make another one")
    name = our_name(asked.new_name)
    _refuse_name(name)
    _change(project, asked.experiment_id, actor, name=name)
    return {}


def delete(project: Project, asked: messages.ExperimentById, actor: str) -> dict[str, object]:
    """Take an experiment and its runs out of the lists.

    Raises:
        NotFound: If there is none.
        InvalidInput: If it is the default one.
    """
    if asked.experiment_id == DEFAULT_ID:
        msg = "the experiment Default is where runs without another one go: it cannot be deleted"
        raise InvalidInput(msg)
    with project.database.write() as connection:
        number = experiment_of(connection, asked.experiment_id).number
        delete_experiment(connection, number, at=project.clock.now(), actor=actor)
    return {}


def restore(project: Project, asked: messages.ExperimentById, actor: str) -> dict[str, object]:
    """Bring a deleted experiment back, with the runs that were deleted with it.

    Raises:
        NotFound: If there is none.
    """
    with project.database.write() as connection:
        number = experiment_of(connection, asked.experiment_id).number
        restore_experiment(connection, number, at=project.clock.now(), actor=actor)
    return {}


def set_tag(project: Project, asked: messages.SetExperimentTag, actor: str) -> dict[str, object]:
    """Tag an experiment; the tag `mlflow.note.content` is its note.

    Raises:
        NotFound: If there is none.
        InvalidInput: If it was deleted.
    """
    tags, note = _noted({asked.key: asked.value})
    _change(project, asked.experiment_id, actor, tags=tags, note=note)
    return {}


def delete_tag(
    project: Project, asked: messages.DeleteExperimentTag, actor: str
) -> dict[str, object]:
    """Take a tag of an experiment away.

    Raises:
        NotFound: If there is no such experiment, or it has no such tag.
        InvalidInput: If it was deleted.
    """
    with project.database.write() as connection:
        found = _there(connection, asked.experiment_id)
        if asked.key not in found.tags:
            known = ", ".join(sorted(found.tags)) or "none"
            msg = f"the experiment {found.name!r} has no tag {asked.key!r}"
            raise NotFound(msg, hint=f"known: {known}")
        at = project.clock.now()
        change_experiment(connection, found.number, untag=[asked.key], at=at, actor=actor)
    return {}


def search(project: Project, asked: messages.Search, actor: str) -> dict[str, object]:
    """Experiments that fit, the newest first unless an order is asked for.

    Raises:
        InvalidInput: If the filter, the order or the page cannot be.
    """
    comparisons = parse_filter(asked.filter, EXPERIMENTS)
    orders = [parse_order(each, EXPERIMENTS) for each in asked.order_by]
    page = page_of(asked.page_token, asked.max_results, usual=_USUAL, most=_MOST)
    _make_default(project, actor)
    with project.database.read() as connection:
        found = [told_experiment(each) for each in _viewed(connection, asked.view_type)]
    fitting = [each for each in found if all(_fits(each, one) for one in comparisons)]
    fitting.sort(key=lambda each: (-each.creation_time, -int(each.experiment_id)))
    for order in reversed(orders):
        fitting = ordered(fitting, _sorted_by(order), is_ascending=order.is_ascending)
    shown, token = page.of(fitting)
    return {"experiments": shown, "next_page_token": token}


def view_of(asked: str | int) -> str:
    """ACTIVE_ONLY, DELETED_ONLY or ALL, which may come as protobuf's number.

    Raises:
        InvalidInput: If it is none of them.

    Examples:
        >>> view_of(2), view_of("all")
        ('DELETED_ONLY', 'ALL')
    """
    name = _VIEWS.get(int(asked), "") if str(asked).isdecimal() else str(asked).upper()
    if name not in _VIEWS.values():
        msg = f"expected the view {', '.join(_VIEWS.values())}, got {asked!r}"
        raise InvalidInput(msg)
    return name


def _make_default(project: Project, actor: str) -> None:
    with project.database.read() as connection:
        if rows.find(connection, Experiment, name=OURS):
            return
    with project.database.write() as connection:
        ensure_experiment(connection, OURS, at=project.clock.now(), actor=actor)


def _change(
    project: Project,
    id: str,
    actor: str,
    *,
    name: str | None = None,
    note: str | None = None,
    tags: dict[str, str] | None = None,
) -> None:
    with project.database.write() as connection:
        number = _there(connection, id).number
        at = project.clock.now()
        change_experiment(connection, number, name=name, note=note, tags=tags, at=at, actor=actor)


def _there(connection: Connection, id: str) -> Experiment:
    found = experiment_of(connection, id)
    if found.deleted_at is not None:
        msg = f"the experiment {found.name!r} was deleted, so it cannot be changed"
        raise InvalidInput(msg, hint=f"MlflowClient().restore_experiment({id!r})")
    return found


def _viewed(connection: Connection, view: str | int) -> list[Experiment]:
    wanted = view_of(view)
    is_deleted = {"ACTIVE_ONLY": (False,), "DELETED_ONLY": (True,), "ALL": (False, True)}[wanted]
    found = rows.find(connection, Experiment)
    return [each for each in found if (each.deleted_at is not None) in is_deleted]


def _fits(experiment: entities.Experiment, comparison: Comparison) -> bool:
    if comparison.kind == "tag":
        tags = {tag.key: tag.value for tag in experiment.tags}
        return holds(comparison, tags.get(comparison.key))
    return holds(comparison, getattr(experiment, comparison.key))


def _sorted_by(order: Order) -> Callable[[entities.Experiment], object]:
    def key(experiment: entities.Experiment) -> object:
        if order.kind == "tag":
            return {tag.key: tag.value for tag in experiment.tags}.get(order.key)
        value = getattr(experiment, order.key)
        return int(value) if order.key == "experiment_id" else value

    return key


def _noted(tags: dict[str, str]) -> tuple[dict[str, str], str | None]:
    """Tags without the one that is the note, and the note."""
    return {key: value for key, value in tags.items() if key != NOTE}, tags.get(NOTE)


def _refuse_name(name: str) -> None:
    if not (name.isprintable() and name.strip() and len(name) <= _LONGEST_NAME):
        msg = f"expected an experiment's name of 1 to {_LONGEST_NAME} printable characters"
        raise InvalidInput(f"{msg}, got {name!r:.80}")
