"""What MLflow's clients log in runs: metrics, parameters, tags, data and models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from cd4ml.engines.mlflow import messages
from cd4ml.engines.mlflow.entities import (
    DatasetInput,
    KeyValue,
    milliseconds,
    moment,
    understood,
)
from cd4ml.errors import AlreadyExists, InvalidInput
from cd4ml.experiments.logged_models import log_model_metrics
from cd4ml.loop.mlflow.runs import changeable, there
from cd4ml.loop.mlflow.told import CONTEXT, NAME, NOTE
from cd4ml.records.logged_model import LoggedModelMetric, RunModel
from cd4ml.records.point import Point
from cd4ml.records.run import Metric as MetricRow
from cd4ml.records.run import Run
from cd4ml.records.run_input import RunInput
from cd4ml.store import rows
from cd4ml.store.tracking.history import columns_from
from cd4ml.store.tracking.logged import log_inputs, log_metrics, log_parameters
from cd4ml.store.tracking.packing import values_of
from cd4ml.store.tracking.runs import change_run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

_LONGEST_KEY = 250  # characters
_MOST_METRICS = 1_000_000  # in a batch

Nothing = dict[str, object]
_Key = tuple[float | str, int, int]


def log_metric(project: Project, asked: messages.LogMetric, actor: str) -> Nothing:
    """One value of a metric."""
    one = messages.LoggedMetric(
        key=asked.key,
        value=asked.value,
        timestamp=asked.timestamp,
        step=asked.step,
        model_id=asked.model_id,
        dataset_name=asked.dataset_name,
        dataset_digest=asked.dataset_digest,
    )
    return log_batch(project, messages.LogBatch(run_id=asked.run, metrics=[one]), actor)


def log_param(project: Project, asked: messages.LogParam, actor: str) -> Nothing:
    """One parameter."""
    pair = KeyValue(asked.key, asked.value)
    return log_batch(project, messages.LogBatch(run_id=asked.run, params=[pair]), actor)


def set_tag(project: Project, asked: messages.SetTag, actor: str) -> Nothing:
    """One tag: `mlflow.runName` is the run's name, `mlflow.note.content` its note."""
    pair = KeyValue(asked.key, asked.value)
    return log_batch(project, messages.LogBatch(run_id=asked.run, tags=[pair]), actor)


def log_batch(project: Project, asked: messages.LogBatch, actor: str) -> Nothing:
    """Values, parameters and tags of one run, all of them or none.

    Raises:
        NotFound: If there is no such run.
        Conflict: If the pipeline made it: only its tags can change.
        InvalidInput: If a parameter has another value already, or something cannot be kept.
    """
    at = project.clock.now()
    points = [_point(each, at) for each in asked.metrics]
    _refuse_many(asked)
    with project.database.write() as connection:
        has_values = bool(asked.metrics or asked.params)
        run = changeable(connection, asked.run) if has_values else there(connection, asked.run)
        if asked.params:
            _log_parameters(connection, run, asked.params)
        if asked.tags:
            _tag(connection, run, {each.key: each.value for each in asked.tags}, at, actor)
        if points:
            log_metrics(connection, run.number, _unknown(connection, run, points))
            log_model_metrics(connection, _of_models(run, asked.metrics, at))
    return {}


def log_run_inputs(project: Project, asked: messages.LogInputs, actor: str) -> Nothing:
    """Datasets and models that a run read.

    Raises:
        NotFound: If there is no such run.
    """
    at = project.clock.now()
    with project.database.write() as connection:
        run = changeable(connection, asked.run)
        known = {
            (each.name, each.digest) for each in rows.find(connection, RunInput, run=run.number)
        }
        given = [_input(run, each, at) for each in asked.datasets]
        # a metric logged with a dataset names it again, without what it is for
        new = [each for each in given if each.context or (each.name, each.digest) not in known]
        log_inputs(connection, new)
        for model in asked.models:
            rows.put(connection, RunModel(run=run.number, model=model.model_id, role="read"))
    return {}


def log_outputs(project: Project, asked: messages.LogOutputs, actor: str) -> Nothing:
    """Models that a run made.

    Raises:
        NotFound: If there is no such run.
    """
    with project.database.write() as connection:
        run = changeable(connection, asked.run)
        for model in asked.models:
            made = RunModel(run=run.number, model=model.model_id, role="made", step=model.step)
            rows.put(connection, made)
    return {}


def log_model(project: Project, asked: messages.LogModel, actor: str) -> Nothing:
    """What clients before MLflow 3 tell of a model among a run's artifacts: kept as a tag.

    Raises:
        NotFound: If there is no such run.
    """
    import json

    key = "mlflow.log-model.history"
    with project.database.write() as connection:
        run = there(connection, asked.run)
        try:
            told = [*json.loads(run.tags.get(key, "[]")), json.loads(asked.model_json)]
        except ValueError:
            raise InvalidInput("expected JSON as model_json") from None
        at = project.clock.now()
        change_run(connection, run.number, tags={key: json.dumps(told)}, at=at, actor=actor)
    return {}


def _point(logged: messages.LoggedMetric, at: datetime) -> Point:
    _refuse_key(logged.key)
    time_ms = logged.timestamp or milliseconds(at)
    return Point(logged.key, understood(logged.value), logged.step, time_ms)


def _of_models(
    run: Run, logged: list[messages.LoggedMetric], at: datetime
) -> list[LoggedModelMetric]:
    found = []
    for each in logged:
        if not each.model_id:
            continue
        value = understood(each.value)
        is_nan = value != value
        found.append(
            LoggedModelMetric(
                model=each.model_id,
                name=each.key,
                dataset=each.dataset_name,
                digest=each.dataset_digest,
                run=run.number,
                value=None if is_nan else value,
                is_nan=is_nan,
                step=each.step,
                logged_at=moment(each.timestamp) if each.timestamp else at,
            )
        )
    return found


def _unknown(connection: Connection, run: Run, points: list[Point]) -> list[Point]:
    """The points that the run does not have yet, each once.

    Clients send a point again whose answer was lost, or to say which model it is of.
    """
    earliest: dict[str, tuple[int, int]] = {}
    for each in points:
        at = (each.step, each.time_ms)
        earliest[each.name] = min(at, earliest.get(each.name, at))
    seen: dict[str, set[_Key]] = {}
    for name, (step, time_ms) in earliest.items():
        known = rows.find(connection, MetricRow, run=run.number, name=name)
        # what is later than all there is, is new: a long history is not read for it
        is_later = all((step, time_ms) > (one.step, milliseconds(one.logged_at)) for one in known)
        seen[name] = set() if is_later else _known(connection, run, name)
    new = []
    for each in points:
        key = _key(each.value, each.step, each.time_ms)
        if key not in seen[each.name]:
            seen[each.name].add(key)
            new.append(each)
    return new


def _known(connection: Connection, run: Run, name: str) -> set[_Key]:
    columns = columns_from(connection, run.number, name)
    values = values_of(columns.values)
    steps, times = columns.steps.tolist(), columns.times_ms.tolist()
    return {_key(*each) for each in zip(values, steps, times, strict=True)}


def _key(value: float | None, step: int, time_ms: int) -> _Key:
    """A point; NaN, which is no other NaN, as a text."""
    return ("nan" if value is None or value != value else value, step, time_ms)


def _log_parameters(connection: Connection, run: Run, given: list[KeyValue]) -> None:
    parameters: dict[str, str] = {}
    for each in given:
        _refuse_key(each.key)
        if each.key in parameters:
            msg = f"the parameter {each.key!r} is twice in one batch"
            raise InvalidInput(msg, hint="send it once")
        parameters[each.key] = each.value
    try:
        log_parameters(connection, run.number, parameters, is_fixed=True)
    except AlreadyExists as error:
        raise InvalidInput(error.message, hint="log it under another name") from None


def _tag(
    connection: Connection, run: Run, tags: Mapping[str, str], at: datetime, actor: str
) -> None:
    for key in tags:
        _refuse_key(key)
    change_run(
        connection,
        run.number,
        name=tags.get(NAME),
        note=tags.get(NOTE),
        tags={key: value for key, value in tags.items() if key not in (NAME, NOTE)},
        at=at,
        actor=actor,
    )


def _input(run: Run, given: DatasetInput, at: datetime) -> RunInput:
    tags = {tag.key: tag.value for tag in given.tags}
    return RunInput(
        run=run.number,
        name=given.dataset.name,
        digest=given.dataset.digest,
        context=tags.pop(CONTEXT, ""),
        source=given.dataset.source,
        source_type=given.dataset.source_type,
        schema=given.dataset.schema,
        profile=given.dataset.profile,
        tags=tags,
        logged_at=at,
    )


def _refuse_key(key: str) -> None:
    if not key or len(key) > _LONGEST_KEY:
        msg = f"expected a name of 1 to {_LONGEST_KEY} characters, got {key!r:.80}"
        raise InvalidInput(msg)


def _refuse_many(asked: messages.LogBatch) -> None:
    if len(asked.metrics) > _MOST_METRICS:
        msg = f"a batch has at most {_MOST_METRICS:,} metrics, got {len(asked.metrics):,}"
        raise InvalidInput(msg, hint="send several batches")
