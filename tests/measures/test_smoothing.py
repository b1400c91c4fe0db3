import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.measures.smoothing import smoothed

lines = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50).map(np.array)
weights = st.floats(0, 0.999)


@given(lines, weights)
def test_a_smoothed_line_stays_between_its_lowest_and_highest(
    values: np.ndarray, weight: float
) -> None:
    found = smoothed(values, weight)

    room = 1e-9 * (1 + np.abs(values).max()) / (1 - weight)
    assert found[0] == pytest.approx(values[0])
    assert (found >= values.min() - room).all()
    assert (found <= values.max() + room).all()


@given(lines, weights)
def test_it_is_the_weighted_mean_of_what_came_before(values: np.ndarray, weight: float) -> None:
    weights = weight ** np.arange(len(values))[::-1]

    assert smoothed(values, weight)[-1] == pytest.approx(
        float((weights * values).sum() / weights.sum()), rel=1e-6, abs=1e-3
    )


def test_what_is_not_finite_counts_for_nothing() -> None:
    values = np.array([np.nan, 1.0, np.inf, 0.0])

    found = smoothed(values, 0.5)

    assert found.tolist()[1:] == [1.0, np.inf, pytest.approx(1 / 3)]
    assert np.isnan(found[0])
    assert values[3] == 0.0  # its input is left as it was


@pytest.mark.parametrize("weight", [-0.1, 1.0, float("nan")])
def test_a_weight_is_below_one(weight: float) -> None:
    with pytest.raises(ValueError, match=f"expected a weight from 0 to below 1, got {weight:g}"):
        smoothed(np.array([1.0]), weight)
