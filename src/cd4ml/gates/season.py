"""The seasonal baseline: what training rows say of the same time, one season before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cd4ml.errors import InvalidInput
from cd4ml.gates.baseline import Season

if TYPE_CHECKING:
    import polars as pl

_STEPS = {"hour": "1h", "day": "1d", "month": "1mo"}
_BACK = {"day": "d", "week": "w", "year": "y"}
_MOST_SEASONS = 400  # looked back: a year of days


def last_season(
    training: pl.DataFrame, holdout: pl.DataFrame, season: Season, *, target: str, event_time: str
) -> NDArray[np.float64]:
    """What a row's target was on average, at the same place in the newest season that taught.

    A row of Tuesday the 8th gets the mean of the training rows of Tuesday the 1st; if there are
    none, of the Tuesday before, and so on; if there is none at all, the mean of all training
    rows. For a target of 0 and 1 the mean is a probability.

    Args:
        training: What the candidate learned from: `target` and `event_time`.
        holdout: The rows to say something about: `event_time`.
        season: How far back, and how finely rows are the same time.
        target: Column to predict.
        event_time: When a row happened: a date or a time.

    Returns:
        One answer a row of the holdout, shape (rows,).

    Raises:
        InvalidInput: If there is no such column, or it holds no times, or no row has a season
            before it among the training rows.

    Source:
        The seasonal naive method: R. J. Hyndman, G. Athanasopoulos, "Forecasting: principles and
        practice", 3rd ed., 2021, 5.2; here with the mean where several rows share a time.

    Examples:
        >>> import polars as pl
        >>> from datetime import date
        >>> seen = pl.DataFrame({"on": [date(2013, 1, 1), date(2013, 1, 2)], "n": [10, 20]})
        >>> asked = pl.DataFrame({"on": [date(2013, 1, 8), date(2013, 1, 16)]})
        >>> last_season(seen, asked, Season("week", "day"), target="n", event_time="on")
        array([10., 20.])
    """
    import polars as pl

    for side, rows in (("training", training), ("holdout", holdout)):
        _require_times(rows, event_time, side)
    step, back = _STEPS[season.step], _BACK[season.period]
    unit = pl.Datetime("us", getattr(holdout.schema[event_time], "time_zone", None))
    known = (
        training.select(at=_at(event_time, unit, step), value=pl.col(target).cast(pl.Float64))
        .drop_nulls()
        .group_by("at")
        .agg(pl.col("value").mean())
    )
    asked = holdout.select(at=_at(event_time, unit, step), said=pl.lit(None, pl.Float64))
    first = known["at"].min()
    for seasons in range(1, _MOST_SEASONS + 1):
        earlier = pl.col("at").dt.offset_by(f"-{seasons}{back}")
        asked = _filled(asked, known, earlier)
        open_rows = asked.filter(pl.col("said").is_null()).select(earlier)["at"].drop_nulls()
        if open_rows.is_empty() or open_rows.max() < first:  # type: ignore[operator]
            break
    if asked["said"].null_count() == asked.height:
        message = f"no training row lies one {season.period} before a row of the holdout"
        raise InvalidInput(f"{message}, by {event_time!r}")
    return asked["said"].fill_null(known_mean(training, target)).to_numpy()


def known_mean(training: pl.DataFrame, target: str) -> float:
    """The mean of the target in the training rows."""
    import polars as pl

    return float(training.select(pl.col(target).cast(pl.Float64).mean()).item())


def _at(event_time: str, unit: pl.Datetime, step: str) -> pl.Expr:
    import polars as pl

    return pl.col(event_time).cast(unit).dt.truncate(step)


def _filled(asked: pl.DataFrame, known: pl.DataFrame, earlier: pl.Expr) -> pl.DataFrame:
    """The rows that nothing is said of yet, with what was known so much earlier."""
    import polars as pl

    found = asked.with_columns(then=earlier).join(
        known, left_on="then", right_on="at", how="left", maintain_order="left"
    )
    return found.select("at", said=pl.coalesce("said", "value"))


def _require_times(rows: pl.DataFrame, event_time: str, side: str) -> None:
    if event_time not in rows.columns:
        known = ", ".join(rows.columns)
        message = f"the {side} rows have no column {event_time!r}, which says when they happened"
        raise InvalidInput(message, hint=f"known: {known}; see `model.event_time`")
    if not rows.schema[event_time].is_temporal():
        message = (
            f"{event_time!r} of the {side} rows is to be a time, got {rows.schema[event_time]}"
        )
        raise InvalidInput(message, hint="cast it to a date or a time")
