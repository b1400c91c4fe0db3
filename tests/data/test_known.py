"""What was known at a moment: late rows are not there yet, corrected ones as they stood."""

import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data.contract import check
from cd4ml.data.formats import reading_of, reread, scan
from cd4ml.data.known import arrived_by, known_at
from cd4ml.data.sources.parts import write_parts
from cd4ml.data.sources.rows import from_json, from_parquet
from cd4ml.data.written import sift_files
from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract, Field
from tests.data.tables import file

UTC_TIME = pl.Datetime("us", "UTC")

RIDES = Contract(
    name="rides",
    fields=(
        Field("ride", "integer"),
        Field("left_at", "datetime"),
        Field("seen_at", "datetime", nullable=True),
        Field("km", "number"),
    ),
    key=("ride",),
    event_time="left_at",
    arrival_time="seen_at",
)


def day(number: int, hour: int = 0) -> datetime:
    """A moment in March."""
    return datetime(2013, 3, number, hour, tzinfo=UTC)


def rides(*given: tuple[int, int, int | None, float]) -> pl.DataFrame:
    """Rows of (ride, day it left, day it was seen, km)."""
    return pl.DataFrame(
        [(ride, day(left), seen and day(seen), km) for ride, left, seen, km in given],
        schema={"ride": pl.Int64, "left_at": UTC_TIME, "seen_at": UTC_TIME, "km": pl.Float64},
        orient="row",
    )


def km(frame: pl.DataFrame, moment: datetime | None = None) -> list[float]:
    return known_at(frame, RIDES, moment)["km"].to_list()


def test_a_late_row_is_not_known_before_it_arrives() -> None:
    table = rides((1, 1, 1, 1.0), (2, 1, 5, 2.0), (3, 2, 2, 3.0))

    assert km(table, day(1)) == [1.0]
    assert km(table, day(4, 23)) == [1.0, 3.0]
    assert km(table, day(5)) == [1.0, 2.0, 3.0]


def test_a_corrected_row_is_read_as_it_stood() -> None:
    table = rides((1, 1, 1, 9.0), (2, 1, 1, 2.0), (1, 1, 3, 8.0), (1, 1, 6, 7.0))

    assert km(table, day(2)) == [9.0, 2.0]
    assert km(table, day(3)) == [2.0, 8.0]
    assert km(table, day(6)) == [2.0, 7.0]
    assert km(table) == [2.0, 7.0]


def test_the_latest_arrival_counts_wherever_it_stands_in_the_file() -> None:
    table = rides((1, 1, 6, 7.0), (1, 1, 1, 9.0), (1, 1, 3, 8.0))

    assert km(table, day(2)) == [9.0]
    assert km(table, day(5)) == [8.0]
    assert km(table) == [7.0]


def test_of_two_arrivals_in_one_instant_the_one_further_down_counts() -> None:
    table = rides((1, 1, 2, 1.0), (1, 1, 2, 2.0))

    assert km(table, day(2)) == [2.0]
    assert km(table.reverse(), day(2)) == [1.0]


def test_a_row_that_nobody_saw_arrive_was_never_known() -> None:
    table = rides((1, 1, None, 1.0), (2, 1, 2, 2.0))

    assert km(table, day(9)) == [2.0]
    assert km(table) == [2.0]


def test_a_row_may_be_known_before_it_happens() -> None:
    """A timetable: what is asked is when it arrived, not when it happens."""
    assert km(rides((1, 20, 2, 1.0)), day(3)) == [1.0]


def test_without_a_key_every_row_stands_for_itself() -> None:
    keyless = msgspec.structs.replace(RIDES, key=())
    table = rides((1, 1, 1, 9.0), (1, 1, 3, 8.0))

    assert known_at(table, keyless, day(3))["km"].to_list() == [9.0, 8.0]


def test_without_an_arrival_time_all_rows_are_known() -> None:
    timeless = msgspec.structs.replace(RIDES, arrival_time="")
    table = rides((1, 1, None, 9.0), (1, 1, 3, 8.0))

    assert known_at(table, timeless, day(1)).equals(table)


def test_corrections_stay_beside_what_they_correct_where_history_is_asked_for() -> None:
    table = rides((1, 1, 1, 9.0), (1, 1, 3, 8.0), (1, 1, 6, 7.0), (2, 1, None, 1.0))

    def arrived(moment: datetime | None) -> list[float]:
        return arrived_by(table.lazy(), RIDES, moment).collect()["km"].to_list()

    assert arrived(day(3)) == [9.0, 8.0]
    assert arrived(None) == [9.0, 8.0, 7.0]


def test_a_lazy_table_stays_lazy() -> None:
    table = rides((1, 1, 1, 9.0), (1, 1, 3, 8.0)).lazy()

    known = known_at(table, RIDES, day(3))

    assert isinstance(known, pl.LazyFrame)
    assert known.collect()["km"].to_list() == [8.0]


def test_the_moment_may_be_in_any_zone() -> None:
    table = rides((1, 1, 2, 1.0))  # midnight in UTC is seven in the evening of the day before
    new_york = ZoneInfo("America/New_York")

    assert km(table, datetime(2013, 3, 1, 18, 59, tzinfo=new_york)) == []
    assert km(table, datetime(2013, 3, 1, 19, tzinfo=new_york)) == [1.0]


def test_the_column_may_be_in_any_zone() -> None:
    table = rides((1, 1, 2, 1.0)).with_columns(
        pl.col("seen_at").dt.convert_time_zone("Asia/Kolkata")
    )

    assert km(table, day(1, 23)) == []
    assert km(table, day(2)) == [1.0]


def test_what_arrived_on_a_date_is_known_when_the_day_is_over() -> None:
    table = rides((1, 1, 2, 1.0)).with_columns(seen_at=pl.lit(date(2013, 3, 2)))

    assert km(table, day(2, 23)) == []
    assert km(table, day(3)) == [1.0]


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3),
            st.integers(1, 5),
            st.none() | st.integers(1, 6),
            st.floats(0, 9),
        ),
        max_size=12,
    ),
    st.integers(1, 7),
)
def test_it_is_what_somebody_with_a_list_would_have_known(
    given_rows: list[tuple[int, int, int | None, float]], moment: int
) -> None:
    found = known_at(rides(*given_rows), RIDES, day(moment)).rows()

    state: dict[int, tuple[Any, ...]] = {}
    by_arrival = sorted(
        ((position, *row) for position, row in enumerate(given_rows) if row[2] is not None),
        key=lambda row: (row[3], row[0]),
    )
    for position, ride, left, seen, length in by_arrival:
        if seen <= moment:
            state[ride] = (position, (ride, day(left), day(seen), length))
    assert found == [row for _, row in sorted(state.values())]


@pytest.mark.parametrize(
    ("frame", "moment", "message"),
    [
        (
            rides().drop("seen_at"),
            day(1),
            "a table of rides has no column 'seen_at'\n  hint: known: ride, left_at, km",
        ),
        (
            rides().drop("ride"),
            day(1),
            "a table of rides has no column 'ride'\n  hint: known: left_at, seen_at, km",
        ),
        (
            rides().with_columns(pl.col("seen_at").dt.to_string()),
            day(1),
            "a table of rides has 'seen_at' as String, expected a datetime or date\n"
            '  hint: pl.col("seen_at").str.to_datetime(time_zone="UTC") makes one of text',
        ),
        (
            rides().with_columns(pl.col("seen_at").dt.replace_time_zone(None)),
            day(1),
            "a table of rides has 'seen_at' without a time zone, so nobody can say what was"
            " before 2013-03-01 00:00:00+00:00\n"
            '  hint: pl.col("seen_at").dt.replace_time_zone("UTC"), if it is UTC',
        ),
        (
            rides(),
            datetime(2013, 3, 1),  # noqa: DTZ001 - that is the mistake
            "expected a moment with a time zone, got 2013-03-01T00:00:00\n"
            "  hint: datetime(2013, 3, 1, tzinfo=UTC)",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    frame: pl.DataFrame, moment: datetime, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        known_at(frame, RIDES, moment)

    assert str(refused.value) == message


def test_a_correction_keeps_the_contract_and_a_repetition_breaks_it() -> None:
    corrected = rides((1, 1, 1, 9.0), (1, 1, 3, 8.0))
    repeated = rides((1, 1, 1, 9.0), (1, 1, 1, 9.0))

    def broken(frame: pl.DataFrame) -> list[str]:
        return [f.gate for f in check(frame.lazy(), RIDES) if f.outcome != "pass"]

    assert broken(corrected) == []
    assert broken(repeated) == ["ride, seen_at unique"]


def test_a_contract_whose_times_are_no_times_is_refused() -> None:
    contract = msgspec.structs.replace(RIDES, event_time="began_at", arrival_time="km")

    with pytest.raises(InvalidInput) as refused:
        check(rides().lazy(), contract)

    assert str(refused.value) == (
        "no row can keep the contract 'rides': its event_time 'began_at' is no field of type"
        " datetime; its arrival_time 'km' is no field of type datetime\n"
        "  hint: correct it where it is declared"
    )


CSV = """\
ride,left_at,seen_at,km
1,2013-03-03,2013-03-03,1.0
2,2013-03-03,2013-03-03T06:00,2.0
3,2013-03-03,NA,3.0
"""
NDJSON = """\
{"ride": 1, "left_at": "2013-03-03", "seen_at": "2013-03-03", "km": 1.0}
{"ride": 2, "left_at": "2013-03-03", "seen_at": "2013-03-03T06:00", "km": 2.0}
"""


def _seen_before_midday(frame: pl.DataFrame | pl.LazyFrame) -> None:
    """The second ride is known at six, the first when its day is over."""
    table = frame.lazy().collect()
    assert km(table, day(3)) == []
    assert km(table, day(3, 23)) == [2.0]
    assert km(table, day(4)) == [1.0, 2.0]
    assert table["left_at"].to_list() == [day(3)] * table.height  # only arrivals are late


@pytest.mark.parametrize(("name", "text"), [("a.csv", CSV), ("a.ndjson", NDJSON)])
def test_a_date_alone_in_a_file_is_known_when_its_day_is_over(
    tmp_path: Path, name: str, text: str
) -> None:
    path = file(tmp_path, name, text)
    untyped = msgspec.structs.replace(RIDES, arrival_time="")

    _seen_before_midday(scan([path], reading_of([path], RIDES)))
    _seen_before_midday(scan([path], reread(reading_of([path], untyped), RIDES)))


def test_rows_that_are_left_by_a_quarantine_arrive_when_their_day_is_over(tmp_path: Path) -> None:
    path = file(tmp_path, "a.csv", CSV + "x,2013-03-03,2013-03-03,4.0\n")

    parts = sift_files([path], reading_of([path], RIDES), RIDES)

    assert parts.bad.height == 1
    _seen_before_midday(parts.good)


def test_a_date_alone_that_is_pushed_is_known_when_its_day_is_over() -> None:
    array = b"[" + NDJSON.strip().replace("\n", ",").encode() + b"]"
    written = pl.read_ndjson(io.StringIO(NDJSON))
    body = io.BytesIO()
    written.write_parquet(body)

    _seen_before_midday(from_json(array, contract=RIDES, known={}).frame)
    _seen_before_midday(from_parquet(body.getvalue(), contract=RIDES, known={}).frame)


def test_a_date_alone_that_is_read_from_a_source_is_known_when_its_day_is_over(
    tmp_path: Path,
) -> None:
    write_parts(tmp_path, [pl.read_ndjson(io.StringIO(NDJSON))], contract=RIDES)

    _seen_before_midday(pl.scan_parquet(tmp_path / "part-*.parquet"))
