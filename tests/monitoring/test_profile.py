import math

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.monitoring.profile import MOST_CATEGORIES, Profile, column_profile, counts_in, profile

columns = st.one_of(
    st.lists(st.none() | st.just(math.inf) | st.floats(-1e300, 1e300), min_size=1).map(
        lambda v: pl.Series("c", v, pl.Float64)
    ),
    st.lists(st.none() | st.integers(-9, 9), min_size=1).map(lambda v: pl.Series("c", v, pl.Int64)),
    st.lists(st.none() | st.sampled_from("abcdef"), min_size=1).map(
        lambda v: pl.Series("c", v, pl.String)
    ),
    st.lists(st.none() | st.booleans(), min_size=1).map(lambda v: pl.Series("c", v, pl.Boolean)),
)


@given(columns)
def test_every_value_is_in_one_bin(column: pl.Series) -> None:
    bins = column_profile(column)

    assert sum(bins.counts) == len(column)
    assert tuple(counts_in(bins, column)) == bins.counts


@given(columns)
def test_counts_of_two_halves_add_up(column: pl.Series) -> None:
    bins = column_profile(column)
    half = len(column) // 2

    together = counts_in(bins, column[:half]) + counts_in(bins, column[half:])

    assert tuple(together) == bins.counts


def test_numbers_fall_between_edges_and_missing_ones_into_the_last_bin() -> None:
    bins = column_profile(pl.Series("temp", [float(value) for value in range(100)]))

    assert len(bins.edges) == 9
    assert counts_in(bins, pl.Series([-1e9, 50.0, 1e9, None, float("nan")])).tolist() == [
        1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2,
    ]  # fmt: skip


def test_texts_that_were_not_known_are_counted_together() -> None:
    bins = column_profile(pl.Series("carrier", ["UA", "UA", "HA"]))

    assert bins.categories == ("UA", "HA")
    assert counts_in(bins, pl.Series(["HA", "ZZ", "YY", None])).tolist() == [0, 1, 2, 1]


def test_only_the_commonest_categories_have_their_own_bin() -> None:
    many = [f"N{number:03}" for number in range(200)]

    bins = column_profile(pl.Series("plane", [*many, "N007"]))

    assert len(bins.categories) == MOST_CATEGORIES
    assert bins.categories[:2] == ("N007", "N000")
    assert bins.counts[-2:] == (150, 0)


@pytest.mark.parametrize("values", [[None, None], []])
def test_a_column_without_a_value_has_a_profile(values: list[None]) -> None:
    bins = column_profile(pl.Series("gust", values, pl.Float64))

    assert counts_in(bins, pl.Series([1.0, None])).tolist() == [1, 1]


def test_a_profile_leaves_times_out_and_can_be_kept() -> None:
    frame = pl.DataFrame({"temp": [1.0], "carrier": ["UA"]}).with_columns(
        at=pl.datetime(2013, 1, 1, time_zone="UTC"), day=pl.date(2013, 1, 1)
    )

    made = profile(frame)

    assert [column.name for column in made.columns] == ["temp", "carrier"]
    assert msgspec.json.decode(msgspec.json.encode(made), type=Profile) == made
