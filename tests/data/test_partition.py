"""The rows of a key, and which keys there are."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data.partition import key_digest, keys_of, missing_keys, rows_of_key
from cd4ml.errors import InvalidInput

KEYS = st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=30)


@given(KEYS)
def test_every_row_with_a_value_is_in_exactly_one_partition(values: list[str | None]) -> None:
    frame = pl.DataFrame(
        {"row": range(len(values)), "key": values}, schema_overrides={"key": pl.String}
    )

    found = [
        row
        for key in keys_of(frame.lazy(), "key", "rows")
        for row in rows_of_key(frame.lazy(), "key", key).collect()["row"]
    ]

    expected = [row for row, value in enumerate(values) if value is not None]
    assert sorted(found) == expected


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ([10, 9, None, 10], ["9", "10"]),
        ([True, False], ["false", "true"]),
        ([date(2013, 2, 1), date(2013, 1, 31)], ["2013-01-31", "2013-02-01"]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), ["a", "b"]),
    ],
)
def test_keys_are_written_as_they_read_and_in_their_order(values: object, keys: list[str]) -> None:
    frame = pl.LazyFrame({"key": values})

    assert sorted(keys_of(frame, "key", "rows")) == sorted(keys)
    assert [rows_of_key(frame, "key", key).collect().height > 0 for key in keys] == [True] * len(
        keys
    )


@pytest.mark.parametrize("values", [[0.5, 1.5], [[1], [2]]])
def test_what_measures_something_is_no_key(values: list[object]) -> None:
    with pytest.raises(InvalidInput, match="which is no key"):
        keys_of(pl.LazyFrame({"key": values}), "key", "rows")


def test_a_column_of_names_for_every_row_is_no_partition() -> None:
    with pytest.raises(InvalidInput) as refused:
        keys_of(pl.LazyFrame({"key": range(10_001)}), "key", "rides")

    assert str(refused.value) == (
        "the column 'key' of rides has more than 10,000 values\n"
        "  hint: name those that are wanted: --for-each key=A,B"
    )


def test_of_many_keys_some_can_be_named() -> None:
    frame = pl.LazyFrame({"key": range(20_000)})

    assert missing_keys(frame, "key", "rides", ["19999", "20000", "7", "07"]) == ["20000", "07"]
    with pytest.raises(InvalidInput, match="which is no key"):
        missing_keys(frame.cast(pl.Float64), "key", "rides", ["1.0"])


@given(st.text(), st.text(), st.text(), st.text())
def test_different_keys_have_different_digests(a: str, b: str, key: str, other: str) -> None:
    assert (key_digest("blake3:1", a, key) == key_digest("blake3:1", b, other)) == (
        (a, key) == (b, other)
    )
