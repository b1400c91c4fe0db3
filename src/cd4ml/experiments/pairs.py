"""Two runs' answers to the same rows, measured together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cd4ml.measures.calibration import reliability
from cd4ml.measures.catalog import MEASURES
from cd4ml.measures.classification import correct_answers
from cd4ml.measures.estimate import Estimate, UndefinedMeasure, paired_mean_difference
from cd4ml.measures.paired import mcnemar, paired_bootstrap
from cd4ml.records.pair import Calibrated, Confusion, Pair, PairedMetric, Scored

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Compared = Callable[[Numbers, Numbers, Numbers], tuple[float, float, Estimate]]

SCORE = "score"
LEAST_ROWS = 100  # of a slice

_LABELLED = ("auc", "brier", "log_loss", "accuracy")  # what tells two classifiers apart
_THRESHOLD = 0.5
_MOST_SLICES = 20  # of a column; more would hide what matters


def pair_of(
    first: tuple[str, pl.DataFrame],
    second: tuple[str, pl.DataFrame],
    *,
    target: str,
    slices: Sequence[str] = (),
) -> Pair:
    """Two runs on the rows that both have scored.

    Args:
        first: The ref of a run and its scored rows: the target, `score`, and what else tells
            the rows apart.
        second: Those of the other run.
        target: The column with what came true.
        slices: Columns whose values are measured by themselves as well.

    Returns:
        The metrics of both; without any, and with the reason, if the rows are not the same.
    """
    reason = _unfit(*first, target) or _unfit(*second, target)
    if reason:
        nothing = [Scored(run=name, confusion=None, calibration=()) for name, _ in (first, second)]
        return Pair(first=nothing[0], second=nothing[1], reason=reason)
    scored = [_scored(name, frame, target) for name, frame in (first, second)]
    reason = _not_the_same(first[1], second[1])
    if reason:
        return Pair(first=scored[0], second=scored[1], reason=reason)
    rows = first[1]
    y, a, b = (_numbers(frame, name) for frame, name in (
        (rows, target), (rows, SCORE), (second[1], SCORE),
    ))  # fmt: skip
    metrics = [*_metrics(y, a, b)]
    for column in slices:
        metrics += _sliced(rows, column, y, a, b)
    pair = Pair(first=scored[0], second=scored[1], n_rows=rows.height, metrics=tuple(metrics))
    return _with_test(pair, y, a, b)


def _scored(name: str, frame: pl.DataFrame, target: str) -> Scored:
    y, score = _numbers(frame, target), _numbers(frame, SCORE)
    if not _are_probabilities(y, score):
        return Scored(run=name, confusion=None, calibration=())
    said, came = score >= _THRESHOLD, y == 1
    return Scored(
        run=name,
        confusion=Confusion(
            true_positive=int((said & came).sum()),
            false_positive=int((said & ~came).sum()),
            false_negative=int((~said & came).sum()),
            true_negative=int((~said & ~came).sum()),
        ),
        calibration=tuple(
            Calibrated(
                said=each.mean_score,
                observed=each.observed.value,
                low=each.observed.low,
                high=each.observed.high,
                n=each.observed.n,
            )
            for each in reliability(y, score)
        ),
    )


def _unfit(name: str, frame: pl.DataFrame, target: str) -> str:
    """Why rows cannot be measured; "" if they can."""
    if frame.is_empty():
        return f"{name} scored no rows"
    for column in (target, SCORE):
        type_ = frame.schema[column]
        if not (type_.is_numeric() or str(type_) == "Boolean"):
            return f"{column!r} of {name} holds {type_}, not numbers"
        n = int((~np.isfinite(_numbers(frame, column))).sum())
        if n:
            return f"{column!r} of {name} is missing or not finite in {n:,} rows"
    return ""


def _not_the_same(first: pl.DataFrame, second: pl.DataFrame) -> str:
    if first.drop(SCORE).equals(second.drop(SCORE)):
        return ""
    if first.height != second.height:
        return f"they scored {first.height:,} and {second.height:,} rows"
    return "the rows they scored are not the same, or not in the same order"


def _numbers(frame: pl.DataFrame, column: str) -> Numbers:
    import polars as pl

    return frame[column].cast(pl.Float64).to_numpy()


def _are_probabilities(y: Numbers, *scores: Numbers) -> bool:
    is_label = bool(np.isin(y, (0.0, 1.0)).all()) and y.size > 0
    return is_label and all(((s >= 0) & (s <= 1)).all() for s in scores)


def _metrics(y: Numbers, a: Numbers, b: Numbers, slice_: str = "") -> Iterator[PairedMetric]:
    for name, compared in _measures(y, a, b).items():
        try:
            first, second, difference = compared(y, a, b)
        except UndefinedMeasure:  # one class only
            continue
        yield PairedMetric(
            metric=name,
            slice=slice_,
            first=first,
            second=second,
            difference=difference.value,
            low=difference.low,
            high=difference.high,
            n=y.size,
        )


def _measures(y: Numbers, a: Numbers, b: Numbers) -> dict[str, Compared]:
    if not _are_probabilities(y, a, b):
        return {"mae": _mae, "rmse": _rmse}
    return {name: _labelled(name) for name in _LABELLED}


def _labelled(name: str) -> Compared:
    measure = MEASURES[name]
    difference = measure.difference
    assert difference is not None  # each of _LABELLED has one

    def compared(y: Numbers, a: Numbers, b: Numbers) -> tuple[float, float, Estimate]:
        return measure.function(y, a).value, measure.function(y, b).value, difference(y, b, a)

    return compared


def _mae(y: Numbers, a: Numbers, b: Numbers) -> tuple[float, float, Estimate]:
    off_a, off_b = np.abs(a - y), np.abs(b - y)
    return float(off_a.mean()), float(off_b.mean()), paired_mean_difference(off_b, off_a)


def _rmse(y: Numbers, a: Numbers, b: Numbers) -> tuple[float, float, Estimate]:
    def rmse(truth: Numbers, score: Numbers) -> float:
        return float(np.sqrt(np.mean((truth - score) ** 2)))

    return rmse(y, a), rmse(y, b), paired_bootstrap(y, b, a, rmse)


def _sliced(
    rows: pl.DataFrame, column: str, y: Numbers, a: Numbers, b: Numbers
) -> list[PairedMetric]:
    """The metrics on the rows of each value, the largest slices first."""
    import polars as pl

    if column not in rows.columns:
        return []
    values = rows[column].cast(pl.String).fill_null("null")
    counts = values.value_counts().sort(["count", column], descending=[True, False])
    found: list[PairedMetric] = []
    for value, n in counts.head(_MOST_SLICES).iter_rows():
        if n >= LEAST_ROWS:
            here = (values == value).to_numpy()
            found += _metrics(y[here], a[here], b[here], f"{column}={value}")
    return found


def _with_test(pair: Pair, y: Numbers, a: Numbers, b: Numbers) -> Pair:
    import msgspec

    if not _are_probabilities(y, a, b):
        return pair
    right = [correct_answers(y, score, threshold=_THRESHOLD) for score in (a, b)]
    found = mcnemar(*right)
    return msgspec.structs.replace(
        pair, only_first=found.only_a, only_second=found.only_b, p_value=found.p_value
    )
