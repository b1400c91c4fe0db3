"""Rows of two versions, beside what plain Python says of them."""

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.data.diff_rows import SHOWN, cell, diff_rows
from cd4ml.errors import InvalidInput
from cd4ml.records.diff import CellChange, RowChange, RowDiff
from cd4ml.store.address import canonical

SCHEMA = {"key": pl.Int64, "word": pl.String, "amount": pl.Float64}

rows = st.tuples(
    st.none() | st.integers(0, 6),
    st.none() | st.sampled_from(["a", "å"]),
    st.none() | st.sampled_from([0.0, -1.5, float("inf")]),
)
tables = st.lists(rows, max_size=12)
few = settings(max_examples=60, deadline=None)


def table(many: list[Any]) -> pl.LazyFrame:
    return pl.DataFrame(many, SCHEMA, orient="row").lazy()


def of(before: dict[str, Any], after: dict[str, Any], *key: str) -> RowDiff:
    return diff_rows(pl.LazyFrame(before), pl.LazyFrame(after), key)


@few
@given(tables, tables)
def test_rows_with_a_key_are_matched_as_python_would(before: list[Any], after: list[Any]) -> None:
    found = diff_rows(table(before), table(after), ["key"])

    old, new = Counter(row[0] for row in before), Counter(row[0] for row in after)
    doubled = {key for counts in (old, new) for key, n in counts.items() if n > 1}
    first = {row[0]: row for row in before if row[0] not in doubled}
    second = {row[0]: row for row in after if row[0] not in doubled}
    both = first.keys() & second.keys()
    changed = {key for key in both if first[key] != second[key]}
    assert found.n_added == len(second.keys() - first.keys())
    assert found.n_removed == len(first.keys() - second.keys())
    assert (found.n_changed, found.n_same) == (len(changed), len(both - changed))
    assert found.n_unmatched_before == sum(old[key] for key in doubled)
    assert found.n_unmatched_after == sum(new[key] for key in doubled)
    assert dict(found.changed_in).get("word", 0) == sum(
        first[key][1] != second[key][1] for key in changed
    )
    assert set(found.duplicates) == {(key,) for key in doubled}
    shown = Counter(each.change for each in found.samples)
    assert shown["changed"] == min(SHOWN, found.n_changed)


@few
@given(tables, tables)
def test_every_row_is_counted_once(before: list[Any], after: list[Any]) -> None:
    for key in (["key"], ["key", "word"], []):
        found = diff_rows(table(before), table(after), key)

        stayed = found.n_same + found.n_changed
        assert stayed + found.n_removed + found.n_unmatched_before == len(before) == found.n_before
        assert stayed + found.n_added + found.n_unmatched_after == len(after) == found.n_after


@few
@given(tables, tables)
def test_rows_without_a_key_are_a_multiset(before: list[Any], after: list[Any]) -> None:
    found = diff_rows(table(before), table(after))

    old, new = Counter(before), Counter(after)
    assert (found.n_added, found.n_removed) == ((new - old).total(), (old - new).total())
    assert found.n_same == (old & new).total()
    added = [each for each in found.samples if each.change == "added"]
    assert len(added) == min(SHOWN, len(new - old))


@few
@given(tables)
def test_a_table_does_not_differ_from_itself_in_another_order(many: list[Any]) -> None:
    found = diff_rows(table(many), table(many[::-1]))

    assert (found.n_added, found.n_removed, found.samples) == (0, 0, ())


def test_what_changed_is_shown_with_both_values() -> None:
    found = of(
        {"ride": [1, 2, 3], "station": ["Park", "Harbour", "Market"], "minutes": [5.0, 7.0, None]},
        {"ride": [4, 3, 1], "station": ["Park", "Market", "Park"], "minutes": [1.0, 9.0, 5.0]},
        "ride",
    )

    assert (found.n_added, found.n_removed, found.n_changed, found.n_same) == (1, 1, 1, 1)
    assert found.changed_in == (("minutes", 1),)
    assert found.samples == (
        RowChange(
            change="changed",
            key=(3,),
            cells=(CellChange(column="minutes", before=None, after=9.0),),
        ),
        RowChange(
            change="added",
            key=(4,),
            cells=(
                CellChange(column="station", before=None, after="Park"),
                CellChange(column="minutes", before=None, after=1.0),
            ),
        ),
        RowChange(
            change="removed",
            key=(2,),
            cells=(
                CellChange(column="station", before="Harbour", after=None),
                CellChange(column="minutes", before=7.0, after=None),
            ),
        ),
    )


def test_samples_are_the_first_by_key_and_no_more_than_asked_for() -> None:
    before = pl.LazyFrame({"k": range(1000), "x": [0] * 1000})
    after = pl.LazyFrame({"k": range(999, -1, -1), "x": [1] * 1000})

    found = diff_rows(before, after, ["k"], shown=3)

    assert [each.key for each in found.samples] == [(0,), (1,), (2,)]
    assert diff_rows(before, after, ["k"], shown=0).samples == ()


def test_rows_that_occur_often_are_shown_once() -> None:
    found = of({"x": [1, 1, 2]}, {"x": [2, 2, 2, 3]})

    assert [(each.change, each.cells[0].after, each.n_rows) for each in found.samples] == [
        ("added", 2, 2),
        ("added", 3, 1),
        ("removed", None, 2),
    ]


def test_null_is_a_value_of_a_key() -> None:
    found = of({"k": [None, 1], "x": [1, 1]}, {"k": [1, None], "x": [1, 2]}, "k")

    assert (found.n_changed, found.n_same) == (1, 1)
    assert (found.n_null_keys_before, found.n_null_keys_after) == (1, 1)
    assert found.samples[0].key == (None,)


def test_keys_that_are_not_unique_are_never_multiplied() -> None:
    found = of({"k": [1] * 1000 + [2]}, {"k": [1] * 1000 + [2]}, "k")

    assert (found.n_same, found.n_changed, found.n_added) == (1, 0, 0)
    assert (found.n_unmatched_before, found.n_unmatched_after) == (1000, 1000)
    assert found.duplicates == ((1,),)


def test_nan_is_equal_to_nan_and_zero_to_its_negative() -> None:
    nan = float("nan")
    before, after = {"k": [1, 2], "x": [nan, 0.0]}, {"k": [1, 2], "x": [nan, -0.0]}

    assert of(before, after, "k").n_same == 2
    assert of(before, after).n_same == 2
    assert of({"k": [nan]}, {"k": [nan]}, "k").n_same == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1, 2, None], pl.Series([1.0, 2.0, None])),
        ([1, 2, None], pl.Series([1, 2, None], dtype=pl.UInt64)),
        ([1, 2, None], pl.Series([1, 2, None], dtype=pl.Int8)),
        ([1, 2, None], ["1", "2", None]),
        (["a", "b", None], pl.Series(["a", "b", None], dtype=pl.Categorical)),
        ([True, False, None], ["true", "false", None]),
        (
            [date(2013, 1, 1), None],
            [datetime(2013, 1, 1, tzinfo=UTC), None],
        ),
        ([Decimal("1.5"), None], [1.5, None]),
    ],
)
def test_columns_of_another_type_are_compared_by_what_they_say(before: Any, after: Any) -> None:
    keys = list(range(len(before)))

    found = of({"k": keys, "x": before}, {"k": keys, "x": after}, "k")

    assert (found.n_same, found.n_changed, found.left_out) == (len(keys), 0, ())
    assert of({"x": before}, {"x": after}).n_same == len(keys)


def test_a_key_of_another_type_still_matches() -> None:
    found = of({"k": [1, 2], "x": [1, 1]}, {"k": ["2", "3"], "x": [1, 1]}, "k")

    assert (found.n_same, found.n_added, found.n_removed) == (1, 1, 1)


def test_lists_and_structs_are_compared() -> None:
    before = {"k": [1, 2], "tags": [["a"], ["b"]], "at": [{"x": 1}, {"x": 2}]}
    after = {"k": [1, 2], "tags": [["a"], ["c"]], "at": [{"x": 1}, {"x": 2}]}

    found = of(before, after, "k")

    assert (found.changed_in, found.n_same) == ((("tags", 1),), 1)
    assert (of(before, after).n_added, of(before, after).n_removed) == (1, 1)
    canonical(found)


def test_what_cannot_be_compared_is_left_out_and_said() -> None:
    found = of({"k": [1], "old": [1], "tags": [["a"]]}, {"k": [1], "new": [1], "tags": ["a"]}, "k")

    assert (found.n_same, found.left_out) == (1, ("old", "tags", "new"))


def test_tables_without_a_column_in_common_have_no_row_in_common() -> None:
    found = of({"a": [1, 2]}, {"b": [1]})

    assert (found.n_removed, found.n_added, found.n_same) == (2, 1, 0)


def test_columns_may_have_the_names_that_are_used_inside() -> None:
    names = ["before", "after", "n", "h0", "more", "row", "k0", "c0", "c0_after", "key"]
    table = {name: [1, 2] for name in names}

    for key in ([], ["after"], ["c0", "k0"]):
        found = of(table, {**table, "n": [1, 3]}, *key)
        assert found.n_same == 1


def test_tables_without_rows_are_compared() -> None:
    empty = pl.LazyFrame(schema=SCHEMA)

    for key in (["key"], []):
        assert diff_rows(empty, empty, key).n_same == 0
        assert diff_rows(empty, table([(1, "a", 0.0)]), key).n_added == 1


@pytest.mark.parametrize(
    ("key", "message", "hint"),
    [
        ("z", "the first version has no column 'z' to be the key", "its columns: a, tags"),
        ("b", "the first version has no column 'b' to be the key", "its columns: a, tags"),
        ("a", "the second version has no column 'a' to be the key", "its columns: b, tags"),
        ("tags", "the column 'tags' (List(Int64)) cannot be a key", "name columns of plain values"),
    ],
)
def test_a_key_that_is_none_is_refused(key: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        of({"a": [1], "tags": [[1]]}, {"b": [1], "tags": [[1]]}, key)

    assert (refused.value.message, refused.value.hint) == (message, hint)


def test_values_that_json_has_not_are_text() -> None:
    assert cell(float("-inf")) == "-inf"
    assert cell(datetime(2013, 1, 1, tzinfo=UTC)) == "2013-01-01T00:00:00+00:00"
    assert cell(b"\xff") == "b'\\xff'"
    assert cell("x" * 500) == "x" * 200 + "..."
    assert cell(2**70) == str(2**70)


@pytest.mark.parametrize("kind", ["parquet", "csv", "ndjson"])
def test_rows_of_many_files_are_shown_with_their_own_values(tmp_path: Path, kind: str) -> None:
    for version, step in (("before", 0), ("after", 1)):
        (tmp_path / version).mkdir()
        for i in range(7):
            keys = pl.int_range(i * 1000, (i + 1) * 1000, eager=True)
            changed = pl.when(pl.col("k") % 500 == 499).then(pl.col("k") + step).otherwise("k")
            rows = pl.DataFrame({"k": keys}).with_columns(x=changed, y=pl.col("k").cast(pl.String))
            getattr(rows, f"write_{kind}")(tmp_path / version / f"{i}.{kind}")
    tables = [
        getattr(pl, f"scan_{kind}")(sorted((tmp_path / version).glob(f"*.{kind}")))
        for version in ("before", "after")
    ]

    by_key, by_content = diff_rows(*tables, ["k"], shown=20), diff_rows(*tables, shown=20)

    assert [each.key for each in by_key.samples] == [(499 + 500 * i,) for i in range(14)]
    for each in by_key.samples:
        (cell_change,) = each.cells
        assert (cell_change.before, cell_change.after) == (each.key[0], each.key[0] + 1)
    added = [each for each in by_content.samples if each.change == "added"]
    assert [each.cells[0].after for each in added] == [499 + 500 * i for i in range(14)]
    assert all(each.cells[1].after == each.cells[0].after + 1 for each in added)
