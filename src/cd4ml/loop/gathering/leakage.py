"""What the rows of a run, and what its steps read, say about leaks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cd4ml.gates.overlap import shared_rows
from cd4ml.loop.apart import contracts_of, key_of
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.gathering.codes import codes
from cd4ml.loop.gathering.moments import moments
from cd4ml.loop.gathering.upstream import steps_upstream
from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.records.leakage_gate import AloneColumn, LateColumn, LeakageEvidence, TimeSplit

if TYPE_CHECKING:
    import polars as pl

_HOUR = timedelta(hours=1)


def gather_leakage(asked: Asked, gates: tuple[Any, ...]) -> LeakageEvidence:
    """Training and holdout beside each other, by rows, requests, columns and times; and the steps.

    Which of the model's inputs hold rows of the holdout is counted for the steps that learn: those
    that return no rows, and those that a gate names.
    """
    project, training, holdout = asked.project, asked.training, asked.holdout
    key = key_of(project, asked.candidate, training, holdout)
    shared = shared_rows(training, holdout, key)
    features = [name for name in asked.runtime.contract.names if name in training.columns]
    upstream = steps_upstream(asked, key, tuple(name for gate in gates for name in gate.fits))
    return LeakageEvidence(
        n_training=training.height,
        n_holdout=holdout.height,
        n_shared=shared.n_rows,
        shared_by=shared.columns,
        n_repeated=shared_rows(training.select(features), holdout).n_rows,
        alone=tuple(_alone(asked, name) for name in features),
        late=tuple(_late(asked)),
        split=_split(training, holdout, project.settings.model.event_time),
        steps=upstream.steps,
        no_steps=upstream.unknown,
    )


def _alone(asked: Asked, name: str) -> AloneColumn:
    import polars as pl

    from cd4ml.measures.alone import is_binary, predicts_alone

    target = asked.project.settings.model.target
    seen, judged = (
        part[target].cast(pl.Float64).to_numpy() for part in (asked.training, asked.holdout)
    )
    measure = "auc" if is_binary(seen) and is_binary(judged) else "explained variance"
    coded = codes(asked.training[name], asked.holdout[name])
    try:
        estimate = predicts_alone(coded.seen, seen, coded.asked, judged)
    except UndefinedMeasure as error:
        return AloneColumn(column=name, measure=measure, problem=str(error))
    is_open = measure != "auc"
    return AloneColumn(
        column=name,
        measure=measure,
        value=estimate.value,
        low=None if is_open else estimate.low,
        high=None if is_open else estimate.high,
    )


def _late(asked: Asked) -> Iterator[LateColumn]:
    """Every column of times but the event time itself, in training and holdout together."""
    event = asked.project.settings.model.event_time
    arrivals = {c.arrival_time for c in contracts_of(asked.project, asked.candidate)}
    parts = (asked.training, asked.holdout)
    if not all(event in part.columns and part[event].dtype.is_temporal() for part in parts):
        return
    for name in asked.holdout.columns:
        both = [part for part in parts if name in part.columns]
        if name != event and len(both) == len(parts) and asked.holdout[name].dtype.is_temporal():
            yield LateColumn(
                column=name,
                n_late=sum(_n_later(part, name, event) for part in both),
                n_rows=sum(part.height for part in both),
                is_arrival=name in arrivals,
            )


def _n_later(part: pl.DataFrame, name: str, event: str) -> int:
    return int((moments(part[name]) > moments(part[event])).fill_null(value=False).sum())


def _split(training: pl.DataFrame, holdout: pl.DataFrame, event: str) -> TimeSplit | None:
    parts = (training, holdout)
    if not all(event in part.columns and part[event].dtype.is_temporal() for part in parts):
        return None
    learned, judged = moments(training[event]), moments(holdout[event])
    last, first = learned.max(), judged.min()
    if not (isinstance(last, datetime) and isinstance(first, datetime)):
        return None
    return TimeSplit(
        column=event,
        n_late=int((learned >= first).sum()),
        gap_hours=(first - last) / _HOUR,
    )
