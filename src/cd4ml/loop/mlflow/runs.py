"""Runs that MLflow's clients begin, end, rename, delete and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.engines.mlflow import messages
from cd4ml.engines.mlflow.entities import (
    moment,
)
from cd4ml.errors import Conflict, InvalidInput, NotFound
from cd4ml.loop.mlflow.ids import experiment_to_fill, run_of
from cd4ml.loop.mlflow.told import NAME, NOTE, told_info, told_runs
from cd4ml.records.run import Run
from cd4ml.store.tracking.runs import (
    Ending,
    change_run,
    delete_run,
    end_run,
    restore_run,
    resume_run,
    start_run,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

_ENDINGS: dict[str, Ending] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
_STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_USUAL_POINTS, _MOST_POINTS = 25_000, 100_000
_LONGEST_KEY = 250  # characters
_MOST_METRICS = 1_000_000  # in a batch

Nothing = dict[str, object]


def create(project: Project, asked: messages.CreateRun, actor: str) -> dict[str, object]:
    """A run that begins.

    Raises:
        NotFound: If there is no such experiment.
        Conflict: If it was deleted.
    """
    tags = {tag.key: tag.value for tag in asked.tags}
    if asked.user_id:
        tags.setdefault("mlflow.user", asked.user_id)
    name = asked.run_name or tags.get(NAME, "")
    at = project.clock.now()
    with project.database.write() as connection:
        experiment = experiment_to_fill(connection, asked.experiment_id, at=at, actor=actor)
        run = start_run(
            connection,
            experiment=experiment.name,
            name=name,
            note=tags.get(NOTE, ""),
            tags={key: value for key, value in tags.items() if key not in (NAME, NOTE)},
            started_at=moment(asked.start_time) if asked.start_time else None,
            at=at,
            actor=actor,
        )
        return {"run": told_runs(connection, [run])[0]}


def get(project: Project, asked: messages.RunById, actor: str) -> dict[str, object]:
    """A run with what was logged in it, deleted or not.

    Raises:
        NotFound: If there is none.
    """
    with project.database.read() as connection:
        return {"run": told_runs(connection, [run_of(connection, asked.run)])[0]}


def update(project: Project, asked: messages.UpdateRun, actor: str) -> dict[str, object]:
    """How a run is, when it ended, and what it is called.

    Raises:
        NotFound: If there is none.
        Conflict: If the pipeline made it: it says how such a run ended.
        InvalidInput: If there is no such status.
    """
    status, at = _status(asked.status), project.clock.now()
    ended_at = moment(asked.end_time) if asked.end_time else None
    with project.database.write() as connection:
        run = changeable(connection, asked.run) if status else run_of(connection, asked.run)
        if asked.run_name:
            run = change_run(connection, run.number, name=asked.run_name, at=at, actor=actor)
        if status in _ENDINGS:
            run = end_run(
                connection,
                run.number,
                _ENDINGS[status],
                finished_at=ended_at,
                at=at,
                actor=actor,
            )
        elif status:
            run = resume_run(connection, run.number, at=at, actor=actor)
        return {"run_info": told_info(connection, run)}


def delete(project: Project, asked: messages.RunById, actor: str) -> Nothing:
    """Take a run out of the lists.

    Raises:
        NotFound: If there is none.
    """
    with project.database.write() as connection:
        number = run_of(connection, asked.run).number
        delete_run(connection, number, at=project.clock.now(), actor=actor)
    return {}


def restore(project: Project, asked: messages.RunById, actor: str) -> Nothing:
    """Bring a deleted run back.

    Raises:
        NotFound: If there is none.
    """
    with project.database.write() as connection:
        number = run_of(connection, asked.run).number
        restore_run(connection, number, at=project.clock.now(), actor=actor)
    return {}


def delete_tag(project: Project, asked: messages.DeleteTag, actor: str) -> Nothing:
    """Take a tag of a run away.

    Raises:
        NotFound: If there is no such run, or it has no such tag.
    """
    at = project.clock.now()
    with project.database.write() as connection:
        run = run_of(connection, asked.run)
        if asked.key == NOTE and run.note:
            change_run(connection, run.number, note="", at=at, actor=actor)
            return {}
        if asked.key not in run.tags:
            known = ", ".join(sorted(run.tags)) or "none"
            raise NotFound(f"{run.ref} has no tag {asked.key!r}", hint=f"known: {known}")
        change_run(connection, run.number, untag=[asked.key], at=at, actor=actor)
    return {}


def _status(asked: str | int) -> str:
    status = _STATUSES.get(int(asked), "?") if str(asked).isdecimal() else str(asked)
    if status not in ("", *_STATUSES.values()):
        msg = f"expected a status of {', '.join(_STATUSES.values())}, got {asked!r}"
        raise InvalidInput(msg)
    return status


def there(connection: Connection, id: str) -> Run:
    """The run with an id, locked, if something can be logged in it.

    Raises:
        NotFound: If there is none.
        InvalidInput: If it was deleted.
    """
    run = run_of(connection, id, lock=True)
    if run.deleted_at is not None:
        msg = f"{run.ref} was deleted, so nothing can be logged in it"
        raise InvalidInput(msg, hint=f"MlflowClient().restore_run({id!r})")
    return run


def changeable(connection: Connection, id: str) -> Run:
    """The same, if a client may change what it recorded.

    Raises:
        Conflict: If the pipeline made it.
    """
    run = there(connection, id)
    if run.code:
        msg = f"{run.ref} was made by the pipeline: what it recorded cannot be changed"
        raise Conflict(msg, hint="tag it, or begin a run of your own: mlflow.start_run()")
    return run
