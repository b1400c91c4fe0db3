from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from cd4ml.measures.calibration import (
    calibration_in_the_large,
    expected_calibration_error,
    reliability,
)
from tests.measures.messages import exactly

forecasts = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=50)


def honest(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes that happen as often as was said."""
    rng = np.random.default_rng(seed)
    said = rng.beta(2, 5, n)
    return rng.random(n) < said, said


def test_the_reliability_table_is_scikit_learns_curve() -> None:
    labels, said = honest(2000)
    happened, mean_said = calibration_curve(labels, said, n_bins=10)

    table = reliability(labels, said)

    assert [row.observed.value for row in table] == pytest.approx(list(happened))
    assert [row.mean_score for row in table] == pytest.approx(list(mean_said))
    assert sum(row.observed.n for row in table) == 2000


@given(forecasts, st.integers(1, 20))
def test_each_row_is_in_the_bin_of_its_score(rows: list[tuple[bool, float]], bins: int) -> None:
    labels, said = zip(*rows, strict=True)

    table = reliability(labels, said, bins=bins)

    assert sum(row.observed.n for row in table) == len(rows)
    assert all(row.low - 1e-12 <= row.mean_score <= row.high + 1e-12 for row in table)


@given(forecasts)
def test_calibration_errors_are_bounded(rows: list[tuple[bool, float]]) -> None:
    labels, said = zip(*rows, strict=True)

    in_the_large = calibration_in_the_large(labels, said)
    error = expected_calibration_error(labels, said)

    assert -1 <= in_the_large.value <= 1
    # A mean of absolute gaps is at least the gap of the means.
    assert abs(in_the_large.value) - 1e-12 <= error <= 1


def test_an_honest_forecast_is_calibrated_and_a_bent_one_is_not() -> None:
    labels, said = honest(20_000, seed=7)
    bent = np.clip(said * 1.3, 0, 1)

    assert abs(calibration_in_the_large(labels, said).value) < 0.01
    assert calibration_in_the_large(labels, bent).low > 0.05
    assert expected_calibration_error(labels, said) < 0.02
    assert expected_calibration_error(labels, bent) > 0.05


def test_saying_the_truth_has_no_error() -> None:
    assert expected_calibration_error([0, 1, 1], [0, 1, 1]) == 0


def test_no_bins_are_refused() -> None:
    with pytest.raises(ValueError, match=exactly("expected at least 1 bin, got 0")):
        reliability([0, 1], [0.1, 0.9], bins=0)
