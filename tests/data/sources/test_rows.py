"""Rows of a request become a table of the declared types, or every mistake is named."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data.sources.rows import MOST_ROWS, from_json, from_ndjson, from_parquet
from cd4ml.errors import InvalidInput
from tests.data.tables import FLIGHTS, flights

ROWS = [
    {"flight": 1, "carrier": "AA", "hour": 5, "is_late": True, "left_at": "2013-01-01T05:00:00Z"},
    {"flight": 2, "carrier": "UA", "is_late": False, "left_at": "2013-01-01 06:30:00"},
    {"flight": 3, "carrier": "UA", "hour": 7.5, "is_late": True, "left_at": "2013-01-01"},
]


def encoded(rows: Any) -> bytes:
    return json.dumps(rows).encode()


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_the_same_rows_in_each_form_are_the_same_table() -> None:
    lines = b"\n".join(encoded(row) for row in ROWS) + b"\n\n"
    given = {"contract": FLIGHTS, "known": {}}

    for batch in (
        from_json(encoded(ROWS), **given),
        from_ndjson(lines, **given),
        from_parquet(parquet(flights()), **given),
    ):
        assert batch.wrong == ()
        assert batch.frame.equals(flights())
        assert batch.frame.schema == flights().schema


def test_every_value_of_another_type_is_counted_with_the_first_row() -> None:
    rows = [
        {**ROWS[0], "flight": 1.5, "hour": "noon"},
        {**ROWS[1], "flight": "2", "is_late": 1, "left_at": "yesterday"},
        {**ROWS[2], "flight": 2**63, "hour": True, "carrier": ["UA"]},
    ]

    batch = from_json(encoded(rows), contract=FLIGHTS, known={})

    assert {finding.gate: finding.reason for finding in batch.wrong} == {
        "flight is integer": "3 of 3 rows, first in row 1: 1.5",
        "carrier is string": "1 of 3 rows, first in row 3: ['UA']",
        "hour is number": "2 of 3 rows, first in row 1: 'noon'",
        "is_late is boolean": "1 of 3 rows, first in row 2: 1",
        "left_at is datetime": "1 of 3 rows, first in row 2: 'yesterday'",
    }


def test_columns_that_are_not_declared_are_there_to_be_found() -> None:
    batch = from_json(encoded([{**ROWS[0], "gate": "B7"}]), contract=FLIGHTS, known={})

    assert batch.frame.columns == [*FLIGHTS.names, "gate"]


def test_without_a_contract_columns_are_as_their_values_look() -> None:
    rows = [{"a": 1, "b": 1, "c": None, "d": True}, {"a": 2, "b": 0.5, "e": "x"}]

    frame = from_json(encoded(rows), contract=None, known={}).frame

    assert dict(frame.schema) == {
        "a": pl.Int64,
        "b": pl.Float64,
        "c": pl.String,
        "d": pl.Boolean,
        "e": pl.String,
    }
    assert frame.rows() == [(1, 1.0, None, True, None), (2, 0.5, None, None, "x")]


def test_without_a_contract_later_rows_have_the_types_of_the_earlier_ones() -> None:
    known = {"at": pl.Datetime("us", "UTC"), "x": pl.Float64()}

    frame = from_json(encoded([{"x": 1, "at": "2013-01-01"}]), contract=None, known=known).frame

    assert frame.rows() == [(datetime(2013, 1, 1, tzinfo=UTC), 1.0)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[{", "expected a JSON array of objects, one a row: Input data was truncated"),
        (
            b'{"a": 1}',
            "expected a JSON array of objects, one a row: Expected `array`, got `object`",
        ),
        (
            b"[1]",
            "expected a JSON array of objects, one a row: Expected `object`, got `int` - at `$[0]`",
        ),
        (b"[]", "expected at least one row, got none"),
        (b'[{"a": 1}, {"a": "x"}]', "the column 'a' holds text and whole numbers"),
        (b'[{"a": [1]}]', "the column 'a' holds lists or objects"),
        (b"[" * 100_000, "expected a JSON array of objects, one a row: "),
        (
            b'[{"a": "\xff"}]',
            "expected a JSON array of objects, one a row: 'utf-8' codec can't decode byte 0xff",
        ),
    ],
)
def test_what_is_no_table_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        from_json(body, contract=None, known={})

    assert refused.value.message.startswith(message)


def test_the_line_that_is_no_row_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"^expected a JSON object in line 3: "):
        from_ndjson(b'{"a": 1}\n\n{"a": \n', contract=None, known={})


def test_too_many_rows_are_refused_before_they_are_read() -> None:
    body = parquet(pl.DataFrame({"a": range(MOST_ROWS + 1)}))

    with pytest.raises(InvalidInput) as refused:
        from_parquet(body, contract=None, known={})

    assert str(refused.value) == (
        "expected at most 100,000 rows in one request, got 100,001\n"
        "  hint: send them in parts, each under its own Idempotency-Key"
    )


def test_half_a_parquet_file_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^the body cannot be read as Parquet: "):
        from_parquet(parquet(flights())[:-20], contract=None, known={})


def test_types_that_json_cannot_say_are_pushed_as_parquet() -> None:
    with pytest.raises(InvalidInput) as refused:
        from_json(b'[{"day": "2013-01-01"}]', contract=None, known={"day": pl.Date()})

    assert str(refused.value) == (
        "the column 'day' is Date, which JSON cannot say\n"
        "  hint: push Parquet: content-type application/vnd.apache.parquet"
    )


values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(st.lists(st.fixed_dictionaries({"flight": values, "hour": values}), min_size=1))
def test_a_value_is_kept_as_it_was_or_counted_as_wrong(rows: list[dict[str, Any]]) -> None:
    try:
        body = json.dumps(rows, allow_nan=False).encode()
    except ValueError:
        return

    batch = from_json(body, contract=FLIGHTS, known={})

    types = [finding for finding in batch.wrong if finding.metric == "wrong type"]
    wrong = {finding.slice: finding.value for finding in types}
    for name in ("flight", "hour"):
        given, kept = [row[name] for row in rows], batch.frame[name].to_list()
        changed = [(a, b) for a, b in zip(given, kept, strict=True) if a != b]
        assert len(changed) == wrong.get(name, 0)
        assert all(b is None for _, b in changed)


@pytest.mark.parametrize("known", [{}, {"flight": pl.Int64()}])
def test_a_column_that_stands_twice_in_a_row_is_refused(known: dict[str, pl.DataType]) -> None:
    lines = b'{"flight": 1}\n\n{"flight": 2, "flight": 3}'

    for read, body, where in (
        (from_json, b'[{"flight": 1}, {"flight": 2, "flight": 3}]', "row 2"),
        (from_ndjson, lines, "line 3"),
    ):
        with pytest.raises(InvalidInput) as refused:
            read(body, contract=None, known=known)

        assert str(refused.value) == (
            f"{where} has the column 'flight' twice\n"
            "  hint: which of the two values is meant? send one of them"
        )
