"""What was answered in a stretch of production, beside what has come true since."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.store.log import PredictionLog


class Answers(NamedTuple):
    """The answers of a window, and those of the version that gave most of them.

    `of_champion` has `prediction_id`, `answered_at`, `score`, `inputs` (JSON text) and
    `value` (the label, null without one), one row per answer, in order of time. Shadows
    answer nobody and are not in it.
    """

    champion: int  # the version's number; 0 if nothing was answered
    n_predictions: int  # of all versions
    n_labels: int
    of_champion: pl.DataFrame

    @property
    def coverage(self) -> float:
        """Share of the answers that have their label by now."""
        return self.n_labels / self.n_predictions if self.n_predictions else 0.0


def answers(
    log: PredictionLog,
    *,
    environment: str,
    model: str,
    start: datetime,
    end: datetime,
    known_at: datetime,
) -> Answers:
    """The answers of a model from `start` (included) to `end` (excluded).

    A window is a cohort by the time of the answer: a label counts for the window of its
    prediction, whenever it arrives (until `known_at`). Measure it once it is mature: labels
    that come fast are rarely a fair sample of all.
    """
    import polars as pl

    given = log.predictions(start, end, environment).filter(
        pl.col("model") == model, pl.col("role") != "shadow", pl.col("score").is_not_null()
    )
    known = log.labels(start, end, known_at).select("prediction_id", "value")
    rows = given.join(known, on="prediction_id", how="left").collect()
    champion = _most_frequent(rows)
    chosen = rows.filter(pl.col("number") == champion).sort("answered_at", "prediction_id")
    return Answers(
        champion=champion,
        n_predictions=rows.height,
        n_labels=rows.height - rows["value"].null_count(),
        of_champion=chosen.select("prediction_id", "answered_at", "score", "inputs", "value"),
    )


def _most_frequent(rows: pl.DataFrame) -> int:
    """The version with the most answers, of two the newer; 0 without any."""
    by_version = rows["number"].value_counts().sort("count", "number")
    return int(by_version["number"][-1]) if by_version.height else 0
