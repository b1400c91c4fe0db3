from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.moments import merged, moments, running_moments, shape_of

losses = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(losses, losses)
def test_moments_of_two_parts_are_those_of_the_whole(
    first: list[float], second: list[float]
) -> None:
    together = merged(moments(first), moments(second))

    for part, whole in zip(together, moments(first + second), strict=True):
        assert part == pytest.approx(whole)


@given(losses)
def test_running_moments_end_where_all_rows_are(rows: list[float]) -> None:
    for running, whole in zip(running_moments(rows), moments(rows), strict=True):
        assert running[-1] == pytest.approx(whole)


def test_the_shape_is_mean_variance_and_rows_over_kurtosis() -> None:
    rows = np.random.default_rng(0).gamma(2.0, size=500)

    shape = shape_of(moments(rows))

    assert shape.mean == pytest.approx(rows.mean())
    assert shape.variance == pytest.approx(rows.var())
    assert shape.effective == pytest.approx(500 / stats.kurtosis(rows, fisher=False))


@given(losses)
def test_effective_rows_are_never_more_than_rows(rows: list[float]) -> None:
    shape = shape_of(moments(rows))

    assert 0 <= shape.effective <= len(rows)
    assert 0 <= shape.variance <= 0.25 + 1e-12


def test_a_spread_whose_square_is_no_float_is_none() -> None:
    assert shape_of(moments([0.0, 2.7e-129])).effective == 0


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, 1.0, 1e-9, 1e6])
def test_equal_rows_are_no_evidence_of_a_spread(constant: float) -> None:
    assert shape_of(moments([constant] * 1000)).effective == 0


def test_rare_events_count_themselves() -> None:
    assert shape_of(moments([1.0] * 12 + [0.0] * 4000)).effective == pytest.approx(12, rel=0.01)


def test_no_rows_have_no_moments() -> None:
    with pytest.raises(UndefinedMeasure) as refusal:
        running_moments([])

    assert str(refusal.value) == "there are no rows to measure; wait for the first one"
