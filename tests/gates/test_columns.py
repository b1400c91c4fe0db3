"""Columns become few named values, whatever they hold."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.gates.columns import MOST_VALUES, coded, searchable
from cd4ml.measures.estimate import UndefinedMeasure


def names_of(column: pl.Series) -> list[str]:
    """The name of each row's value."""
    names, codes = coded(pl.DataFrame({column.name: column}), column.name)
    return [names[code] for code in codes]


def test_categories_booleans_and_few_numbers_are_taken_as_they_are() -> None:
    assert names_of(pl.Series("carrier", ["UA", None, "HA"])) == [
        "carrier=UA",
        "carrier=null",
        "carrier=HA",
    ]
    assert names_of(pl.Series("wet", [True, False])) == ["wet=true", "wet=false"]
    assert names_of(pl.Series("seats", [2, 4, 2])) == ["seats=2", "seats=4", "seats=2"]


def test_many_numbers_become_four_ranges_of_about_as_many_rows() -> None:
    names = names_of(pl.Series("miles", [float(i) for i in range(100)]))

    assert names[0] == "miles<25"
    assert names[25] == "25<=miles<50"
    assert names[99] == "miles>=75"
    assert {names.count(name) for name in names} == {25}


def test_numbers_that_are_missing_are_a_slice_of_their_own() -> None:
    names = names_of(pl.Series("miles", [*map(float, range(40)), None, float("nan")]))

    assert names[40:] == ["miles=null", "miles=null"]
    assert names.count("miles=null") == 2


def test_rare_values_are_one() -> None:
    planes = [f"N{i:03d}" for i in range(MOST_VALUES)] * 2 + ["Z1", "Z2"]

    names = names_of(pl.Series("plane", planes))

    assert names[-2:] == ["plane=other", "plane=other"]
    assert len(set(names)) == MOST_VALUES + 1


@given(
    st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=60)
)
def test_every_row_has_exactly_one_name_that_is_true_of_it(numbers: list[float | None]) -> None:
    column = pl.Series("x", numbers, dtype=pl.Float64)

    names, codes = coded(pl.DataFrame({"x": column}), "x")

    assert len(names) == len(set(names))
    assert codes.shape == (len(numbers),)
    assert set(codes.tolist()) <= set(range(len(names)))


def test_searched_are_neither_times_nor_names_nor_constants() -> None:
    rows = pl.DataFrame(
        {
            "late": [0, 1] * 20,
            "at": [datetime(2013, 1, 1, tzinfo=UTC)] * 40,
            "who": [f"passenger {i}" for i in range(40)],
            "carrier": ["UA", "HA"] * 20,
            "same": ["x"] * 40,
            "miles": np.arange(40.0),
            "tags": [["a"]] * 40,
        }
    )

    assert list(searchable(rows, without=("late",))) == ["carrier", "miles"]


def test_a_column_that_is_not_there_is_said() -> None:
    with pytest.raises(UndefinedMeasure) as caught:
        coded(pl.DataFrame({"a": [1]}), "b")

    assert str(caught.value) == "the holdout has no column 'b' to slice by"
