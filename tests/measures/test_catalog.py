from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from cd4ml.measures.catalog import MEASURES, Measure, at_threshold
from cd4ml.measures.named import NAMED

rng = np.random.default_rng(0)
SAID = rng.beta(2, 4, 600)
LABELS = rng.random(600) < SAID
WORSE = np.clip(SAID + rng.normal(0, 0.35, 600), 0, 1)
AMOUNTS = rng.normal(50, 10, 600)
NEAR, FAR = AMOUNTS + rng.normal(0, 3, 600), AMOUNTS + rng.normal(1, 6, 600)


def rows_for(measure: Measure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets that the measure takes, good answers and bad ones."""
    return (LABELS, SAID, WORSE) if measure.of == "classes" else (AMOUNTS, NEAR, FAR)


def test_the_names_a_policy_may_use() -> None:
    assert sorted(MEASURES) == sorted(
        [
            "accuracy",
            "auc",
            "brier",
            "f1",
            "false_positive_rate",
            "log_loss",
            "mae",
            "mape",
            "median_absolute_error",
            "precision",
            "r2",
            "recall",
            "rmse",
        ]
    )
    assert all(name == measure.name for name, measure in MEASURES.items())
    assert list(MEASURES) == list(NAMED)
    assert all(
        NAMED[name].is_paired == (measure.difference is not None)
        for name, measure in MEASURES.items()
    )


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_difference_is_a_minus_b_and_its_sign_tells_the_better_one(measure: Measure) -> None:
    assert measure.difference is not None
    truth, good, bad = rows_for(measure)
    better, worse = measure.function(truth, good), measure.function(truth, bad)

    difference = measure.difference(truth, good, bad)

    assert difference.value == pytest.approx(better.value - worse.value)
    if measure.name != "recall":  # noise around a threshold that few reach finds more of them
        assert (difference.value > 0) == (measure.direction == "higher")
    assert difference.low < difference.value < difference.high


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_another_confidence_is_another_width(measure: Measure) -> None:
    truth, good, bad = rows_for(measure)
    assert measure.difference is not None

    for wide, narrow in (
        (measure.function(truth, good, confidence=0.99), measure.function(truth, good)),
        (
            measure.difference(truth, good, bad, confidence=0.99),
            measure.difference(truth, good, bad),
        ),
    ):
        assert wide.value == narrow.value
        assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_an_interval_holds_the_truth_as_often_as_it_says(measure: Measure) -> None:
    """Two models of the same quality differ beyond the interval in about one case of twenty."""
    assert measure.difference is not None
    chance, missed, n_cases = np.random.default_rng(7), 0, 60 if "median" in measure.name else 200
    for _ in range(n_cases):
        truth, good, _ = rows_for(measure)
        some = chance.integers(0, 600, 300)
        noise = np.abs(chance.normal(0, 0.2, (2, 300))) * chance.choice([-1, 1], (2, 300))
        scale = 1 if measure.of == "classes" else 20
        a, b = (good[some] + scale * one for one in noise)
        if measure.of == "classes":
            a, b = np.clip(a, 0, 1), np.clip(b, 0, 1)
        found = measure.difference(truth[some], a, b)
        missed += not found.low <= 0 <= found.high

    assert missed / n_cases < 0.1


@pytest.mark.parametrize("name", [m.name for m in MEASURES.values() if m.has_threshold])
def test_a_threshold_moves_everything_that_depends_on_it(name: str) -> None:
    at_a_third = at_threshold(MEASURES[name], 0.3)
    assert at_a_third.difference is not None

    value = at_a_third.function(LABELS, SAID).value

    assert value != MEASURES[name].function(LABELS, SAID).value
    assert value == MEASURES[name].function(LABELS, SAID + 0.2).value
    assert at_a_third.difference(LABELS, SAID, SAID).value == 0
    if at_a_third.rows is not None:
        assert at_a_third.rows(LABELS, SAID).mean() == pytest.approx(value)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_the_honest_forecast_beats_the_trivial_one(measure: Measure) -> None:
    if measure.constant is None:
        return
    truth, good, _ = rows_for(measure)
    constant = float(truth.mean() if measure.constant == "mean" else np.median(truth))

    value, trivial = measure.function(truth, good).value, measure.trivial(truth, constant)

    assert value > trivial if measure.direction == "higher" else value < trivial


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_rows_average_to_the_measure(measure: Measure) -> None:
    truth, good, _ = rows_for(measure)
    if measure.rows is not None:
        of_rows = measure.rows(truth, good).mean()
        assert of_rows == pytest.approx(measure.function(truth, good).value)


def test_trivial_levels_are_those_of_a_constant_answer() -> None:
    constant = np.full(600, 0.2)

    assert MEASURES["auc"].trivial(LABELS, 0.2) == metrics.roc_auc_score(LABELS, constant) == 0.5
    assert MEASURES["brier"].trivial(LABELS, 0.2) == pytest.approx(
        metrics.brier_score_loss(LABELS, constant)
    )
    assert MEASURES["log_loss"].trivial(LABELS, 0.2) == pytest.approx(
        metrics.log_loss(LABELS, constant)
    )
    assert MEASURES["accuracy"].trivial(LABELS, 0.2) == pytest.approx(1 - LABELS.mean())
