"""Profiles of tables: what is added up is what all rows would have given."""

from datetime import datetime, timedelta
from functools import reduce
from itertools import permutations
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.data.profile import can_be_added, columns_of, profile, together
from cd4ml.records.profile import ColumnProfile, Profile
from cd4ml.store.address import canonical
from tests.data.tables import flights
from tests.measures.messages import exactly

START = datetime(2012, 12, 30)  # noqa: DTZ001

SCHEMA = {
    "number": pl.Float64,
    "count": pl.Int64,
    "carrier": pl.String,
    "late": pl.Boolean,
    "at": pl.Datetime("us"),
    "tags": pl.List(pl.String),
}

rows = st.tuples(
    st.none() | st.sampled_from([0.0, -1.5, 1e6, float("nan"), float("inf"), -float("inf")]),
    st.none() | st.integers(-(2**62), 2**62),
    st.none() | st.sampled_from(["UA", "AA", "å", ""]),
    st.none() | st.booleans(),
    st.none() | st.integers(0, 10_000).map(lambda hours: START + timedelta(hours=hours)),
    st.none() | st.lists(st.just("x"), max_size=3),
)
tables = st.lists(rows, max_size=12).map(lambda many: pl.DataFrame(many, SCHEMA, orient="row"))

few = settings(max_examples=40, deadline=None)  # each example is several tables

ROUNDED = ("mean", "squares", "quantiles")  # quantiles: of one part only
INTERVALS = ("n_distinct", "n_distinct_at_most")


def of(*frames: pl.DataFrame, before: Profile | None = None) -> Profile:
    bins = {column.name: column.bins for column in before.columns} if before else None
    return profile(pl.concat(frames).lazy(), bins)


def exact(made: Profile) -> list[dict[str, Any]]:
    """All that is exact, whatever the order."""
    return [
        {
            name: value
            for name, value in msgspec.structs.asdict(column).items()
            if name not in ROUNDED + INTERVALS
        }
        for column in made.columns
    ]


def by_name(made: Profile) -> dict[str, ColumnProfile]:
    return {column.name: column for column in made.columns}


@few
@given(tables, tables, tables)
def test_parts_add_up_to_the_whole_exactly_in_any_order(
    a: pl.DataFrame, b: pl.DataFrame, c: pl.DataFrame
) -> None:
    reference = of(a, b, c)
    whole = of(a, b, c, before=reference)
    parts = [of(part, before=reference) for part in (a, b, c)]

    for first, second, third in permutations(parts):
        assert exact(together([first, second, third])) == exact(whole)
        assert exact(together([first, together([second, third])])) == exact(whole)


@few
@given(tables, tables)
def test_mean_and_spread_of_parts_are_those_of_the_whole_up_to_rounding(
    a: pl.DataFrame, b: pl.DataFrame
) -> None:
    reference = of(a, b)

    found = together([of(a, before=reference), of(b, before=reference)])

    for part, whole in zip(found.columns, reference.columns, strict=True):
        if whole.mean is None:
            assert (part.mean, part.squares) == (None, None)
            continue
        scale = max(abs(whole.minimum), abs(whole.maximum))
        assert part.mean == pytest.approx(whole.mean, abs=1e-12 * scale)
        assert part.squares == pytest.approx(whole.squares, abs=1e-12 * scale**2)


@few
@given(tables, tables)
def test_the_number_of_distinct_values_is_within_its_interval(
    a: pl.DataFrame, b: pl.DataFrame
) -> None:
    reference = of(a, b)

    found = together([of(a, before=reference), of(b, before=reference)])

    for part, whole in zip(found.columns, reference.columns, strict=True):
        if whole.n_distinct is None:
            assert part.n_distinct is None
        else:
            assert part.n_distinct <= whole.n_distinct <= part.n_distinct_at_most
    for name in ("number", "carrier", "late"):
        assert by_name(found)[name].n_distinct == by_name(reference)[name].n_distinct
        assert by_name(found)[name].n_distinct_at_most == by_name(reference)[name].n_distinct


@few
@given(st.lists(tables, min_size=1, max_size=5))
def test_a_year_is_the_sum_of_its_days_whatever_was_seen_first(days: list[pl.DataFrame]) -> None:
    made: list[Profile] = []
    for day in days:
        before = reduce(lambda a, b: together([a, b]), made) if made else None
        made.append(of(day, before=before))

    whole = together(made)

    assert exact(whole) == exact(of(*days, before=whole))


@few
@given(tables)
def test_a_profile_comes_back_from_its_json(table: pl.DataFrame) -> None:
    made = of(table)

    assert msgspec.json.decode(canonical(made), type=Profile) == made


def test_no_rows_and_no_columns_are_tables() -> None:
    assert profile(pl.LazyFrame()) == Profile(n_rows=0, columns=())
    assert [column.n_rows for column in of(flights()[:0]).columns] == [0] * 5


def test_a_large_table_is_read_a_few_columns_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = of(flights())

    monkeypatch.setattr("cd4ml.data.profile._CELLS", 6)

    assert of(flights()) == whole


def test_the_columns_of_a_version_come_from_its_profile() -> None:
    flight, carrier, hour, is_late, left_at = columns_of(
        of(flights(hour=[5.0, None, float("inf")]))
    )

    assert (flight.minimum, flight.maximum, flight.n_unique) == (1.0, 3.0, None)
    assert (carrier.n_unique, is_late.n_unique, left_at.n_unique) == (2, 2, None)
    assert (hour.n_null, hour.minimum, hour.maximum) == (1, 5.0, 5.0)


def test_other_columns_or_bins_cannot_be_added() -> None:
    one, other = of(flights()), of(flights(flight=[7, 8, 9]))
    renamed = profile(flights().lazy().rename({"hour": "h"}))

    for second in (other, renamed):
        assert not can_be_added(one, second)
        with pytest.raises(
            ValueError,
            match=exactly("profiles can be added if they have the same columns and bins"),
        ):
            together([one, second])
