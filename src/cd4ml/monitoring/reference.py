"""What a version was like at its release: the rows it learned from, how good it was then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING

import msgspec

from cd4ml.errors import ConfigurationError
from cd4ml.monitoring.profile import ColumnProfile, Profile, column_profile, profile

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import ArrayLike

    from cd4ml.measures.catalog import Measure
    from cd4ml.measures.estimate import Estimate
    from cd4ml.records.contract import Contract


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """How good a version was on its holdout.

    `gap` is how much better it was than the trivial model on the same rows (above 0: better,
    also for losses), with the 95 % interval `low` to `high`; None is an end that the rows
    leave open. The gap rather than the value is compared with production, because some months
    are harder than others for any model.
    """

    metric: str
    value: float
    gap: float
    low: float | None
    high: float | None
    n_rows: int


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """One version at its release, all that monitoring compares its production with.

    `base_rate` is the mean of the target in the training rows: what the trivial model
    answers. `inputs` profiles these rows, `scores` the version's answers on its holdout.
    """

    model: str
    number: int
    base_rate: float
    inputs: Profile
    scores: ColumnProfile
    levels: tuple[Level, ...]


def reference_of(
    training: pl.DataFrame,
    holdout: pl.DataFrame,
    *,
    model: str,
    number: int,
    contract: Contract,
    target: str,
    metrics: Sequence[str],
) -> Reference:
    """The reference of a version.

    Args:
        training: The rows it learned from: the contract's columns and the target.
        holdout: The rows it was judged on: the target, and its answers as `score`.
        model: The version's model.
        number: The version's number.
        contract: Of its requests: which columns are profiled.
        target: The column with what really happened.
        metrics: Names of measures. One that the holdout cannot define gets no level.

    Raises:
        ConfigurationError: If there is no such measure.
    """
    import polars as pl

    base_rate = float(training[target].cast(pl.Float64).mean())  # type: ignore[arg-type]
    return Reference(
        model=model,
        number=number,
        base_rate=base_rate,
        inputs=profile(training.select(contract.names)),
        scores=column_profile(holdout["score"]),
        levels=tuple(_levels(metrics, holdout[target], holdout["score"], base_rate)),
    )


def level_of(metric: str, y_true: ArrayLike, score: ArrayLike, base_rate: float) -> Level:
    """How good some answers are beside the trivial model's on the same rows.

    Raises:
        ConfigurationError: If there is no such measure.
        UndefinedMeasure: If these rows cannot define it (no rows, one class only).
        ValueError: If a label is none that the measure takes.
    """
    import numpy as np

    measure = measure_named(metric)
    labels, scores = np.asarray(y_true, dtype=np.float64), np.asarray(score, dtype=np.float64)
    estimate = measure.function(labels, scores)
    gap = _gap(measure, labels, scores, base_rate)
    return Level(
        metric=metric,
        value=estimate.value,
        gap=gap.value,
        low=gap.low if isfinite(gap.low) else None,
        high=gap.high if isfinite(gap.high) else None,
        n_rows=estimate.n,
    )


def measure_named(metric: str) -> Measure:
    """The measure of this name.

    Raises:
        ConfigurationError: If there is none; the hint lists all.
    """
    from cd4ml.measures.catalog import MEASURES

    if metric not in MEASURES:
        msg = f"cd4ml.toml: there is no measure {metric!r}, named in `monitoring.metrics`"
        raise ConfigurationError(msg, hint=f"known: {', '.join(sorted(MEASURES))}")
    return MEASURES[metric]


def _levels(
    metrics: Sequence[str], y_true: ArrayLike, score: ArrayLike, base_rate: float
) -> Iterator[Level]:
    from cd4ml.measures.estimate import UndefinedMeasure

    for name in metrics:
        with suppress(UndefinedMeasure):
            yield level_of(name, y_true, score, base_rate)


def _gap(measure: Measure, labels: ArrayLike, scores: ArrayLike, base_rate: float) -> Estimate:
    """How much better than the trivial model on the same rows, whichever way is better."""
    import numpy as np

    from cd4ml.measures.estimate import Estimate

    if measure.difference is not None:
        trivial = np.full(np.shape(labels), base_rate)
        gap = measure.difference(labels, scores, trivial)
    else:
        value, low, high, n = measure.function(labels, scores)
        level = measure.trivial(labels, base_rate)
        gap = Estimate(value - level, low - level, high - level, n)
    if measure.direction == "higher":
        return gap
    return Estimate(-gap.value, -gap.high, -gap.low, gap.n)
