"""How long do the rates of groups of 1,000,000 people take, and are they those of Fairlearn?

Three columns (sex, race, age: 40 groups), each alone and all of them crossed: seven groupings;
five rates in each, with the difference and the ratio between groups. Ours come with an interval
for every group. Fairlearn's `MetricFrame` gets the answers as 0 and 1, and pandas columns, of
every tenth of the people: with all of them it takes minutes.

    python benchmarks/bench_fairness.py [ROWS]
"""

from __future__ import annotations

import json
import os
import sys
from math import nan
from pathlib import Path
from statistics import median

os.environ.setdefault("POLARS_MAX_THREADS", "2")

import contest
import numpy as np
import polars as pl
from contest import cost_of, cost_of_command, figure, peer
from grouped_rates import COLUMNS, GROUPINGS, RATES

from cd4ml.measures.cells import count_cells, roll_up
from cd4ml.measures.fairness import gap, rates

FAIRLEARN = "0.15.0"
ROUNDS = 7

Values = dict[str, dict[str, list[float]]]  # grouping -> rate -> groups, difference, ratio


def main() -> None:
    """Measure, compare, print."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    peer("fairlearn", FAIRLEARN)
    python = contest.environment("fairlearn", f"fairlearn=={FAIRLEARN}") / "python"
    rows = people(n_rows)
    tenth = rows.gather_every(10)
    with contest.scratch() as folder:
        write(tenth, folder)
        theirs, seconds = asked(python, folder)
    whole, ours = cost_s(rows), cost_s(tenth)
    figure("all rates, differences and ratios, with intervals", whole, "s", "<= 0.15")
    figure("of a tenth of the rows", ours, "s")
    figure("Fairlearn, of a tenth of the rows, without intervals", seconds, "s")
    figure("Fairlearn beside cd4ml, of the same rows", seconds / ours, "times", ">= 15")
    figure("largest deviation from Fairlearn", farthest(grouped(tenth), theirs), "", "<= 1e-9")


def cost_s(rows: pl.DataFrame) -> float:
    """The median of some rounds; what Polars loads when it is first used is there already."""
    grouped(rows)
    return median(cost_of(lambda: grouped(rows)).wall_s for _ in range(ROUNDS))


def people(n_rows: int) -> pl.DataFrame:
    """People whose scores differ a little between groups, some of which are rare."""
    chance = np.random.default_rng(0)
    sex = chance.choice(["f", "m"], n_rows)
    race = chance.choice(list("abcde"), n_rows, p=[0.6, 0.2, 0.1, 0.07, 0.03])
    age = chance.choice(["below 25", "25 to 44", "45 to 64", "from 65"], n_rows)
    score = np.clip(chance.beta(2, 3, n_rows) + 0.05 * (sex == "m") - 0.04 * (race == "b"), 0, 1)
    outcome = (chance.random(n_rows) < score).astype(np.int64)
    return pl.DataFrame({"sex": sex, "race": race, "age": age, "score": score, "outcome": outcome})


def write(rows: pl.DataFrame, folder: Path) -> None:
    """The rows as the peer reads them."""
    texts = {name: rows[name].to_numpy().astype(np.str_) for name in COLUMNS}
    numbers = {name: rows[name].to_numpy() for name in ("score", "outcome")}
    np.savez(folder / "rows.npz", **texts, **numbers)


def grouped(rows: pl.DataFrame) -> Values:
    """All rates in all groupings."""
    cells = count_cells(rows["outcome"], rows["score"], {name: rows[name] for name in COLUMNS})
    found: Values = {}
    for by in GROUPINGS:
        fewer = roll_up(cells, by)
        found[" x ".join(by)] = {rate: with_gap(values_of(fewer, rate)) for rate in RATES}
    return found


def values_of(cells: object, rate: str) -> list[float]:
    """The rate of each group; nan where it is not defined."""
    of_groups = rates(cells, rate)
    return [each.estimate.value if each.estimate else nan for each in of_groups]


def with_gap(values: list[float]) -> list[float]:
    """The values, their difference and their ratio."""
    return [*values, *gap(values)]


def asked(python: Path, folder: Path) -> tuple[Values, float]:
    """What Fairlearn finds, and the seconds that it takes once everything is imported."""
    program = Path(__file__).parent / "grouped_rates.py"
    _, said = cost_of_command(python, program, folder, cwd=folder)
    told = json.loads(said.splitlines()[-1])
    return told["values"], told["seconds"]


def farthest(ours: Values, theirs: Values) -> float:
    """The largest deviation of a value, a difference or a ratio.

    Raises:
        ValueError: If the groups are not the same ones.
    """
    pairs = [
        (one, other)
        for by in theirs
        for rate in RATES
        for one, other in zip(ours[by][rate], theirs[by][rate], strict=True)
    ]
    return float(max(abs(one - other) for one, other in pairs))


if __name__ == "__main__":
    main()
