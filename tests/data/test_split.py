"""No row teaches and judges; which does what depends on the row alone."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data.split import Split, split
from cd4ml.errors import InvalidInput

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")


def days(*numbers: float, name: str = "event_at") -> pl.DataFrame:
    """A row a moment, so many days after the beginning of the year."""
    moments = pl.Series([BEGIN + number * DAY for number in numbers], dtype=TIME)
    return pl.DataFrame({"row": list(numbers), name: moments}, schema_overrides={"row": pl.Float64})


def patients(*names: str) -> pl.DataFrame:
    return pl.DataFrame({"patient": list(names), "visit": range(len(names))})


def sides(parts: Split) -> tuple[list[float], list[float]]:
    return parts.training["row"].to_list(), parts.holdout["row"].to_list()


# --- by time --------------------------------------------------------------------------------


def test_the_newest_rows_judge_and_an_embargo_keeps_the_others_away() -> None:
    frame = days(9, 0, 6, 6.5, 7.5, 8, 10)

    parts = split(frame, holdout=3 * DAY, embargo=DAY)

    assert sides(parts) == ([0, 6], [9, 7.5, 8, 10])


def test_a_day_of_embargo_is_kept_where_nothing_is_said() -> None:
    assert sides(split(days(0, 1, 1.5, 2.5, 3, 4), holdout=2 * DAY)) == ([0, 1], [2.5, 3, 4])


def test_a_share_of_the_rows_may_judge() -> None:
    parts = split(days(*range(10)), holdout=0.3, embargo=timedelta(0))

    assert sides(parts) == ([0, 1, 2, 3, 4, 5, 6], [7, 8, 9])


def test_rows_of_one_instant_are_on_one_side() -> None:
    parts = split(days(0, 1, 2, 2, 2, 3), holdout=0.4, embargo=timedelta(0))

    assert sides(parts) == ([0, 1], [2, 2, 2, 3])


def test_everything_from_a_moment_on_may_judge() -> None:
    parts = split(days(0, 1, 3.9, 4, 5, 6), holdout=BEGIN + 5 * DAY, embargo=DAY)

    assert sides(parts) == ([0, 1, 3.9], [5, 6])


def test_rows_that_come_later_move_no_row_across_a_moment() -> None:
    boundary = BEGIN + 3 * DAY
    before = split(days(0, 1, 3, 4), holdout=boundary)
    after = split(days(7, 0, 1, 3, 4, 5), holdout=boundary)

    assert sides(before) == ([0, 1], [3, 4])
    assert sides(after) == ([0, 1], [7, 3, 4, 5])


def test_another_column_may_be_the_time() -> None:
    assert sides(split(days(0, 1, 3, name="left_at"), event_time="left_at", holdout=DAY)) == (
        [0, 1],
        [3],
    )


def test_dates_are_times_too() -> None:
    frame = days(0, 1, 2, 3).with_columns(pl.col("event_at").dt.date())

    assert sides(split(frame, holdout=DAY)) == ([0, 1], [3])
    assert sides(split(frame, holdout=BEGIN + 2 * DAY)) == ([0], [2, 3])


def test_times_without_a_zone_are_compared_with_a_moment_without_one() -> None:
    frame = days(0, 1, 3).with_columns(pl.col("event_at").dt.replace_time_zone(None))

    assert sides(split(frame, holdout=datetime(2013, 1, 3))) == ([0], [3])  # noqa: DTZ001


def test_a_local_time_splits_where_the_instant_lies() -> None:
    frame = days(0, 1, 3).with_columns(pl.col("event_at").dt.convert_time_zone("Asia/Kolkata"))

    assert sides(split(frame, holdout=BEGIN + 3 * DAY)) == ([0, 1], [3])


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=30),
    st.integers(1, 30),
    st.integers(0, 10),
)
def test_training_ends_an_embargo_before_the_holdout_begins(
    hours: list[int], period: int, embargo: int
) -> None:
    frame = days(*(number / 24 for number in hours))
    if max(hours) - min(hours) < period + embargo:
        with pytest.raises(InvalidInput, match="is left for the training"):
            split(frame, holdout=period * HOUR, embargo=embargo * HOUR)
        return

    parts = split(frame, holdout=period * HOUR, embargo=embargo * HOUR)

    last, first = parts.training["event_at"].max(), parts.holdout["event_at"].min()
    assert isinstance(last, datetime)
    assert isinstance(first, datetime)
    assert first - last > embargo * HOUR


# --- by hash --------------------------------------------------------------------------------


def test_all_rows_of_a_patient_are_on_one_side() -> None:
    frame = patients(*"abcabcdefghabc")

    parts = split(frame, by="patient", holdout=0.5)

    assert not {*parts.training["patient"]} & {*parts.holdout["patient"]}
    assert parts.training.height + parts.holdout.height == frame.height


def test_equal_rows_are_on_one_side() -> None:
    frame = pl.DataFrame({"width": [1.5, 2.5, 1.5, 3.5, 2.5, 4.5], "kind": list("aababb")})

    parts = split(pl.concat([frame] * 3), holdout=0.5)

    assert parts.training.join(parts.holdout, on=["width", "kind"], how="semi").is_empty()


def test_the_assignment_is_the_same_for_ever() -> None:
    """Another version of Polars, another machine, another year: these patients judge."""
    frame = patients(*"abcdefghijklmnopqrst")

    assert "".join(split(frame, by="patient").holdout["patient"]) == "gpq"
    assert "".join(split(frame, by="patient", seed="2").holdout["patient"]) == "bdeiq"


def test_a_larger_share_only_adds() -> None:
    frame = patients(*(f"patient {i}" for i in range(500)))

    held = [{*split(frame, by="patient", holdout=share).holdout["patient"]} for share in (0.1, 0.3)]

    assert held[0] < held[1]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=20, max_size=40), st.randoms())
def test_neither_order_nor_later_rows_change_a_side(names: list[str], chance: Any) -> None:
    frame = patients(*"abcdefgh", *names)
    order = list(range(frame.height))
    chance.shuffle(order)

    first = split(frame.head(8), by="patient", holdout=0.5)
    later = split(frame[order], by="patient", holdout=0.5)

    assert {*first.holdout["patient"]} == {*later.holdout["patient"]}
    assert {*first.training["patient"]} == {*later.training["patient"]}


def test_a_key_beats_the_time_where_it_is_named() -> None:
    frame = days(*range(100))

    parts = split(frame, by="row", holdout=0.3)

    assert parts.holdout["row"].min() != parts.training["row"].max()
    assert parts.training.height + parts.holdout.height == 100
    assert parts.holdout["row"].to_list() != list(range(100 - parts.holdout.height, 100))


def test_a_million_rows_are_split_in_seconds() -> None:
    frame = pl.DataFrame({"ride": range(1_000_000)})

    parts = split(frame, by="ride")

    assert 0.199 < parts.holdout.height / 1_000_000 < 0.201


def test_a_lazy_table_is_read() -> None:
    assert sides(split(days(0, 1, 3).lazy(), holdout=DAY)) == ([0, 1], [3])


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "asked", "message"),
    [
        (
            days(0, 1),
            {"holdout": 5 * DAY},
            "split by 'event_at', none of 2 rows is left for the training\n"
            "  hint: another share, period or embargo, or more rows",
        ),
        (
            days(),
            {},
            "split by 'event_at', none of 0 rows is left for the training\n"
            "  hint: another share, period or embargo, or more rows",
        ),
        (
            patients("a", "a"),
            {"by": "patient"},
            "split by a hash of patient, none of 2 rows is left for the holdout\n"
            "  hint: another share, period or embargo, or more rows",
        ),
        (
            patients().head(0),
            {},
            "split by a hash of all columns, none of 0 rows is left for the training\n"
            "  hint: another share, period or embargo, or more rows",
        ),
        (
            days(0, 1, 2).with_columns(
                pl.when(pl.col("row") != 1).then(pl.col("event_at")).alias("event_at")
            ),
            {},
            "1 of 3 rows have no 'event_at'\n  hint: leave them out, or split by a key: by=...",
        ),
        (
            patients("a"),
            {"event_time": "left_at"},
            "the table has no column 'left_at'\n  hint: known: patient, visit",
        ),
        (
            patients("a"),
            {"by": "doctor"},
            "the table has no column 'doctor'\n  hint: known: patient, visit",
        ),
        (
            patients("a"),
            {"holdout": DAY},
            "a period, a moment or an embargo needs an event time, and this split is by a hash\n"
            '  hint: split(rows, event_time="event_at", holdout=timedelta(days=10))',
        ),
        (
            patients("a"),
            {"holdout": 1.0},
            "expected a share between 0 and 1 for the holdout, got 1.0\n"
            "  hint: holdout=0.2 judges on a fifth of the rows",
        ),
        (
            days(0),
            {"holdout": timedelta(0)},
            "expected a period of more than nothing for the holdout, got 0:00:00\n"
            "  hint: holdout=timedelta(days=10)",
        ),
        (
            days(0),
            {"embargo": -DAY},
            "expected an embargo of zero or more, got -1 day, 0:00:00\n"
            "  hint: embargo=timedelta(days=1)",
        ),
        (
            days(0),
            {"holdout": datetime(2013, 1, 1)},  # noqa: DTZ001 - that is the mistake
            "expected a moment with a time zone, got 2013-01-01T00:00:00\n"
            "  hint: datetime(2013, 3, 1, tzinfo=UTC)",
        ),
        (
            days(0).with_columns(pl.col("event_at").dt.replace_time_zone(None)),
            {"holdout": BEGIN},
            "'event_at' has no time zone to compare 2013-01-01T00:00:00+00:00 with\n"
            '  hint: pl.col("event_at").dt.replace_time_zone("UTC")',
        ),
        (
            days(0).with_columns(event_at=pl.lit("2013-01-01")),
            {},
            "the table has 'event_at' as String, expected a datetime or date\n"
            '  hint: pl.col("event_at").str.to_datetime(time_zone="UTC") makes one of text',
        ),
    ],
)
def test_what_cannot_be_split_is_refused(
    frame: pl.DataFrame, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        split(frame, **asked)

    assert str(refused.value) == message


def test_a_day_is_a_day_whatever_holds_it() -> None:
    frame = pl.DataFrame({"row": [0.0, 1.0], "event_at": [date(2013, 1, 1), date(2013, 1, 5)]})

    assert sides(split(frame, holdout=DAY)) == ([0], [1])
