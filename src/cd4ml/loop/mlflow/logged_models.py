"""Logged models, as clients of MLflow 3 make and find them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from cd4ml.engines.mlflow import entities, messages
from cd4ml.engines.mlflow.entities import milliseconds, spoken
from cd4ml.engines.mlflow.search_language import (
    LOGGED_MODELS,
    Comparison,
    holds,
    parse_filter,
    parse_order,
)
from cd4ml.errors import InvalidInput
from cd4ml.experiments.logged_models import (
    change_logged_model,
    create_logged_model,
    delete_logged_model,
    end_logging,
    logged_model,
    logged_models_in,
    metrics_of_models,
)
from cd4ml.loop.mlflow.ids import OURS, experiment_to_fill, experiments_of, run_ids, run_of
from cd4ml.loop.mlflow.ordering import ordered
from cd4ml.loop.mlflow.paging import page_of
from cd4ml.loop.mlflow.told import ARTIFACTS, key_values
from cd4ml.records.experiment import Experiment
from cd4ml.records.logged_model import LoggedModel, LoggedModelMetric
from cd4ml.store import rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

_STATES = {"pending": 1, "ready": 2, "failed": 3}
_ENDINGS: dict[str, Literal["ready", "failed"]] = {
    "2": "ready",
    "3": "failed",
    "LOGGED_MODEL_READY": "ready",
    "LOGGED_MODEL_UPLOAD_FAILED": "failed",
}
_USUAL, _MOST = 100, 10_000


def create(project: Project, asked: messages.CreateLoggedModel, actor: str) -> dict[str, object]:
    """A model whose files follow.

    Raises:
        NotFound: If there is no such experiment or run.
    """
    at = project.clock.now()
    with project.database.write() as connection:
        experiment = experiment_to_fill(connection, asked.experiment_id, at=at, actor=actor)
        made = create_logged_model(
            connection,
            experiment=experiment.number,
            name=asked.name or "model",
            kind=asked.model_type,
            run=run_of(connection, asked.source_run_id) if asked.source_run_id else None,
            parameters={each.key: each.value for each in asked.params},
            tags={each.key: each.value for each in asked.tags},
            at=at,
            actor=actor,
        )
        return {"model": _told(connection, [made])[0]}


def get(project: Project, asked: messages.LoggedModelById, actor: str) -> dict[str, object]:
    """A logged model.

    Raises:
        NotFound: If there is none.
    """
    with project.database.read() as connection:
        return {"model": _told(connection, [logged_model(connection, asked.model_id)])[0]}


def finalize(
    project: Project, asked: messages.FinalizeLoggedModel, actor: str
) -> dict[str, object]:
    """The files of a logged model are complete, or will never be.

    Raises:
        NotFound: If there is none.
        InvalidInput: If the status is neither.
    """
    ending = _ENDINGS.get(str(asked.status))
    if ending is None:
        msg = f"expected LOGGED_MODEL_READY or LOGGED_MODEL_UPLOAD_FAILED, got {asked.status!r}"
        raise InvalidInput(msg)
    with project.database.write() as connection:
        ended = end_logging(connection, asked.model_id, ending, at=project.clock.now(), actor=actor)
        return {"model": _told(connection, [ended])[0]}


def delete(project: Project, asked: messages.LoggedModelById, actor: str) -> dict[str, object]:
    """Take a logged model out of the lists.

    Raises:
        NotFound: If there is none.
    """
    with project.database.write() as connection:
        delete_logged_model(connection, asked.model_id, at=project.clock.now(), actor=actor)
    return {}


def set_tags(project: Project, asked: messages.SetModelTags, actor: str) -> dict[str, object]:
    """Tag a logged model.

    Raises:
        NotFound: If there is none.
    """
    tags = {each.key: each.value for each in asked.tags}
    with project.database.write() as connection:
        changed = change_logged_model(connection, asked.model_id, tags=tags, at=project.clock.now())
        return {"model": _told(connection, [changed])[0]}


def delete_tag(project: Project, asked: messages.DeleteModelTag, actor: str) -> dict[str, object]:
    """Take a tag of a logged model away.

    Raises:
        NotFound: If there is none, or it has no such tag.
    """
    at = project.clock.now()
    with project.database.write() as connection:
        change_logged_model(connection, asked.model_id, untag=asked.tag_key, at=at)
    return {}


def log_params(project: Project, asked: messages.LogModelParams, actor: str) -> dict[str, object]:
    """Parameters of a logged model.

    Raises:
        NotFound: If there is none.
        InvalidInput: If one has another value already.
    """
    parameters = {each.key: each.value for each in asked.params}
    with project.database.write() as connection:
        change_logged_model(
            connection, asked.model_id, parameters=parameters, at=project.clock.now()
        )
    return {}


def search(project: Project, asked: messages.SearchLoggedModels, actor: str) -> dict[str, object]:
    """Logged models that fit, the newest first unless an order is asked for.

    Raises:
        InvalidInput: If the filter, the order, the page or an experiment's id cannot be.
    """
    comparisons = parse_filter(asked.filter, LOGGED_MODELS)
    page = page_of(asked.page_token, asked.max_results, usual=_USUAL, most=_MOST)
    with project.database.read() as connection:
        experiments = experiments_of(connection, asked.experiment_ids)
        numbers = [each.number for each in experiments]
        found = _told(connection, logged_models_in(connection, numbers))
    fitting = [each for each in found if _fits(each, comparisons, asked.datasets)]
    for order in reversed(asked.order_by):
        fitting = ordered(fitting, _sorted_by(order), is_ascending=order.ascending)
    shown, token = page.of(fitting)
    return {"models": shown, "next_page_token": token}


def _told(connection: Connection, models: list[LoggedModel]) -> list[entities.LoggedModel]:
    metrics = metrics_of_models(connection, [model.id for model in models])
    numbers = {metric.run for each in metrics.values() for metric in each}
    ids = run_ids(connection, numbers | {model.run for model in models})
    default = rows.find(connection, Experiment, name=OURS)
    zero = default[0].number if default else 0
    return [
        entities.LoggedModel(
            info=entities.LoggedModelInfo(
                model_id=model.id,
                experiment_id="0" if model.experiment == zero else str(model.experiment),
                name=model.name,
                creation_timestamp_ms=milliseconds(model.created_at),
                last_updated_timestamp_ms=milliseconds(model.changed_at),
                artifact_uri=f"{ARTIFACTS}/models/{model.id}/artifacts",
                status=_STATES[model.state],
                model_type=model.kind,
                source_run_id=ids[model.run] if model.run else "",
                tags=key_values(model.tags),
            ),
            data=entities.LoggedModelData(
                params=key_values(model.parameters),
                metrics=[
                    _metric(each, ids[each.run] if each.run else "")
                    for each in metrics.get(model.id, [])
                ],
            ),
        )
        for model in models
    ]


def _metric(metric: LoggedModelMetric, run: str) -> entities.Metric:
    value = float("nan") if metric.value is None else metric.value
    return entities.Metric(
        key=metric.name,
        value=spoken(value),
        timestamp=milliseconds(metric.logged_at),
        step=metric.step,
        run_id=run,
        model_id=metric.model,
        dataset_name=metric.dataset,
        dataset_digest=metric.digest,
    )


def _fits(
    model: entities.LoggedModel,
    comparisons: list[Comparison],
    datasets: list[messages.DatasetNamed],
) -> bool:
    """Whether all comparisons hold, those of metrics on one of the datasets, if some are named."""
    taken = [
        metric
        for metric in model.data.metrics
        if not datasets
        or any(
            metric.dataset_name == each.dataset_name
            and each.dataset_digest in ("", metric.dataset_digest)
            for each in datasets
        )
    ]
    for comparison in comparisons:
        if comparison.kind == "metric":
            values = [float(each.value) for each in taken if each.key == comparison.key]
            if not any(holds(comparison, value) for value in values):
                return False
        elif not holds(comparison, _value(model, comparison.kind, comparison.key)):
            return False
    return bool(taken) or not datasets


def _value(model: entities.LoggedModel, kind: str, key: str) -> Any:
    if kind == "param":
        return {each.key: each.value for each in model.data.params}.get(key)
    if kind == "tag":
        return {each.key: each.value for each in model.info.tags}.get(key)
    info = model.info
    return {
        "name": info.name,
        "model_id": info.model_id,
        "model_type": info.model_type,
        "source_run_id": info.source_run_id,
        "status": {1: "PENDING", 2: "READY", 3: "FAILED"}[info.status],
        "creation_timestamp": info.creation_timestamp_ms,
        "creation_time": info.creation_timestamp_ms,
        "last_updated_timestamp": info.last_updated_timestamp_ms,
        "last_updated_time": info.last_updated_timestamp_ms,
    }[key]


def _sorted_by(asked: messages.ModelOrder) -> Callable[[entities.LoggedModel], Any]:
    order = parse_order(asked.field_name, LOGGED_MODELS)

    def value(model: entities.LoggedModel) -> Any:
        if order.kind != "metric":
            return _value(model, order.kind, order.key)
        values = [
            float(metric.value)
            for metric in model.data.metrics
            if metric.key == order.key
            and asked.dataset_name in ("", metric.dataset_name)
            and asked.dataset_digest in ("", metric.dataset_digest)
        ]
        return next((value for value in values if value == value), next(iter(values), None))

    return value
