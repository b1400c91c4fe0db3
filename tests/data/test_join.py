"""A join as of a moment finds what was known then, and never what came later."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data.join import join_as_of
from cd4ml.errors import InvalidInput

TIME = pl.Datetime("us", "UTC")


def hour(number: int | None) -> datetime | None:
    """A moment on the first of January."""
    return None if number is None else datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=number)


class Ask(NamedTuple):
    moment: int | None
    key: str | None = "JFK"


class Known(NamedTuple):
    event: int | None
    arrival: int | None
    value: int
    key: str | None = "JFK"


def asks(*rows: Ask) -> pl.DataFrame:
    return pl.DataFrame(
        [(hour(row.moment), row.key) for row in rows],
        schema={"leaves": TIME, "origin": pl.String},
        orient="row",
    )


def weather(*rows: Known) -> pl.DataFrame:
    return pl.DataFrame(
        [(hour(row.event), hour(row.arrival), row.key, row.value) for row in rows],
        schema={"at": TIME, "arrived": TIME, "origin": pl.String, "wind": pl.Int64},
        orient="row",
    )


def winds(left: pl.DataFrame, right: pl.DataFrame, **asked: Any) -> list[int | None]:
    """What each flight finds."""
    joined = join_as_of(left, right, left_on="leaves", right_on="at", by="origin", **asked)
    found: list[int | None] = joined["wind"].to_list()
    return found


def test_a_row_finds_the_newest_that_had_happened() -> None:
    right = weather(Known(1, 1, 10), Known(3, 3, 30), Known(5, 5, 50))

    assert winds(asks(Ask(0), Ask(3), Ask(4), Ask(9)), right) == [None, 30, 30, 50]


def test_a_late_row_is_not_found_before_it_arrives() -> None:
    right = weather(Known(1, 1, 10), Known(3, 6, 30))
    left = asks(Ask(4), Ask(5), Ask(6))

    assert winds(left, right, known="arrived") == [10, 10, 30]
    assert winds(left, right) == [30, 30, 30]  # what a join by event time alone would say


def test_a_correction_counts_from_its_arrival_on() -> None:
    right = weather(Known(1, 1, 10), Known(1, 4, 11), Known(1, 7, 12))

    assert winds(asks(Ask(3), Ask(4), Ask(8)), right, known="arrived") == [10, 11, 12]


def test_a_late_correction_of_an_old_row_does_not_hide_a_newer_one() -> None:
    right = weather(Known(1, 1, 10), Known(3, 3, 30), Known(1, 5, 11))

    assert winds(asks(Ask(2), Ask(4), Ask(6)), right, known="arrived") == [10, 30, 30]


def test_what_arrives_before_it_happens_is_found_when_it_happens() -> None:
    """A timetable is known in advance; its row is taken when its time has come."""
    right = weather(Known(1, 1, 10), Known(5, 2, 50))

    assert winds(asks(Ask(4), Ask(5)), right, known="arrived") == [10, 50]


def test_of_rows_with_the_same_times_the_one_further_down_counts() -> None:
    right = weather(Known(1, 2, 10), Known(1, 2, 11))
    left = asks(Ask(3))

    assert winds(left, right) == winds(left, right, known="arrived") == [11]
    assert winds(left, right.reverse()) == winds(left, right.reverse(), known="arrived") == [10]


def test_nothing_is_found_with_another_key_or_none() -> None:
    right = weather(Known(1, 1, 10, "LGA"), Known(1, 1, 11, None), Known(0, 0, 12))
    left = asks(Ask(2, "JFK"), Ask(2, "LGA"), Ask(2, "EWR"), Ask(2, None))

    assert winds(left, right) == winds(left, right, known="arrived") == [12, 10, None, None]


def test_a_row_without_a_time_neither_finds_nor_is_found() -> None:
    right = weather(Known(None, 1, 10), Known(1, None, 11), Known(0, 0, 12))
    left = asks(Ask(None), Ask(2))

    assert winds(left, right) == [None, 11]
    assert winds(left, right, known="arrived") == [None, 12]


def test_what_is_too_old_is_not_found() -> None:
    right = weather(Known(1, 1, 10), Known(3, 8, 30))
    left = asks(Ask(3), Ask(4), Ask(8), Ask(9))
    two = timedelta(hours=2)

    assert winds(left, right, known="arrived", tolerance=two) == [10, None, None, None]
    assert winds(left, right, known="arrived", tolerance=timedelta(hours=5)) == [10, 10, 30, None]
    assert winds(left, right, tolerance=two) == [30, 30, None, None]


def test_without_a_key_all_rows_answer() -> None:
    left, right = (
        asks(Ask(2, "JFK"), Ask(4, None)),
        weather(Known(1, 1, 10, "LGA"), Known(3, 3, 30)),
    )

    for known in ("", "arrived"):
        joined = join_as_of(left, right, left_on="leaves", right_on="at", known=known)
        assert joined["wind"].to_list() == [10, 30]
        assert joined["origin_right"].to_list() == ["LGA", "JFK"]


def test_the_left_rows_stay_as_they_were_and_in_their_order() -> None:
    left = asks(Ask(9), Ask(1), Ask(None), Ask(5), Ask(1)).with_row_index("number")
    right = weather(Known(5, 5, 50), Known(1, 1, 10))

    joined = join_as_of(left, right, left_on="leaves", right_on="at", by="origin")

    assert joined.select(left.columns).equals(left)
    assert joined.columns == [*left.columns, "at", "arrived", "wind"]
    assert joined["wind"].to_list() == [50, 10, None, 50, 10]


def test_a_time_that_both_call_alike_is_there_once() -> None:
    left = asks(Ask(3)).rename({"leaves": "at"})

    joined = join_as_of(left, weather(Known(1, 1, 10)), on="at", by=["origin"])

    assert joined.columns == ["at", "origin", "arrived", "wind"]
    assert joined.rows() == [(hour(3), "JFK", hour(1), 10)]


def test_a_name_of_both_sides_gets_the_suffix() -> None:
    left = asks(Ask(3)).with_columns(wind=1)

    joined = join_as_of(
        left, weather(Known(1, 1, 10)), left_on="leaves", right_on="at", by="origin", suffix="_then"
    )

    assert joined.select("wind", "wind_then").rows() == [(1, 10)]


@pytest.mark.parametrize("is_right_lazy", [False, True])
def test_a_lazy_left_gives_a_lazy_table(is_right_lazy: bool) -> None:
    right = weather(Known(1, 1, 10), Known(3, 6, 30))
    asked: dict[str, Any] = {
        "left_on": "leaves",
        "right_on": "at",
        "by": "origin",
        "known": "arrived",
    }
    left = asks(Ask(4), Ask(7))

    lazy = join_as_of(left.lazy(), right.lazy() if is_right_lazy else right, **asked)

    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect().equals(join_as_of(left, right, **asked))
    assert lazy.collect_schema() == lazy.collect().schema
    assert lazy.filter(pl.col("wind") == 30).select("wind").collect().rows() == [(30,)]
    assert lazy.head(1).collect()["wind"].to_list() == [10]
    assert lazy.collect(engine="streaming")["wind"].to_list() == [10, 30]


def test_a_table_beside_a_lazy_one_stays_a_table() -> None:
    joined = join_as_of(
        asks(Ask(4)), weather(Known(1, 1, 10)).lazy(), left_on="leaves", right_on="at"
    )

    assert isinstance(joined, pl.DataFrame)


def test_empty_tables_join() -> None:
    assert winds(asks(), weather(Known(1, 1, 10))) == []
    assert (
        winds(asks(Ask(1)), weather()) == winds(asks(Ask(1)), weather(), known="arrived") == [None]
    )


def test_dates_are_compared_with_dates() -> None:
    left = pl.DataFrame({"day": [date(2013, 1, 2)]})
    right = pl.DataFrame({"day": [date(2013, 1, 1), date(2013, 1, 3)], "wind": [10, 30]})

    assert join_as_of(left, right, on="day")["wind"].to_list() == [10]


def test_a_coarser_clock_on_the_left_does_not_see_the_future() -> None:
    """900 nanoseconds past eight is not eight, though in microseconds it would be."""
    left = asks(Ask(8))
    late = pl.Series("at", [hour(8)]).cast(pl.Datetime("ns", "UTC")).dt.offset_by("900ns")
    right = pl.DataFrame({"at": late, "wind": [10]})

    assert join_as_of(left, right, left_on="leaves", right_on="at")["wind"].to_list() == [None]


# --- against somebody with a list -----------------------------------------------------------

hours = st.none() | st.integers(0, 6)
keys = st.sampled_from(["JFK", "LGA", None])


def oracle(ask: Ask, right: list[Known], *, known: bool, tolerance: int | None) -> int | None:
    """What a person finds who goes through the list row by row."""
    best: tuple[tuple[int, int, int], int] | None = None
    for position, row in enumerate(right):
        if ask.moment is None or ask.key is None or row.event is None or row.key != ask.key:
            continue
        if row.event > ask.moment or (tolerance is not None and row.event < ask.moment - tolerance):
            continue
        if known and (row.arrival is None or row.arrival > ask.moment):
            continue
        rank = (row.event, (row.arrival or 0) if known else 0, position)
        if best is None or rank > best[0]:
            best = (rank, row.value)
    return None if best is None else best[1]


@given(
    st.lists(st.builds(Ask, hours, keys), max_size=8),
    st.lists(st.tuples(hours, hours, keys), max_size=12),
    st.booleans(),
    st.none() | st.integers(0, 4),
)
def test_it_finds_what_somebody_with_a_list_would_find(
    left: list[Ask],
    given_rows: list[tuple[int | None, int | None, str | None]],
    is_known_asked: bool,
    tolerance: int | None,
) -> None:
    right = [Known(event, arrival, n, key) for n, (event, arrival, key) in enumerate(given_rows)]

    found = winds(
        asks(*left),
        weather(*right),
        known="arrived" if is_known_asked else "",
        tolerance=None if tolerance is None else timedelta(hours=tolerance),
    )

    assert found == [oracle(ask, right, known=is_known_asked, tolerance=tolerance) for ask in left]


@given(
    st.lists(st.builds(Ask, hours, keys), min_size=1, max_size=6),
    st.lists(st.tuples(hours, hours, keys), max_size=10),
    st.lists(st.tuples(hours, hours, keys), max_size=5),
    st.integers(0, 6),
)
def test_what_arrives_later_changes_nothing_before(
    left: list[Ask],
    early: list[tuple[int | None, int | None, str | None]],
    late: list[tuple[int | None, int | None, str | None]],
    now: int,
) -> None:
    """The promise itself: an answer about a moment stays, whatever anybody learns after it."""
    known = [Known(event, arrival, n, key) for n, (event, arrival, key) in enumerate(early)]
    later = [
        Known(event, now + 1 + (arrival or 0), 100 + n, key)
        for n, (event, arrival, key) in enumerate(late)
    ]
    before = asks(*(ask for ask in left if ask.moment is not None and ask.moment <= now))

    assert winds(before, weather(*known, *later), known="arrived") == winds(
        before, weather(*known), known="arrived"
    )


# --- what is refused ------------------------------------------------------------------------


def refusal(left: pl.DataFrame, right: pl.DataFrame, **asked: Any) -> str:
    with pytest.raises(InvalidInput) as refused:
        join_as_of(left, right, **asked)
    return str(refused.value)


def test_times_in_different_zones_are_refused() -> None:
    right = weather().with_columns(pl.col("at").dt.convert_time_zone("America/New_York"))

    assert refusal(asks(), right, left_on="leaves", right_on="at") == (
        "times of different kinds cannot be compared: 'leaves' on the left has UTC,"
        " 'at' on the right has America/New_York\n"
        "  hint: dt.convert_time_zone changes the zone, dt.replace_time_zone gives one"
    )


def test_times_without_a_zone_beside_others_are_refused() -> None:
    right = weather().with_columns(pl.col("arrived").dt.replace_time_zone(None))

    assert refusal(asks(), right, left_on="leaves", right_on="at", known="arrived") == (
        "times of different kinds cannot be compared: 'leaves' on the left has UTC,"
        " 'at' on the right has UTC, 'arrived' on the right has no time zone\n"
        "  hint: dt.convert_time_zone changes the zone, dt.replace_time_zone gives one"
    )


def test_dates_beside_times_are_refused() -> None:
    right = weather().with_columns(pl.col("at").dt.date())

    assert refusal(asks(), right, left_on="leaves", right_on="at") == (
        "times of different kinds cannot be compared: 'leaves' on the left has UTC,"
        " 'at' on the right has dates\n"
        "  hint: dt.convert_time_zone changes the zone, dt.replace_time_zone gives one"
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"left_on": "leaves"},
            "a join as of a moment needs the times of both sides: `on`, or `left_on` and"
            ' `right_on`\n  hint: join_as_of(flights, weather, on="time_hour", by="origin")',
        ),
        (
            {"on": "origin"},
            "the left table has 'origin' as String, expected a datetime or date\n"
            '  hint: pl.col("origin").str.to_datetime(time_zone="UTC") makes one of text',
        ),
        (
            {"left_on": "leaves", "right_on": "at", "by": "airport"},
            "the left table has no column 'airport'\n  hint: known: leaves, origin",
        ),
        (
            {"left_on": "leaves", "right_on": "at", "known": "seen"},
            "the right table has no column 'seen'\n  hint: known: at, arrived, origin, wind",
        ),
        (
            {"left_on": "leaves", "right_on": "at", "suffix": ""},
            "the joined table would have two columns 'origin'\n"
            "  hint: rename one of them, or choose another suffix",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused(asked: dict[str, str], message: str) -> None:
    assert refusal(asks(), weather(), **asked) == message


def test_a_key_of_two_types_is_refused() -> None:
    right = weather().with_columns(pl.lit(1).alias("origin"))

    assert refusal(asks(), right, left_on="leaves", right_on="at", by="origin") == (
        "the key 'origin' is String on the left and Int32 on the right\n  hint: cast one of them"
    )


def test_a_tolerance_that_finds_nothing_is_refused() -> None:
    table = pl.DataFrame({"at": [hour(1)]})

    with pytest.raises(InvalidInput) as refused:
        join_as_of(table, table, on="at", tolerance=timedelta(hours=-3))

    assert str(refused.value) == (
        "expected a tolerance of zero or more, got -1 day, 21:00:00\n"
        "  hint: tolerance=timedelta(hours=3)"
    )
    assert join_as_of(table, table, on="at", tolerance=timedelta(0)).height == 1
