"""People in groups, with outcomes and answers as counted: evidence for gates on groups."""

from typing import Any

import numpy as np
import polars as pl

from cd4ml.gates.evidence import Evidence, evidence_of

Counts = tuple[int, int, int, int]  # hits, misses, false alarms, rightly refused


def answered(groups: dict[str, Counts], column: str = "sex", **columns: Any) -> Evidence:
    """Evidence in which each group has so many rows of each kind; a score is 0.9 or 0.1."""
    names, outcome, score = [], [], []
    for name, counts in groups.items():
        kinds = zip(counts, ((1, 0.9), (1, 0.1), (0, 0.9), (0, 0.1)), strict=True)
        for n, (truth, said) in kinds:
            names += [name] * n
            outcome += [truth] * n
            score += [said] * n
    holdout = pl.DataFrame({column: names, "paid": outcome, **columns})
    return evidence_of(holdout, target="paid", score=np.array(score), base_rate=0.5)


def selected(**groups: tuple[int, int]) -> Evidence:
    """Evidence in which of each group so many, of so many, are answered 1; half of all are 1."""
    return answered(
        {
            name: (
                chosen // 2,
                (n - chosen) // 2,
                chosen - chosen // 2,
                n - chosen - (n - chosen) // 2,
            )
            for name, (chosen, n) in groups.items()
        }
    )
