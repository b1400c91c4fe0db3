"""Our records as MLflow's clients read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from cd4ml.engines.mlflow import entities
from cd4ml.engines.mlflow.entities import KeyValue, milliseconds, spoken
from cd4ml.loop.mlflow.ids import OURS, THEIRS, experiment_id, run_ids
from cd4ml.records.experiment import Experiment
from cd4ml.records.logged_model import RunModel
from cd4ml.records.run import Metric, Run
from cd4ml.records.run_input import RunInput
from cd4ml.store.rows import fetch
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking.history import metrics_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

NAME, NOTE, USER, CONTEXT = (
    "mlflow.runName",
    "mlflow.note.content",
    "mlflow.user",
    "mlflow.data.context",
)
ARTIFACTS = "mlflow-artifacts:"

_STATUS: dict[str, entities.RunStatus] = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
}
_ASKED = 500

Linked = TypeVar("Linked", RunInput, RunModel)
OfRun = TypeVar("OfRun", Metric, RunInput, RunModel)


def told_experiment(experiment: Experiment) -> entities.Experiment:
    """An experiment."""
    id = experiment_id(experiment)
    note = {NOTE: experiment.note} if experiment.note else {}
    at = milliseconds(experiment.created_at)
    return entities.Experiment(
        experiment_id=id,
        name=THEIRS if experiment.name == OURS else experiment.name,
        artifact_location=f"{ARTIFACTS}/experiments/{id}",
        lifecycle_stage="deleted" if experiment.deleted_at else "active",
        creation_time=at,
        last_update_time=max(at, milliseconds(experiment.deleted_at)),
        tags=key_values({**experiment.tags, **note}),
    )


def told_runs(connection: Connection, runs: list[Run]) -> list[entities.Run]:
    """Runs with the latest value of each metric, and what they read and made."""
    numbers = [run.number for run in runs]
    ids = run_ids(connection, numbers)
    experiments = _experiment_ids(connection, {run.experiment for run in runs})
    metrics = _grouped(metrics_of(connection, numbers))
    inputs = _grouped(_of(connection, RunInput, numbers))
    models = _grouped(_of(connection, RunModel, numbers))
    return [
        entities.Run(
            info=_info(run, ids[run.number], experiments[run.experiment]),
            data=entities.RunData(
                metrics=[_metric(each) for each in metrics.get(run.number, [])],
                params=key_values({name: text(value) for name, value in run.parameters.items()}),
                tags=key_values(run_tags(run)),
            ),
            inputs=entities.RunInputs(
                dataset_inputs=[*_from_catalog(run), *map(_input, inputs.get(run.number, []))],
                model_inputs=[
                    entities.ModelInput(model_id=each.model)
                    for each in models.get(run.number, [])
                    if each.role == "read"
                ],
            ),
            outputs=entities.RunOutputs(
                model_outputs=[
                    entities.ModelOutput(model_id=each.model, step=each.step)
                    for each in models.get(run.number, [])
                    if each.role == "made"
                ]
            ),
        )
        for run in runs
    ]


def told_info(connection: Connection, run: Run) -> entities.RunInfo:
    """Who ran, when, and how it ended."""
    return told_runs(connection, [run])[0].info


def status_of(run: Run) -> entities.RunStatus:
    """How a run is, in MLflow's words."""
    return _STATUS[run.state]


def run_tags(run: Run) -> dict[str, str]:
    """The tags of a run, with those that MLflow makes of its name, note, author and revision."""
    ours = {
        NAME: run.name or run.ref,
        NOTE: run.note,
        USER: run.tags.get(USER, run.created_by),
        "mlflow.source.git.commit": run.revision,
    }
    return {**run.tags, **{key: value for key, value in ours.items() if value}}


def key_values(pairs: Mapping[str, str]) -> list[KeyValue]:
    """Tags or parameters, by key."""
    return [KeyValue(key, value) for key, value in sorted(pairs.items())]


def text(value: Any) -> str:
    """A parameter as MLflow has it: a text.

    Examples:
        >>> text(0.1), text("adam"), text([1, 2]), text(None)
        ('0.1', 'adam', '[1, 2]', 'None')
    """
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _info(run: Run, id: str, experiment: str) -> entities.RunInfo:
    return entities.RunInfo(
        run_id=id,
        run_uuid=id,
        run_name=run.name or run.ref,
        experiment_id=experiment,
        user_id=run.tags.get(USER, run.created_by),
        status=status_of(run),
        start_time=milliseconds(run.started_at),
        end_time=milliseconds(run.finished_at),
        artifact_uri=f"{ARTIFACTS}/runs/{id}/artifacts",
        lifecycle_stage="deleted" if run.deleted_at else "active",
    )


def _metric(metric: Metric) -> entities.Metric:
    number = metric.number
    return entities.Metric(
        key=metric.name,
        value=spoken(float("nan") if number is None else number),
        timestamp=milliseconds(metric.logged_at),
        step=metric.step,
    )


def _input(used: RunInput) -> entities.DatasetInput:
    context = {CONTEXT: used.context} if used.context else {}
    return entities.DatasetInput(
        dataset=entities.Dataset(
            name=used.name,
            digest=used.digest,
            source_type=used.source_type,
            source=used.source,
            schema=used.schema,
            profile=used.profile,
        ),
        tags=key_values({**used.tags, **context}),
    )


def _from_catalog(run: Run) -> list[entities.DatasetInput]:
    """The dataset versions that steps of the pipeline took."""
    return [
        entities.DatasetInput(
            dataset=entities.Dataset(
                name=name,
                digest=digest.removeprefix("blake3:")[:36],
                source_type="cd4ml",
                source=json.dumps({"version": run.refs.get(name, ""), "digest": digest}),
            )
        )
        for name, digest in sorted(run.datasets.items())
    ]


def _experiment_ids(connection: Connection, names: set[str]) -> dict[str, str]:
    table = TABLES[Experiment]
    found = dict.fromkeys(names, "")
    asked = sorted(names)
    for i in range(0, len(asked), _ASKED):
        chosen = table.select().where(table.c.name.in_(asked[i : i + _ASKED]))
        for experiment in fetch(connection, Experiment, chosen):
            found[experiment.name] = experiment_id(experiment)
    return found


def _of(connection: Connection, kind: type[Linked], numbers: list[int]) -> list[Linked]:
    table = TABLES[kind]
    found: list[Linked] = []
    for i in range(0, len(numbers), _ASKED):
        chosen = table.select().where(table.c.run.in_(numbers[i : i + _ASKED]))
        found += fetch(connection, kind, chosen.order_by(*table.primary_key))
    return found


def _grouped(each: Iterable[OfRun]) -> dict[int, list[OfRun]]:
    found: dict[int, list[OfRun]] = {}
    for one in each:
        found.setdefault(one.run, []).append(one)
    return found
