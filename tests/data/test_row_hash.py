"""A row's number is what is written down, to the last bit."""

import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data.row_hash import row_shares
from cd4ml.errors import InvalidInput


def share_of(text: str) -> float:
    """What any program in any language finds for a row's text."""
    return int.from_bytes(blake3(text.encode()).digest(8), "big") / 2.0**64


def shares(*columns: Any, seed: str = "") -> list[float]:
    frame = pl.DataFrame({f"column{i}": values for i, values in enumerate(columns)})
    found: list[float] = row_shares(frame, seed).tolist()
    return found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (17, "17"),
        (-3, "-3"),
        (17.0, "17"),
        (-0.0, "0"),
        (0.1, "f3fb999999999999a"),
        (1e300, "f7e37e43c8800759c"),
        (float("inf"), "f7ff0000000000000"),
        (float("nan"), "nan"),
        (None, "\x00"),
        (True, "true"),
        ("Zürich\x1f7", "Zürich\x1f7"),
        ("", ""),
        (b"\x00\xff", "00ff"),
        (date(1970, 1, 3), "2"),
        (datetime(1970, 1, 1, 0, 0, 1), "1000000"),  # noqa: DTZ001 - one without a zone
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "1000000"),
        (datetime(1970, 1, 1, 2, 0, 1, tzinfo=timezone(timedelta(hours=2))), "1000000"),
        (timedelta(seconds=2), "2000000"),
        (time(0, 0, 1), "1000000000"),
        (Decimal("1.50"), "1.50"),
    ],
)
def test_each_kind_of_value_has_its_text(value: object, text: str) -> None:
    assert shares([value]) == [share_of("\x1f" + text)]


def test_categories_are_the_text_they_stand_for() -> None:
    for type_ in (pl.Categorical(), pl.Enum(["UA", "AA"])):
        assert shares(pl.Series(["AA", "UA"], dtype=type_)) == shares(["AA", "UA"])


def test_narrow_numbers_are_the_wide_ones() -> None:
    assert shares(pl.Series([1.5, 7.0], dtype=pl.Float32)) == shares([1.5, 7])[:1] + shares([7])
    assert shares(pl.Series([7], dtype=pl.UInt8)) == shares([7])


def test_the_unit_of_a_time_does_not_matter() -> None:
    moments = pl.Series([datetime(2013, 1, 1, 5, tzinfo=UTC)])

    found = {tuple(shares(moments.cast(pl.Datetime(unit, "UTC")))) for unit in ("ms", "us", "ns")}

    assert len(found) == 1


def test_columns_count_in_their_order_and_with_the_seed() -> None:
    assert shares(["a"], [1], seed="x") == [share_of("x\x1fa\x1f1")]
    assert shares([1], ["a"], seed="x") == [share_of("x\x1f1\x1fa")]


def test_what_has_no_one_text_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        row_shares(pl.DataFrame({"stops": [["JFK", "LGA"]]}))

    assert str(refused.value) == (
        "the column 'stops' holds List(String), which has no one text to be hashed\n"
        "  hint: name columns of plain values: by=..."
    )


def test_no_rows_have_no_numbers() -> None:
    for type_ in (pl.String, pl.Float64, pl.Datetime("us", "UTC")):
        assert shares(pl.Series([], dtype=type_)) == []


@given(st.lists(st.floats() | st.none(), min_size=1))
def test_floats_are_their_bits(values: list[float | None]) -> None:
    def text(value: float | None) -> str:
        if value is None:
            return "\x00"
        if value != value:
            return "nan"
        if abs(value) < 2**53 and value == int(value):
            return str(int(value))
        return "f" + struct.pack(">d", value).hex()

    found = shares(pl.Series(values, dtype=pl.Float64))

    assert found == [share_of("\x1f" + text(value)) for value in values]


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 3)), min_size=1), st.randoms())
def test_a_row_has_its_number_wherever_it_stands(rows: list[tuple[str, int]], chance: Any) -> None:
    frame = pl.DataFrame(rows, schema=["name", "number"], orient="row")
    order = list(range(frame.height))
    chance.shuffle(order)

    assert row_shares(frame[order]).tolist() == row_shares(frame)[order].tolist()


def test_the_numbers_are_spread_evenly() -> None:
    """Kolmogorov-Smirnov: 100,000 uniform numbers stay within .0052 in 99 of 100 cases."""
    found = sorted(shares(range(100_000)))

    assert max(abs(share - i / 100_000) for i, share in enumerate(found)) < 0.0052
