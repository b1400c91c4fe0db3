"""Rates of groups: those of Fairlearn to 1e-9, with intervals, and undefined where they are."""

from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fairlearn
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_score, recall_score

from cd4ml.measures.calibration import calibration_in_the_large
from cd4ml.measures.cells import count_cells, roll_up
from cd4ml.measures.estimate import UndefinedMeasure, wilson
from cd4ml.measures.fairness import Gap, equalised_odds, gap, rates
from cd4ml.measures.named_rates import RATES
from tests.measures.messages import exactly

N = 3000
COLUMNS = ("sex", "race", "age")
GROUPINGS = [("sex",), ("race",), ("sex", "race"), ("sex", "race", "age")]
THEIRS = {
    "selection_rate": fairlearn.selection_rate,
    "recall": recall_score,
    "false_positive_rate": fairlearn.false_positive_rate,
    "precision": precision_score,
    "accuracy": accuracy_score,
    "base_rate": lambda y_true, _: float(np.mean(y_true)),
}


class People:
    """People with an outcome and a score: some groups are rare, one is scored lower."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.groups = {
            "sex": rng.choice(["f", "m"], N),
            "race": rng.choice(["a", "b", "c"], N, p=[0.6, 0.3, 0.1]),
            "age": rng.choice(["young", "middle", "old"], N),
        }
        low = 0.15 * (self.groups["race"] == "c")
        self.score = np.clip(rng.beta(2, 3, N) - low, 0, 1)
        self.outcome = (rng.random(N) < self.score).astype(int)
        self.cells = count_cells(self.outcome, self.score, self.groups)

    def framed(self, by: tuple[str, ...]) -> Any:
        return fairlearn.MetricFrame(
            metrics=THEIRS,
            y_true=self.outcome,
            y_pred=(self.score >= 0.5).astype(int),
            sensitive_features=pd.DataFrame({name: self.groups[name] for name in by}),
        )


@pytest.fixture(scope="module")
def people() -> People:
    return People()


@pytest.mark.parametrize("by", GROUPINGS)
def test_rates_and_gaps_are_those_of_fairlearn(people: People, by: tuple[str, ...]) -> None:
    theirs, cells = people.framed(by), roll_up(people.cells, by)
    whole = roll_up(people.cells, ())

    for rate in THEIRS:
        ours = rates(cells, rate)
        values = [each.estimate.value if each.estimate else nan for each in ours]
        assert values == pytest.approx(theirs.by_group[rate].to_numpy(), abs=1e-9)
        for method, overall in (("between_groups", None), ("to_overall", theirs.overall[rate])):
            found = gap(values, overall)
            assert found.difference == pytest.approx(theirs.difference(method)[rate], abs=1e-9)
            assert found.ratio == pytest.approx(theirs.ratio(method)[rate], abs=1e-9)
        (all_rows,) = rates(whole, rate)
        assert all_rows.estimate is not None
        assert all_rows.estimate.value == pytest.approx(theirs.overall[rate], abs=1e-9)


@pytest.mark.parametrize("by", GROUPINGS)
def test_equalised_odds_are_those_of_fairlearn(people: People, by: tuple[str, ...]) -> None:
    given = {
        "y_true": people.outcome,
        "y_pred": (people.score >= 0.5).astype(int),
        "sensitive_features": pd.DataFrame({name: people.groups[name] for name in by}),
    }

    ours = equalised_odds(roll_up(people.cells, by))

    assert ours.difference == pytest.approx(fairlearn.equalized_odds_difference(**given), abs=1e-9)
    assert ours.ratio == pytest.approx(fairlearn.equalized_odds_ratio(**given), abs=1e-9)


def test_calibration_is_what_happened_minus_what_was_said(people: People) -> None:
    for each in rates(roll_up(people.cells, ("race",)), "calibration"):
        rows = people.groups["race"] == each.group.removeprefix("race=")
        said_minus_happened = calibration_in_the_large(people.outcome[rows], people.score[rows])
        assert each.estimate is not None
        assert each.estimate.value == pytest.approx(-said_minus_happened.value, abs=1e-9)
        # of many rows the interval is hardly another one: Wilson's knows no scores
        width = each.estimate.high - each.estimate.low
        assert width == pytest.approx(said_minus_happened.high - said_minus_happened.low, rel=0.2)


def test_calibration_of_a_few_rows_is_not_said_to_be_sure() -> None:
    """Five rows that all turned out as said: their differences hardly vary, and say little."""
    cells = count_cells([0] * 5, [0.01] * 5, {"sex": ["f"] * 5})

    (found,) = rates(cells, "calibration")

    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(-0.01)
    assert found.estimate.high > 0.4
    assert calibration_in_the_large([0] * 5, [0.01] * 5).high == pytest.approx(0.01)


def test_intervals_are_wilson_s(people: People) -> None:
    for each in rates(people.cells, "recall", confidence=0.9):
        assert each.estimate is not None
        assert each.estimate == wilson(each.counted, each.estimate.n, confidence=0.9)


def test_a_group_without_the_rows_in_question_has_no_rate() -> None:
    cells = count_cells([1, 1, 0, 0], [0.9, 0.2, 0.1, 0.3], {"sex": ["f", "f", "m", "m"]})
    undefined = {
        rate: [each.group for each in rates(cells, rate) if each.estimate is None] for rate in RATES
    }

    assert undefined == {
        "selection_rate": [],
        "recall": ["sex=m"],
        "false_positive_rate": ["sex=f"],
        "precision": ["sex=m"],
        "accuracy": [],
        "calibration": [],
        "base_rate": [],
    }


@given(st.lists(st.one_of(st.just(nan), st.floats(0, 1)), min_size=1, max_size=8))
def test_a_gap_is_of_the_groups_that_have_a_rate(values: list[float]) -> None:
    known = [value for value in values if not isnan(value)]
    if not known:
        with pytest.raises(UndefinedMeasure, match="the rate is defined in no group"):
            gap(values)
        return
    found = gap(values)

    assert found.difference == max(known) - min(known)
    assert isnan(found.ratio) if max(known) == 0 else 0 <= found.ratio <= 1
    assert gap(known) == found or isnan(found.ratio)


def test_a_rate_of_0_in_every_group_has_no_ratio() -> None:
    assert gap([0.0, 0.0]).difference == 0
    assert isnan(gap([0.0, 0.0]).ratio)
    assert isnan(gap([0.0, 0.0], overall=0.0).ratio)
    assert gap([0.0, 0.5], overall=0.25) == Gap(difference=0.25, ratio=0.0)


def test_equalised_odds_without_false_positives_have_the_ratio_of_recall() -> None:
    groups = {"sex": ["f", "f", "f", "m", "m", "m"]}
    cells = count_cells([1, 1, 0, 1, 1, 0], [0.9, 0.2, 0.1, 0.9, 0.8, 0.1], groups)

    assert equalised_odds(cells) == Gap(difference=0.5, ratio=0.5)


def test_what_is_no_rate_or_no_probability_is_refused() -> None:
    cells = count_cells([0, 1], [-3.0, 2.0], {"sex": ["f", "m"]})
    known = (
        "accuracy, base_rate, calibration, false_positive_rate, precision, recall, selection_rate"
    )

    with pytest.raises(ValueError, match=exactly(f"there is no rate 'f1'; known: {known}")):
        rates(cells, "f1")
    message = "calibration needs probabilities, got scores below 0 or above 1"
    with pytest.raises(UndefinedMeasure, match=exactly(message)):
        rates(cells, "calibration")
