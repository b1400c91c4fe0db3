"""What a profile costs beside a bare Polars scan, and what a diff of a large table costs.

Prints one JSON line a figure: name, value, unit, goal and whether the goal holds. The table
has 1,000,000 rows and 20 columns (10 of numbers, 10 of texts), in Parquet files.

    python benchmarks/bench_profile.py [ROWS]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("POLARS_MAX_THREADS", "2")

import numpy as np
import polars as pl
from contest import figure

from cd4ml.data.diff_rows import diff_rows
from cd4ml.data.diff_shifts import shifts
from cd4ml.data.profile import profile
from cd4ml.data.profiles import Profiling
from cd4ml.store.address import canonical
from cd4ml.store.blobs import open_blobs

FILES = 10
REPEATS = 5
CATEGORIES = (2, 3, 5, 8, 10, 20, 30, 50, 80, 100)


def main() -> None:
    """Measure everything once."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.parquet"
        rows = table(n_rows)
        rows.write_parquet(whole)
        measure_profile(pl.scan_parquet(whole))
        measure_growth(Path(folder), rows)
        measure_diff(Path(folder), rows)


def table(n_rows: int, seed: int = 0) -> pl.DataFrame:
    """Ten columns of numbers of five shapes, ten of texts of 2 to 100 categories."""
    chance = np.random.default_rng(seed)
    shapes: list[Callable[[], np.ndarray]] = [
        lambda: chance.normal(size=n_rows),
        lambda: chance.lognormal(size=n_rows),
        lambda: chance.gamma(2.0, size=n_rows),
        lambda: chance.random(n_rows),
        lambda: chance.normal(size=n_rows).round(1),
    ]
    columns: dict[str, np.ndarray] = {f"n{i}": shapes[i % 5]() for i in range(10)}
    for i, n in enumerate(CATEGORIES):
        names = np.array([f"name {j}" for j in range(n)])
        columns[f"s{i}"] = names[chance.integers(0, n, n_rows)]
    return pl.DataFrame(columns)


def measure_profile(frame: pl.LazyFrame) -> None:
    """A profile beside the cheapest look at the same file: least, greatest and mean."""
    first = profile(frame)
    bins = {column.name: column.bins for column in first.columns}
    scan = taken(lambda: scanned(frame))
    say("Polars scan of 1 file", scan, "s")
    say("profile, first version", taken(lambda: profile(frame)) / scan, "scans", goal=4.0)
    say("profile, later version", taken(lambda: profile(frame, bins)) / scan, "scans", goal=4.0)
    say("profile, size", len(canonical(first)), "B")


def scanned(frame: pl.LazyFrame) -> pl.DataFrame:
    """Least and greatest of every column, and the mean of numbers, in one scan."""
    schema = frame.collect_schema()
    numbers = [name for name, type_ in schema.items() if type_.is_numeric()]
    return frame.select(
        *(pl.col(name).min().alias(f"min {name}") for name in schema),
        *(pl.col(name).max().alias(f"max {name}") for name in schema),
        *(pl.col(name).mean().alias(f"mean {name}") for name in numbers),
    ).collect()


def measure_growth(folder: Path, rows: pl.DataFrame) -> None:
    """One file more: only its rows are read."""
    step = rows.height // FILES
    paths = [folder / f"{i}.parquet" for i in range(FILES)]
    for i, path in enumerate(paths):
        rows[i * step : (i + 1) * step].write_parquet(path)
    blobs = open_blobs(str(folder / "blobs"))
    schema = {column.name: column.type for column in profile(rows[:9].lazy()).columns}

    def made(before: str, n_files: int) -> str:
        digests = [f"digest {i}" for i in range(n_files)]
        profiling = Profiling(blobs, before, digests, reading="parquet", schema=schema)
        fresh = pl.scan_parquet([paths[place] for place in profiling.fresh])
        return blobs.put_record(profiling.keep(fresh, pl.scan_parquet(paths[:n_files])))

    before = made("", FILES - 1)
    everything = taken(lambda: made("", FILES))
    say(f"profile of {FILES} files", everything, "s")
    say(
        "one file more", taken(lambda: made(before, FILES)) / everything, "of everything", goal=0.25
    )


def measure_diff(folder: Path, rows: pl.DataFrame) -> None:
    """Two versions of which one row in a thousand differs."""
    before, after = folder / "before.parquet", folder / "after.parquet"
    keyed = rows.with_row_index("key")
    keyed.write_parquet(before)
    moved = pl.when(pl.col("key") % 1000 == 0).then(pl.col("n0") + 1).otherwise("n0")
    keyed.with_columns(moved.alias("n0")).write_parquet(after)
    old, new = pl.scan_parquet(before), pl.scan_parquet(after)
    say("diff by key", taken(lambda: diff_rows(old, new, ["key"]), 2), "s")
    say("diff by content", taken(lambda: diff_rows(old, new), 2), "s")
    first = profile(old)
    second = profile(new, {column.name: column.bins for column in first.columns})
    seconds = taken(lambda: shifts(first, second, effect=0.2, recount=lambda _: second))
    say("shift of 21 columns, from profiles", seconds * 1000, "ms", goal=50.0)


def taken(what: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median of a few runs, in seconds."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        what()
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


def say(name: str, value: float, unit: str, goal: float | None = None) -> None:
    """One figure; the goal is an upper limit."""
    figure(name, value, unit, "" if goal is None else f"<= {goal:g}")


if __name__ == "__main__":
    main()
