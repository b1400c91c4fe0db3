"""Rates of groups by Fairlearn, in an environment of its own: what they are, and what they take.

    python benchmarks/grouped_rates.py FOLDER

FOLDER holds the rows (`bench_fairness.write`). Prints one line of JSON: `seconds`, and of each
grouping and rate the values of the groups, the difference and the ratio.
"""

import itertools
import json
import sys
import time
from pathlib import Path

COLUMNS = ("sex", "race", "age")
GROUPINGS = [by for size in (1, 2, 3) for by in itertools.combinations(COLUMNS, size)]
RATES = ("selection_rate", "recall", "false_positive_rate", "precision", "accuracy")


def fairlearn(folder: Path) -> dict[str, object]:
    """All rates in all groupings, each a `MetricFrame`."""
    import numpy as np
    import pandas as pd
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate
    from sklearn.metrics import accuracy_score, precision_score, recall_score

    functions = (selection_rate, recall_score, false_positive_rate, precision_score, accuracy_score)
    rows = np.load(folder / "rows.npz")
    groups = pd.DataFrame({name: rows[name] for name in COLUMNS})
    answers = (rows["score"] >= 0.5).astype(int)
    begun, found = time.perf_counter(), {}
    for by in GROUPINGS:
        frame = MetricFrame(
            metrics=dict(zip(RATES, functions, strict=True)),
            y_true=rows["outcome"],
            y_pred=answers,
            sensitive_features=groups[list(by)],
        )
        found[" x ".join(by)] = (frame.by_group, frame.difference(), frame.ratio())
    seconds = time.perf_counter() - begun
    values = {
        by: {
            rate: [*map(float, of_groups[rate]), float(gap[rate]), float(ratio[rate])]
            for rate in RATES
        }
        for by, (of_groups, gap, ratio) in found.items()
    }
    return {"seconds": seconds, "values": values}


if __name__ == "__main__":
    print(json.dumps(fairlearn(Path(sys.argv[1]))))
