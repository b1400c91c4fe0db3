"""Two runs on the same rows: what differs, and whether it may be chance."""

import numpy as np
import polars as pl
import pytest

from cd4ml.experiments.pairs import pair_of
from cd4ml.measures.ranking import auc_difference
from cd4ml.records.pair import Confusion, Pair


def rows(n: int = 400, *, seed: int = 0, noise: float = 0.2) -> pl.DataFrame:
    chance = np.random.default_rng(seed)
    truth = np.random.default_rng(9).integers(0, 2, n)
    score = np.clip(0.25 + 0.5 * truth + chance.normal(0, noise, n), 0.0, 1.0)
    carrier = ["UA" if i % 4 else "HA" for i in range(n)]
    return pl.DataFrame({"row": range(n), "carrier": carrier, "late": truth, "score": score})


def paired(first: pl.DataFrame, second: pl.DataFrame, *slices: str) -> Pair:
    return pair_of(("run/1", first), ("run/2", second), target="late", slices=slices)


def test_one_that_is_better_on_the_same_rows_is_told_apart() -> None:
    better, worse = rows(noise=0.2), rows(seed=1, noise=0.6)

    pair = paired(worse, better)

    found = {each.metric: each for each in pair.metrics}
    assert list(found) == ["auc", "brier", "log_loss", "accuracy"]
    assert (pair.n_rows, pair.reason) == (400, "")
    expected = auc_difference(better["late"], better["score"], worse["score"])
    assert (found["auc"].difference, found["auc"].low, found["auc"].high) == expected[:3]
    assert found["auc"].second - found["auc"].first == pytest.approx(found["auc"].difference)
    assert found["auc"].is_told_apart
    assert found["brier"].difference < 0
    assert pair.p_value is not None
    assert pair.p_value < 0.01
    assert (pair.only_second or 0) > (pair.only_first or 0)


def test_a_run_does_not_differ_from_itself() -> None:
    pair = paired(rows(), rows())

    assert not any(each.is_told_apart for each in pair.metrics)
    assert (pair.only_first, pair.only_second, pair.p_value) == (0, 0, 1.0)
    assert pair.first.confusion == pair.second.confusion


def test_slices_are_measured_by_themselves_the_largest_first() -> None:
    pair = paired(rows(), rows(seed=1), "carrier", "weather")

    named = [(each.slice, each.n) for each in pair.metrics if each.metric == "auc"]
    assert named == [("", 400), ("carrier=UA", 300), ("carrier=HA", 100)]
    assert {each.slice for each in paired(rows(300), rows(300), "carrier").metrics} == {
        "",
        "carrier=UA",
    }  # 75 rows of HA say too little


def test_confusion_and_calibration_say_what_each_run_answers() -> None:
    frame = pl.DataFrame({"late": [1, 1, 0, 0, 0], "score": [0.9, 0.4, 0.6, 0.1, 0.1]})

    scored = paired(frame, frame).first

    assert scored.confusion == Confusion(
        true_positive=1, false_positive=1, false_negative=1, true_negative=2
    )
    assert [(each.said, each.observed, each.n) for each in scored.calibration] == [
        (pytest.approx(0.1), 0.0, 2), (0.4, 1.0, 1), (0.6, 0.0, 1), (0.9, 1.0, 1),
    ]  # fmt: skip


def test_amounts_are_compared_by_how_far_off_they_are() -> None:
    chance = np.random.default_rng(0)
    truth = chance.uniform(1000, 3000, 200)

    def priced(off: float, seed: int) -> pl.DataFrame:
        noise = np.random.default_rng(seed).normal(0, off, 200)
        return pl.DataFrame({"late": truth, "score": truth + noise})

    pair = paired(priced(300, 1), priced(100, 2))

    assert [(each.metric, each.is_told_apart) for each in pair.metrics] == [
        ("mae", True), ("rmse", True),
    ]  # fmt: skip
    assert all(each.high < 0 for each in pair.metrics)
    assert pair.p_value is None
    assert pair.first.confusion is None


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (rows(399), "they scored 400 and 399 rows"),
        (rows().reverse(), "the rows they scored are not the same, or not in the same order"),
        (rows().clear(), "run/2 scored no rows"),
        (rows().with_columns(score=pl.lit("high")), "'score' of run/2 holds String, not numbers"),
        (rows().with_columns(score=pl.lit(None, pl.Float64)),
         "'score' of run/2 is missing or not finite in 400 rows"),
    ],
)  # fmt: skip
def test_other_rows_are_not_paired(second: pl.DataFrame, reason: str) -> None:
    pair = paired(rows(), second)

    assert (pair.metrics, pair.reason) == ((), reason)


def test_a_truth_of_booleans_is_a_truth() -> None:
    frame = rows().with_columns(late=pl.col("late") == 1)

    assert len(paired(frame, frame).metrics) == 4
