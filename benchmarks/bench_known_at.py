"""What does it cost not to look into the future, and what does it cost to do so?

- A year of flights (336,776 rows, 20 columns) joined with the weather at their airport
  (26,115 rows), as of the departure: `join_as_of`, which keeps the order of the rows and
  never finds what came later, beside Polars' own `join_asof` of the sorted tables. Then the
  same with an arrival time on the weather, every tenth hour corrected once.
- A million rows split by a hash of their key, and by time.
- How much better a model of late flights looks when it is judged on rows of January that a
  hash chose than when it is judged on January's last days, and how good it is in February.
  A row of one day tells about the others of that day.

Run:
    OMP_NUM_THREADS=1 POLARS_MAX_THREADS=2 python benchmarks/bench_known_at.py

Prints a JSON object a line: the peer, then name, value, unit, goal, and whether it holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from types import ModuleType

import numpy as np
import polars as pl
from contest import figure, peer
from sklearn.metrics import roc_auc_score

from cd4ml import join_as_of, split
from cd4ml.pipeline.module import imported

EXAMPLE = Path(__file__).parents[1] / "examples" / "flights"
ROUNDS = 15
SEEDS = ("", "1", "2")
HOLDOUT = timedelta(days=10)
EMBARGO = timedelta(days=1)


def main() -> None:
    """Print every figure."""
    peer("Polars", pl.__version__)
    with imported(EXAMPLE, "world") as world, imported(EXAMPLE, "pipeline") as pipeline:
        measure_joins(world)
        measure_splits()
        measure_optimism(world, pipeline)


def measure_joins(world: ModuleType) -> None:
    """The as-of join beside bare Polars, and with arrival times."""
    flights = world._flights().with_columns(
        event_at=pl.col("time_hour") + pl.duration(minutes="minute")
    )
    weather = world._weather()
    corrected = with_corrections(weather)
    on = {"left_on": "event_at", "right_on": "time_hour", "by": "origin"}

    def bare() -> pl.DataFrame:
        return flights.sort("event_at").join_asof(
            weather.sort("time_hour"), **on, check_sortedness=False
        )

    bare_s, ours_s, known_s = medians_of(
        bare,
        lambda: join_as_of(flights, weather, **on),
        lambda: join_as_of(flights, corrected, **on, known="arrived_at"),
    )
    figure("bare Polars join_asof of flights with weather", bare_s * 1000, "ms")
    figure("join_as_of beside bare Polars", ours_s / bare_s, "times", "<= 1.5")
    figure("join_as_of with arrival times and corrections", known_s / bare_s, "times")


def with_corrections(weather: pl.DataFrame) -> pl.DataFrame:
    """Weather that arrives ten minutes after its hour; every tenth is corrected a day later."""
    arrival = pl.col("time_hour") + timedelta(minutes=10)
    again = weather.gather_every(10).with_columns(
        pl.col("temp") + 1, arrived_at=arrival + timedelta(days=1)
    )
    return pl.concat([weather.with_columns(arrived_at=arrival), again])


def measure_splits() -> None:
    """A million rows, by hash and by time."""
    n_rows = 1_000_000
    begin = datetime(2013, 1, 1)  # noqa: DTZ001 - no zone is a case, too
    minutes = pl.datetime_range(begin, begin + timedelta(minutes=n_rows - 1), "1m", eager=True)
    rides = pl.DataFrame({"ride": np.arange(n_rows), "event_at": minutes})
    (by_hash,) = medians_of(lambda: split(rides, by="ride"), rounds=3)
    (by_time,) = medians_of(lambda: split(rides), rounds=3)
    figure("split of a million rows by hash", by_hash, "s", "<= 5")
    figure("split of a million rows by time", by_time, "s")


def measure_optimism(world: ModuleType, pipeline: ModuleType) -> None:
    """What a split by time and one by hash say about a model, and what February says."""
    year = all_journeys(world, pipeline)
    january = year.filter(pl.col("event_at") < world.BEGIN)
    by_time = split(january, holdout=HOLDOUT, embargo=EMBARGO)
    ahead = split(year.filter(pl.col("event_at") < world.BEGIN + HOLDOUT), holdout=world.BEGIN)
    said = auc(pipeline, by_time)
    figure("AUC by time: January's last ten days", said, "AUC")
    figure("AUC in fact: February's first ten days", auc(pipeline, ahead), "AUC")
    hashes = [split(january, by=january.columns, holdout=0.3, seed=seed) for seed in SEEDS]
    first = by_time.holdout["event_at"].min()
    same_days = [
        parts._replace(holdout=parts.holdout.filter(pl.col("event_at") >= first))
        for parts in hashes
    ]
    gap = float(np.mean([auc(pipeline, parts) for parts in hashes])) - said
    figure("a hash split overstates AUC by", gap, "AUC", ">= 0.09")
    gap = float(np.mean([auc(pipeline, parts) for parts in same_days])) - said
    figure("a hash split overstates AUC on the same days by", gap, "AUC")


def all_journeys(world: ModuleType, pipeline: ModuleType) -> pl.DataFrame:
    """The example's features of the whole year, with the outcome, in the order of time."""
    rows: pl.DataFrame = pipeline.journeys(world._flights(), world._weather(), world._planes())
    return rows.sort("event_at", maintain_order=True)


def auc(pipeline: ModuleType, parts: object) -> float:
    """Of the example's model on the holdout."""
    training, holdout = parts  # type: ignore[misc]
    model = pipeline.delay(training)
    score = model.predict_proba(holdout.select(pipeline.REQUEST))[:, 1]
    return float(roc_auc_score(holdout[pipeline.TARGET], score))


def medians_of(*functions: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """The median seconds of each, taken in turns so that a busy moment meets all of them."""
    seconds = [[0.0] * rounds for _ in functions]
    for turn in range(rounds):
        for place, function in enumerate(functions):
            began = time.perf_counter()
            function()
            seconds[place][turn] = time.perf_counter() - began
    return [median(each) for each in seconds]


if __name__ == "__main__":
    main()
