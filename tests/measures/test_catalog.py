from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from cd4ml.measures.catalog import MEASURES, Measure
from cd4ml.measures.named import NAMED

rng = np.random.default_rng(0)
SAID = rng.beta(2, 4, 600)
LABELS = rng.random(600) < SAID
WORSE = np.clip(SAID + rng.normal(0, 0.35, 600), 0, 1)


def test_the_names_a_policy_may_use() -> None:
    assert sorted(MEASURES) == ["accuracy", "auc", "brier", "log_loss"]
    assert all(name == measure.name for name, measure in MEASURES.items())
    assert list(MEASURES) == list(NAMED)
    assert all(
        NAMED[name].is_paired == (measure.difference is not None)
        for name, measure in MEASURES.items()
    )


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_difference_is_a_minus_b_and_its_sign_tells_the_better_one(measure: Measure) -> None:
    assert measure.difference is not None
    better, worse = measure.function(LABELS, SAID), measure.function(LABELS, WORSE)

    difference = measure.difference(LABELS, SAID, WORSE)

    assert difference.value == pytest.approx(better.value - worse.value)
    assert (difference.value > 0) == (measure.direction == "higher")
    assert difference.low < difference.value < difference.high


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_the_honest_forecast_beats_the_trivial_one(measure: Measure) -> None:
    value, trivial = measure.function(LABELS, SAID).value, measure.trivial(LABELS, LABELS.mean())

    assert value > trivial if measure.direction == "higher" else value < trivial


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_rows_average_to_the_measure(measure: Measure) -> None:
    if measure.rows is None:
        assert measure.name == "auc"
    else:
        of_rows = measure.rows(LABELS, SAID).mean()
        assert of_rows == pytest.approx(measure.function(LABELS, SAID).value)


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
