from collections.abc import Iterable
from datetime import date

import polars as pl
import pytest

from cd4ml.errors import Conflict
from cd4ml.records.log_file import LogFile, LogMark
from cd4ml.store import rows
from cd4ml.store.blobs import Blobs
from cd4ml.store.database import Database
from cd4ml.store.growing_table import GrowingTable, _Place

FIRST, SECOND = date(2013, 1, 1), date(2013, 1, 2)


@pytest.fixture
def table(database: Database, blobs: Blobs) -> GrowingTable:
    schema: dict[str, pl.DataType] = {
        "answer": pl.Int64(),
        "environment": pl.String(),
        "day": pl.Date(),
    }
    return GrowingTable("answers", schema, sort="answer", database=database, blobs=blobs)


def answers(*numbers: int, day: date = FIRST, environment: str = "production") -> pl.DataFrame:
    return pl.DataFrame({"answer": numbers, "environment": environment, "day": day})


def numbers(rows: pl.LazyFrame) -> list[int]:
    return sorted(rows.collect()["answer"])


def files(table: GrowingTable, database: Database) -> list[LogFile]:
    with database.read() as connection:
        return rows.find(connection, LogFile, log=table.name)


def test_rows_and_marks_are_added_together(table: GrowingTable, database: Database) -> None:
    both = pl.concat([answers(2, 1), answers(3, day=SECOND), answers(4, environment="staging")])

    table.append(both, {"segment": 100}, seen={})

    assert numbers(table.scan()) == [1, 2, 3, 4]
    assert numbers(table.scan(first=SECOND)) == [3]
    assert numbers(table.scan(last=FIRST, environment="staging")) == [4]
    assert table.marks() == {"segment": 100}
    assert [(file.day, file.environment, file.n_rows) for file in files(table, database)] == [
        ("2013-01-01", "production", 2),
        ("2013-01-02", "production", 1),
        ("2013-01-01", "staging", 1),
    ]


def test_an_append_of_what_somebody_else_appended_first_changes_nothing(
    table: GrowingTable, database: Database
) -> None:
    table.append(answers(1), {"segment": 100}, seen={})

    for seen in ({}, {"segment": 50}):
        with pytest.raises(Conflict) as refused:
            table.append(answers(1, 2), {"segment": 200, "other": 1}, seen=seen)
        assert str(refused.value) == (
            "another process appended the same rows to answers first (segment)\n"
            "  hint: repeat: what it appended will be skipped"
        )

    assert numbers(table.scan()) == [1]
    assert table.marks() == {"segment": 100}
    with database.read() as connection:
        assert rows.count(connection, LogMark) == 1


def test_marks_count_without_rows(table: GrowingTable) -> None:
    table.append(answers(), {"segment": 10}, seen={})
    table.append(answers(), {"segment": 20}, seen={"segment": 10})

    assert table.marks() == {"segment": 20}
    columns = {"answer": pl.Int64(), "environment": pl.String()}
    assert table.scan().collect().schema == pl.Schema(columns)  # the day is the table's


def append_each(table: GrowingTable, several: Iterable[int]) -> None:
    for number in several:
        table.append(answers(number), {f"segment-{number}": 1}, seen={})


def test_files_that_two_processes_merge_at_once_are_merged_once(
    table: GrowingTable, database: Database
) -> None:
    append_each(table, range(5))
    old = files(table, database)
    place = _Place(FIRST, "production")

    table._merge(place, old)
    append_each(table, [5])
    table._merge(place, old)  # by somebody who looked before the first one had ended

    assert numbers(table.scan()) == [0, 1, 2, 3, 4, 5]
    assert [file.n_rows for file in files(table, database)] == [5, 1]


def test_a_reader_that_began_before_a_merge_reads_on(
    table: GrowingTable, database: Database
) -> None:
    append_each(table, range(3))
    reading = table.scan()

    table._merge(_Place(FIRST, "production"), files(table, database))

    assert numbers(reading) == numbers(table.scan()) == [0, 1, 2]
