"""Tables held ready: the latest, up to a number of bytes, and each gets its own."""

from datetime import date

import polars as pl
import pytest

from cd4ml.pipeline.executors.footprint import memory_of_group, peak, reset_peak
from cd4ml.pipeline.executors.memory import HeldTables, is_plain


def table(n: int) -> pl.DataFrame:
    return pl.DataFrame({"number": range(n)})  # 8 bytes a row


def test_a_table_that_is_held_is_given_to_whoever_asks() -> None:
    held = HeldTables()
    held.put("a", table(10))

    found = held.get("a")

    assert found is not None
    assert found.equals(table(10))
    assert held.get("b") is None


def test_who_changes_a_table_changes_nobody_elses() -> None:
    held, given = HeldTables(), table(10)
    held.put("a", given)
    given[0, "number"] = 100
    first = held.get("a")
    assert first is not None
    first[1, "number"] = 100
    first.insert_column(0, pl.Series("more", range(10)))

    found = held.get("a")

    assert found is not None
    assert found.equals(table(10))


def test_the_oldest_make_room_for_the_latest() -> None:
    held = HeldTables(limit=2000)
    for name in "abc":
        held.put(name, table(100))

    assert [held.get(name) is not None for name in "abc"] == [False, True, True]


def test_what_is_larger_than_all_room_is_not_held_and_drives_nothing_out() -> None:
    held = HeldTables(limit=2000)
    held.put("a", table(100))

    held.put("large", table(1000))

    assert (held.get("large"), held.get("a") is not None) == (None, True)


def test_what_nobody_needs_any_more_makes_room() -> None:
    held = HeldTables(limit=1000)
    held.put("a", table(100))
    held.drop(("a", "unknown"))

    held.put("b", table(100))

    assert held.get("a") is None
    assert held.get("b") is not None


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pl.Series("x", [1, None]), True),
        (pl.Series("x", ["a", None]), True),
        (pl.Series("x", [date(2013, 1, 1)]), True),
        (pl.Series("x", ["a"], dtype=pl.Categorical), False),
        (pl.Series("x", ["a"], dtype=pl.Enum(["a"])), False),
        (pl.Series("x", [[1]]), False),
        (pl.Series("x", [None]), False),
        (pl.Series("x", [object()], dtype=pl.Object), False),
    ],
)
def test_only_plain_columns_are_held(column: pl.Series, expected: bool) -> None:
    assert is_plain(column.to_frame()) is expected


def test_the_peak_of_memory_is_that_since_it_was_reset() -> None:
    held = bytearray(b"x" * 300_000_000)
    with_it = peak()
    del held

    reset_peak()

    assert peak() < with_it - 200_000_000


def test_memory_of_a_process_counts_what_it_started() -> None:
    import os
    import subprocess
    import sys

    alone = memory_of_group(os.getpid())
    child = subprocess.Popen(
        [sys.executable, "-c", "x = bytearray(b'x' * 200_000_000); print(); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()

    assert memory_of_group(os.getpid()) > alone + 190_000_000
    child.communicate(b"\n")
