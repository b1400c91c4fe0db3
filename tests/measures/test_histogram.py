from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.histogram import edges, histogram
from tests.measures.messages import exactly

numbers = st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(float("nan"))), max_size=60)
present = st.lists(st.integers(-20, 20), min_size=1, max_size=60)


@given(numbers, present, st.integers(2, 12))
def test_every_row_is_in_one_bin(rows: list[float], reference: list[int], bins: int) -> None:
    counts = histogram(rows, edges(reference, bins))

    assert counts.sum() == len(rows)
    assert counts[-1] == np.isnan(rows).sum()


@given(numbers, numbers, present)
def test_histograms_of_two_hours_add_up(
    first: list[float], second: list[float], reference: list[int]
) -> None:
    cuts = edges(reference)

    together = histogram(first + second, cuts)

    assert together.tolist() == (histogram(first, cuts) + histogram(second, cuts)).tolist()


def test_quantile_bins_hold_equally_many_rows_of_a_skewed_column() -> None:
    prices = np.random.default_rng(0).lognormal(0, 2, 10_000)

    counts = histogram(prices, edges(prices, 10))

    assert counts.tolist() == [1000] * 10 + [0]


def test_missing_values_are_counted_apart() -> None:
    assert histogram([None, 1.0, float("nan"), np.inf, -np.inf], [0.0]).tolist() == [1, 2, 2]


def test_a_constant_that_changes_either_way_leaves_its_bin() -> None:
    cuts = edges([5.0] * 100)

    assert histogram([5.0, 5.0], cuts).tolist() == [0, 2, 0, 0]
    assert histogram([4.9, 5.1], cuts).tolist() == [1, 0, 1, 0]


def test_columns_without_quantiles_are_refused() -> None:
    with pytest.raises(UndefinedMeasure) as refusal:
        edges([float("nan")])
    with pytest.raises(ValueError, match=exactly("expected at least 2 bins, got 1")):
        edges([1.0, 2.0], 1)
    with pytest.raises(
        ValueError,
        match=exactly("quantiles need finite values, got infinite ones; clean the reference"),
    ):
        edges([1.0, np.inf])

    assert str(refusal.value) == "a column without any value has no quantiles; leave it out"


def test_edges_that_do_not_increase_are_refused() -> None:
    with pytest.raises(ValueError, match=exactly("edges of bins increase, got [2.0, 1.0]")):
        histogram([1.0], [2.0, 1.0])
    with pytest.raises(ValueError, match=exactly("expected one value a row, got shape (1, 1)")):
        histogram([[1.0]], [2.0])
