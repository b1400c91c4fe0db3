"""Is a contract as fast as the Polars expressions one would write by hand, and does it miss nothing?

Prints one JSON line a figure: {"name", "value", "unit", "goal", "holds"}. The contestants
take turns; the figures are medians. Run with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from contest import figure, peer

from cd4ml import Contract, Field
from cd4ml.data.contract import check
from cd4ml.data.sift import RULES, sift

N_ROWS = 1_000_000
ROUNDS = 9
NUMBERS, TEXTS = 12, 12
CATEGORIES = tuple(f"c{i}" for i in range(10))
FAULTS = {"null": 300, "range": 500, "category": 200}
GOAL = 1.5


def main() -> None:
    """Measure, and print every figure."""
    with tempfile.TemporaryDirectory() as folder:
        broken, whole = Path(folder, "broken.parquet"), Path(folder, "whole.parquet")
        clean = table()
        clean.write_parquet(whole)
        planted = plant(clean)
        planted.frame.write_parquet(broken)
        ratio("rows that keep it, beside Polars", lambda: ours(whole), lambda: by_hand(whole))
        ratio("rows that break it, beside Polars", lambda: ours(broken), lambda: by_hand(broken))
        ratio("findings, beside Polars", lambda: findings(broken), lambda: by_hand(broken))
        reported(broken, planted.faults)
    peer("Polars", pl.__version__)


class Planted:
    """A table with faults in it: (row from 1, the rule that it breaks)."""

    def __init__(self, frame: pl.DataFrame, faults: set[tuple[int, str]]) -> None:
        self.frame = frame
        self.faults = faults


def contract() -> Contract:
    """Every number is never null and within its range, every text one of ten categories."""
    return Contract(
        name="rows",
        fields=(
            *(Field(f"n{i}", "number", minimum=-10, maximum=10) for i in range(NUMBERS)),
            *(Field(f"t{i}", "string", categories=CATEGORIES) for i in range(TEXTS)),
        ),
    )


def table() -> pl.DataFrame:
    """A million rows that keep the contract."""
    random = np.random.default_rng(7)
    names = np.array(CATEGORIES)
    numbers = {f"n{i}": random.normal(0, 1, N_ROWS).clip(-9, 9) for i in range(NUMBERS)}
    texts = {f"t{i}": names[random.integers(0, 10, N_ROWS)] for i in range(TEXTS)}
    return pl.DataFrame(numbers | texts)


def plant(clean: pl.DataFrame) -> Planted:
    """1,000 faults, each in a cell of its own."""
    random = np.random.default_rng(11)
    rows = random.choice(N_ROWS, sum(FAULTS.values()), replace=False)
    ends = np.cumsum(list(FAULTS.values()))
    faults: set[tuple[int, str]] = set()
    columns = {name: clean[name].to_list() for name in clean.columns}
    for row in rows[: ends[0]].tolist():
        name = f"n{row % NUMBERS}"
        columns[name][row] = None
        faults.add((row + 1, f"{name} is never null"))
    for row in rows[ends[0] : ends[1]].tolist():
        name = f"n{row % NUMBERS}"
        columns[name][row] = 99.0 if row % 2 else -99.0
        faults.add((row + 1, f"{name} at most 10" if row % 2 else f"{name} at least -10"))
    for row in rows[ends[1] :].tolist():
        name = f"t{row % TEXTS}"
        columns[name][row] = "??"
        faults.add((row + 1, f"{name} is one of c0, c1, c2 and 7 others"))
    return Planted(pl.DataFrame(columns, schema=clean.schema), faults)


def ours(path: Path) -> int:
    """Bad rows with every rule they broke."""
    return sift(pl.scan_parquet(path), contract()).bad.height


def findings(path: Path) -> int:
    """What `cd4ml data add` does: findings, with the first row of each broken rule."""
    return len(check(pl.scan_parquet(path), contract()))


def rules() -> dict[str, pl.Expr]:
    """The same checks as somebody would write them by hand."""
    found: dict[str, pl.Expr] = {}
    for i in range(NUMBERS):
        column = pl.col(f"n{i}")
        found[f"n{i} null"] = column.is_null()
        found[f"n{i} not finite"] = ~column.is_finite()
        found[f"n{i} low"] = column < -10
        found[f"n{i} high"] = column > 10
    for i in range(TEXTS):
        found[f"t{i} null"] = pl.col(f"t{i}").is_null()
        found[f"t{i} unknown"] = ~pl.col(f"t{i}").is_in(list(CATEGORIES))
    return found


def by_hand(path: Path) -> int:
    """One select of sums; where something is broken, one filter for the rows and their rules."""
    frame, asked = pl.scan_parquet(path), rules()
    counts = (
        frame.select(**{name: rule.sum() for name, rule in asked.items()})
        .collect()
        .row(0, named=True)
    )
    broken = {name: asked[name].fill_null(value=False) for name, count in counts.items() if count}
    if not broken:
        return 0
    named = [pl.when(rule).then(pl.lit(name)) for name, rule in broken.items()]
    rows = (
        frame.with_row_index("row", 1)
        .filter(pl.any_horizontal(*broken.values()))
        .with_columns(pl.concat_list(named).list.drop_nulls().alias("rules"))
    )
    return rows.collect().height


def ratio(name: str, contestant: Callable[[], int], reference: Callable[[], int]) -> None:
    """How many times as long the contestant takes, as the median of rounds side by side."""
    contestant(), reference()
    ratios = []
    for turn in range(ROUNDS):
        pair = (contestant, reference) if turn % 2 else (reference, contestant)
        taken = {function: timed(function) for function in pair}
        ratios.append(taken[contestant] / taken[reference])
    figure(name, statistics.median(ratios), "times", f"<= {GOAL}")


def timed(function: Callable[[], int]) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def reported(path: Path, faults: set[tuple[int, str]]) -> None:
    """How many of the planted faults are reported by row and rule, and what else is."""
    bad = sift(pl.scan_parquet(path), contract()).bad
    found = Counter(
        (row, rule) for row, listed in bad.select("broken_row", RULES).rows() for rule in listed
    )
    goal = sum(FAULTS.values())
    figure(
        "planted faults reported by row and rule", len(faults & set(found)), "faults", f">= {goal}"
    )
    others = sum(found.values()) - len(faults & set(found))
    figure("reports of something else", others, "faults", "<= 0")


if __name__ == "__main__":
    main()
