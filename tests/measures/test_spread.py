import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.measures.spread import EMPTY, deviation, spread, together
from tests.measures.messages import exactly

rows = st.lists(st.floats(-1e6, 1e6), max_size=40)


@given(rows, rows)
def test_two_parts_have_the_spread_of_all_rows(first: list[float], second: list[float]) -> None:
    found, whole = together(spread(first), spread(second)), spread(first + second)

    assert found.n == whole.n
    assert found.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-9)
    assert found.squares == pytest.approx(whole.squares, rel=1e-9, abs=1e-3)


@given(rows, rows, rows)
def test_it_does_not_matter_which_parts_come_first(
    a: list[float], b: list[float], c: list[float]
) -> None:
    left = together(together(spread(a), spread(b)), spread(c))
    right = together(spread(c), together(spread(b), spread(a)))

    assert left == pytest.approx(right, rel=1e-9, abs=1e-3)


@given(rows.filter(lambda values: len(values) > 1))
def test_the_deviation_is_numpys(values: list[float]) -> None:
    assert deviation(spread(values)) == pytest.approx(np.std(values, ddof=1), abs=1e-9)


def test_small_differences_of_large_numbers_are_kept() -> None:
    microseconds = 1.4e15 + np.arange(1000.0)

    whole = together(spread(microseconds[:400]), spread(microseconds[400:]))

    assert deviation(whole) == pytest.approx(np.std(np.arange(1000), ddof=1), rel=1e-9)


def test_no_rows_change_nothing() -> None:
    some = spread([1.0, 2.0])

    assert spread([]) == EMPTY
    assert together(EMPTY, some) == together(some, EMPTY) == some
    assert (deviation(EMPTY), deviation(spread([5.0]))) == (0.0, 0.0)


def test_numbers_too_large_to_be_squared_are_infinitely_spread() -> None:
    assert spread([1e300, -1e300]).squares == np.inf


def test_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match=exactly("expected one value a row, got shape (1, 1)")):
        spread([[1.0]])
