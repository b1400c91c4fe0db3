"""How far the log is behind what was answered."""

from cd4ml.records.log_file import LogMark
from cd4ml.serving.lag import Lag, Place
from cd4ml.store.database import Database
from cd4ml.store.rows import put


def collected(database: Database, segment: str, position: int) -> None:
    with database.write() as connection:
        put(connection, LogMark(log="predictions", name=segment, position=position))


def looked(database: Database, lag: Lag, segment: str, size: int) -> bool:
    """Whether something waits to be collected."""
    lag.note(Place(segment, size))
    with database.read() as connection:
        lag.forget(connection)
    return lag.seconds > 0


def test_the_log_is_behind_until_every_line_was_collected(database: Database) -> None:
    lag = Lag()

    assert not looked(database, lag, "a.jsonl", 0)
    assert looked(database, lag, "a.jsonl", 100)
    collected(database, "a.jsonl", 100)
    assert not looked(database, lag, "a.jsonl", 100)
    assert looked(database, lag, "a.jsonl", 150)
    collected(database, "a.jsonl", 120)
    assert looked(database, lag, "a.jsonl", 150)
    collected(database, "a.jsonl", 150)
    assert not looked(database, lag, "a.jsonl", 150)


def test_the_oldest_line_that_waits_counts_also_in_a_segment_before(database: Database) -> None:
    lag = Lag()
    looked(database, lag, "a.jsonl", 100)
    before = lag.seconds
    looked(database, lag, "b.jsonl", 10)
    collected(database, "b.jsonl", 10)

    assert looked(database, lag, "b.jsonl", 10)
    assert lag.seconds > before
    collected(database, "a.jsonl", 100)
    assert not looked(database, lag, "b.jsonl", 10)


def test_it_grows_while_nobody_can_say_what_was_collected() -> None:
    lag = Lag()
    lag.note(Place("a.jsonl", 100))
    first = lag.seconds
    lag.note(Place("a.jsonl", 150))

    assert lag.seconds > first > 0
