"""Models as runs logged them: made, completed, tagged, found."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.records.logged_model import LoggedModel, LoggedModelFile, LoggedModelMetric
from cd4ml.records.run import Run
from cd4ml.store import ledger, rows
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection

_MODELS, _METRICS = TABLES[LoggedModel], TABLES[LoggedModelMetric]
_ASKED = 500  # ids in one question


def create_logged_model(
    connection: Connection,
    *,
    experiment: int,
    name: str,
    kind: str = "",
    run: Run | None = None,
    parameters: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    at: datetime,
    actor: str,
) -> LoggedModel:
    """A model whose files follow.

    Args:
        connection: Of a write transaction.
        experiment: The number of the experiment that it belongs to.
        name: What to call it.
        kind: What sort of model it is.
        run: The run that logs it.
        parameters: Name -> value.
        tags: Name -> value.
        at: When.
        actor: Who.
    """
    model = LoggedModel(
        id=f"m-{uuid.uuid4().hex}",
        experiment=experiment,
        name=name,
        kind=kind,
        run=run.number if run else 0,
        parameters=dict(parameters or {}),
        tags=dict(tags or {}),
        created_at=at,
        created_by=actor,
        changed_at=at,
    )
    rows.insert(connection, model)
    return model


def logged_model(connection: Connection, id: str) -> LoggedModel:
    """A logged model that was not deleted.

    Raises:
        NotFound: If there is none.
    """
    found = rows.find(connection, LoggedModel, id=id)
    if not found or found[0].deleted_at is not None:
        msg = f"no logged model {id!r}"
        hint = "it was deleted" if found else "mlflow.search_logged_models() lists those there are"
        raise NotFound(msg, hint=hint)
    return found[0]


def end_logging(
    connection: Connection, id: str, state: Literal["ready", "failed"], *, at: datetime, actor: str
) -> LoggedModel:
    """Say that the files of a logged model are complete, or will never be.

    Raises:
        NotFound: If there is none.
    """
    old = logged_model(connection, id)
    new = msgspec.structs.replace(old, state=state, changed_at=at)
    rows.replace(connection, new)
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action=f"logged_model.{state}",
        subject=id,
        details={"name": old.name, "run": f"run/{old.run}" if old.run else ""},
    )
    return new


def change_logged_model(
    connection: Connection,
    id: str,
    *,
    parameters: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    untag: str = "",
    at: datetime,
) -> LoggedModel:
    """Add parameters and tags to a logged model, or take a tag away.

    Raises:
        NotFound: If there is none, or it has no such tag.
        InvalidInput: If a parameter has another value already.
    """
    old = logged_model(connection, id)
    for name, value in (parameters or {}).items():
        if old.parameters.get(name, value) != value:
            msg = f"the parameter {name!r} of {id} is {old.parameters[name]!r} already"
            raise InvalidInput(f"{msg}, and cannot become {value!r}")
    if untag and untag not in old.tags:
        known = ", ".join(sorted(old.tags)) or "none"
        raise NotFound(f"{id} has no tag {untag!r}", hint=f"known: {known}")
    kept = {name: value for name, value in old.tags.items() if name != untag}
    new = msgspec.structs.replace(
        old,
        parameters={**old.parameters, **(parameters or {})},
        tags={**kept, **(tags or {})},
        changed_at=at,
    )
    rows.replace(connection, new)
    return new


def delete_logged_model(connection: Connection, id: str, *, at: datetime, actor: str) -> None:
    """Take a logged model out of every list; versions made of it stay.

    Raises:
        NotFound: If there is none.
    """
    old = logged_model(connection, id)
    rows.replace(connection, msgspec.structs.replace(old, deleted_at=at))
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action="logged_model.deleted",
        subject=id,
        details={"name": old.name},
    )


def logged_models_in(connection: Connection, experiments: Iterable[int]) -> list[LoggedModel]:
    """The logged models of some experiments that were not deleted, the newest first."""
    wanted = sa.and_(_MODELS.c.experiment.in_(list(experiments)), _MODELS.c.deleted_at.is_(None))
    newest_first = _MODELS.select().where(wanted)
    newest_first = newest_first.order_by(_MODELS.c.created_at.desc(), _MODELS.c.id)
    return rows.fetch(connection, LoggedModel, newest_first)


def log_model_metrics(connection: Connection, metrics: Iterable[LoggedModelMetric]) -> None:
    """Keep the latest value of each metric of logged models, on each dataset.

    Raises:
        NotFound: If there is no such logged model.
    """
    latest: dict[tuple[str, str, str, str], LoggedModelMetric] = {}
    for metric in metrics:
        key = (metric.model, metric.name, metric.dataset, metric.digest)
        known = latest.get(key) or _kept(connection, metric)
        if known is None or (metric.step, metric.logged_at) >= (known.step, known.logged_at):
            latest[key] = metric
    rows.put_all(connection, [*latest.values()])


def _kept(connection: Connection, metric: LoggedModelMetric) -> LoggedModelMetric | None:
    logged_model(connection, metric.model)
    known = rows.find(
        connection,
        LoggedModelMetric,
        model=metric.model,
        name=metric.name,
        dataset=metric.dataset,
        digest=metric.digest,
    )
    return known[0] if known else None


def metrics_of_models(
    connection: Connection, models: Iterable[str]
) -> dict[str, list[LoggedModelMetric]]:
    """The metrics of some logged models, by model."""
    asked = sorted(models)
    found: dict[str, list[LoggedModelMetric]] = {}
    for i in range(0, len(asked), _ASKED):
        some = _METRICS.select().where(_METRICS.c.model.in_(asked[i : i + _ASKED]))
        for metric in rows.fetch(
            connection, LoggedModelMetric, some.order_by(*_METRICS.primary_key)
        ):
            found.setdefault(metric.model, []).append(metric)
    return found


def files_of(connection: Connection, model: str) -> list[LoggedModelFile]:
    """The files of a logged model, by path."""
    return rows.find(connection, LoggedModelFile, model=model)
