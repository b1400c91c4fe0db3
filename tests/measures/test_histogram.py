from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.histogram import (
    edges,
    edges_of_sorted,
    groups,
    histogram,
    histogram_of_sorted,
    quantile,
)
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


@given(st.lists(st.floats(-1e9, 1e9), max_size=60), present, st.integers(2, 12))
def test_sorted_values_are_counted_alike(
    rows: list[float], reference: list[int], bins: int
) -> None:
    cuts = edges(reference, bins)

    counts = histogram_of_sorted(np.sort(rows), cuts, n_missing=2)

    assert counts.tolist() == histogram([*rows, np.nan, np.nan], cuts).tolist()


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=60), st.integers(2, 100))
def test_edges_are_numpys_quantiles(reference: list[float], bins: int) -> None:
    found = edges_of_sorted(np.sort(reference), bins)

    quantiles = np.quantile(reference, np.arange(1, bins) / bins)
    nearest = np.abs(found[:, np.newaxis] - quantiles).min(axis=0)
    assert (nearest <= 1e-12 * np.abs(reference).max() + 1e-300).all()


@given(present, st.lists(st.integers(-30, 30), min_size=1, max_size=60), st.floats(0, 1))
def test_the_exact_quantile_is_within_its_limits(
    reference: list[int], rows: list[int], share: float
) -> None:
    cuts = edges(reference, 10)

    found = quantile(histogram(rows, cuts), cuts, share, minimum=min(rows), maximum=max(rows))

    exact = np.quantile(rows, share)
    assert found.low - 1e-9 <= exact <= found.high + 1e-9
    assert found.low <= found.value <= found.high


def test_quantiles_at_the_edges_are_those_of_the_rows() -> None:
    rows = np.random.default_rng(0).lognormal(0, 2, 10_000)
    cuts = edges(rows, 100)
    counts = histogram(rows, cuts)

    for share in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99):
        found = quantile(counts, cuts, share, minimum=rows.min(), maximum=rows.max())
        assert found.value == pytest.approx(np.quantile(rows, share), rel=1e-12)


def test_quantiles_that_cannot_be_told_are_refused() -> None:
    with pytest.raises(ValueError, match=exactly("expected a share within 0..1, got 50")):
        quantile([1, 0], [], 50, minimum=0, maximum=1)
    with pytest.raises(ValueError, match=exactly("expected 3 counts for 1 edges, got 2")):
        quantile([1, 0], [2.0], 0.5, minimum=0, maximum=1)
    with pytest.raises(UndefinedMeasure):
        quantile([0, 7], [], 0.5, minimum=0, maximum=1)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=101), st.integers(2, 25))
def test_joined_bins_lose_no_row(counts: list[int], bins: int) -> None:
    starts = groups(counts, bins)

    joined = np.add.reduceat(counts, starts)

    assert starts[0] == 0
    assert len(starts) <= bins + 2
    assert joined.sum() == sum(counts)


def test_joined_bins_hold_equally_many_rows_of_the_reference() -> None:
    starts = groups([100] * 100, 20)

    assert np.add.reduceat([100] * 100, starts).tolist() == [500] * 20
    with pytest.raises(ValueError, match=exactly("expected at least 2 bins, got 1")):
        groups([1, 2], 1)


def test_values_beyond_the_reference_do_not_hide_among_its_own() -> None:
    cuts = edges([5.0] * 100)

    starts = groups(histogram([5.0] * 100, cuts)[:-1])

    moved = histogram([4.0] * 3 + [6.0] * 2, cuts)[:-1]
    assert np.add.reduceat(moved, starts).tolist() == [3, 0, 2]


def test_edges_as_far_apart_as_floats_go_are_edges() -> None:
    assert histogram([0.0, 1.7e308], [-1.7e308, 1.6e308]).tolist() == [0, 1, 1, 0]
