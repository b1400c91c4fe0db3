"""An alias points at one version; who moves it says what they saw, and every move is kept."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.errors import Conflict, InvalidInput, NotFound
from cd4ml.models import aliases, registry
from cd4ml.models.registry.names import require_alias_name
from cd4ml.records.model_version import Alias, AliasMove
from cd4ml.store.database import Database, open_database
from tests.store.processes import at_once

NOW = datetime(2013, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

T = TypeVar("T")
_examples = count()


@pytest.fixture
def delays(database: Database) -> Database:
    """Three versions of `delay`, and nothing that points at one."""
    with database.write() as connection:
        for _ in range(3):
            registry.add_version(connection, "delay", by="ann", at=NOW)
    return database


def moved(
    database: Database,
    to: int,
    *,
    expected: int | None = None,
    name: str = "champion",
    why: str = "",
    by: str = "ann",
    at: datetime = NOW,
) -> Alias:
    with database.write() as connection:
        return aliases.move(connection, "delay", name, to, expected=expected, why=why, by=by, at=at)


def removed(database: Database, name: str = "champion", expected: int | None = None) -> Alias:
    with database.write() as connection:
        return aliases.remove(
            connection, "delay", name, expected=expected, why="no longer", by="eve", at=NOW
        )


def asked(database: Database, question: Callable[[sa.Connection], T]) -> T:
    with database.read() as connection:
        return question(connection)


def number(database: Database, name: str = "champion") -> int:
    found = asked(database, lambda connection: aliases.alias(connection, "delay", name))
    return found.number if found else 0


def test_an_alias_moves_from_version_to_version(delays: Database) -> None:
    first = moved(delays, 1, expected=0)
    second = moved(delays, 3, expected=1, by="max", at=NOW + HOUR)

    assert (first.number, second.number) == (1, 3)
    assert second == Alias(
        model="delay", name="champion", number=3, moved_at=NOW + HOUR, moved_by="max"
    )
    assert number(delays) == 3


def test_who_saw_another_version_is_told_who_was_faster(delays: Database) -> None:
    moved(delays, 1)
    moved(delays, 2, expected=1, by="max", at=NOW + HOUR)

    with pytest.raises(Conflict) as caught:
        moved(delays, 3, expected=1)

    assert str(caught.value) == (
        "delay@champion points at delay/2, moved by max at 2013-01-01 01:00:00, and not at"
        " delay/1\n  hint: look at cd4ml model history delay@champion, and decide again"
    )
    assert number(delays) == 2


@pytest.mark.parametrize(
    ("before", "expected", "said"),
    [
        (0, 2, "delay@champion points nowhere, and not at delay/2"),
        (
            1,
            0,
            "delay@champion points at delay/1, moved by ann at 2013-01-01 00:00:00,"
            " and it was expected to point nowhere",
        ),
    ],
)
def test_no_version_can_be_expected_and_can_be_what_is_found(
    delays: Database, before: int, expected: int, said: str
) -> None:
    if before:
        moved(delays, before)

    with pytest.raises(Conflict) as caught:
        moved(delays, 3, expected=expected)

    assert caught.value.message == said


def test_who_expects_nothing_moves_it_from_wherever_it_is(delays: Database) -> None:
    moved(delays, 1)
    moved(delays, 2)

    assert number(delays) == 2


def test_pointing_it_where_it_points_changes_nothing(delays: Database) -> None:
    first = moved(delays, 1)

    again = moved(delays, 1, by="max", at=NOW + HOUR)

    assert again == first
    assert len(asked(delays, lambda c: aliases.history(c, "delay", "champion"))) == 1


def test_of_four_who_saw_the_same_one_wins(delays: Database, database_url: str) -> None:
    moved(delays, 1)

    said = at_once(compete, [(database_url, f"person-{i}", 2 + i % 2) for i in range(4)])

    winners = [by for by, outcome in said if outcome == "moved"]
    assert sorted(outcome for _, outcome in said) == ["conflict"] * 3 + ["moved"]
    last = asked(delays, lambda c: aliases.history(c, "delay", "champion"))[0]
    assert [last.by] == winners
    assert last.to == number(delays)


def compete(url: str, by: str, to: int) -> tuple[str, str]:
    database = open_database(url)
    try:
        moved(database, to, expected=1, by=by)
    except Conflict:
        return by, "conflict"
    finally:
        database.close()
    return by, "moved"


def test_an_alias_is_taken_away(delays: Database) -> None:
    moved(delays, 2, name="shadow")

    assert removed(delays, "shadow", expected=2).number == 2

    assert number(delays, "shadow") == 0
    with pytest.raises(NotFound) as caught:
        removed(delays, "shadow")
    assert str(caught.value) == "no alias named 'delay@shadow'\n  hint: known: none yet"


def test_it_is_not_taken_away_from_another_version_than_was_seen(delays: Database) -> None:
    moved(delays, 2)

    with pytest.raises(Conflict):
        removed(delays, expected=1)

    assert number(delays) == 2


def test_the_history_says_who_when_from_where_to_where_and_why(delays: Database) -> None:
    moved(delays, 1, why="the first")
    moved(delays, 2, by="max", at=NOW + HOUR, why="better on snow")
    moved(delays, 3, name="shadow")
    removed(delays)

    moves = asked(delays, lambda c: aliases.history(c, "delay", "champion"))

    assert moves == [
        AliasMove(
            model="delay",
            name="champion",
            left=2,
            to=0,
            at=NOW,
            by="eve",
            why="no longer",
            entry=moves[0].entry,
        ),
        AliasMove(
            model="delay",
            name="champion",
            left=1,
            to=2,
            at=NOW + HOUR,
            by="max",
            why="better on snow",
            entry=moves[1].entry,
        ),
        AliasMove(
            model="delay",
            name="champion",
            left=0,
            to=1,
            at=NOW,
            by="ann",
            why="the first",
            entry=moves[2].entry,
        ),
    ]
    every = asked(delays, lambda c: aliases.history(c, "delay"))
    assert [move.name for move in every] == ["champion", "shadow", "champion", "champion"]


def test_a_model_has_its_own_history_whatever_the_names_begin_with(delays: Database) -> None:
    with delays.write() as connection:
        for name in ("delay_", "delay%"):
            registry.add_version(connection, name, by="ann", at=NOW)
            aliases.move(connection, name, "champion", 1, by="ann", at=NOW)
    moved(delays, 3)

    for name in ("delay", "delay_", "delay%"):
        found = asked(delays, lambda c, name=name: aliases.history(c, name))
        assert [move.model for move in found] == [name]


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.integers(0, 3), max_size=8))
def test_the_history_played_again_ends_where_the_alias_points(
    shared_url: str, steps: list[int]
) -> None:
    database = open_database(shared_url)
    with database.write() as connection:
        model = f"delay {next(_examples)}"
        for _ in range(3):
            registry.add_version(connection, model, by="ann", at=NOW)
        pointed = 0
        for hour, to in enumerate(steps):
            at = NOW + hour * HOUR
            if to:
                aliases.move(connection, model, "a", to, expected=pointed, by="ann", at=at)
            elif pointed:
                aliases.remove(connection, model, "a", expected=pointed, by="ann", at=at)
            pointed = to
            then = aliases.pointed_at(connection, model, "a", at)
            assert (then or 0) == pointed

        moves = aliases.history(connection, model, "a")[::-1]

        assert [move.left for move in moves] == [0, *(move.to for move in moves)][: len(moves)]
        assert (moves[-1].to if moves else 0) == pointed
        for hour, to in enumerate(steps):
            assert (aliases.pointed_at(connection, model, "a", NOW + hour * HOUR) or 0) == to
    database.close()


@pytest.fixture(scope="module")
def shared_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for all examples: each has a model of its own."""
    return f"sqlite:///{tmp_path_factory.mktemp('examples')}/cd4ml.db"


def test_a_version_that_is_not_there_cannot_be_pointed_at(delays: Database) -> None:
    with pytest.raises(NotFound) as caught:
        moved(delays, 4)

    assert str(caught.value) == (
        "no model version 'delay/4'\n  hint: known: delay/1, delay/2, delay/3"
    )


def test_nor_can_one_that_was_deleted(delays: Database) -> None:
    with delays.write() as connection:
        version = registry.version(connection, "delay", 2)
        registry.delete_version(connection, version, by="ann", at=NOW)

    with pytest.raises(NotFound) as caught:
        moved(delays, 2)

    assert str(caught.value) == (
        "delay/2 was deleted on 2013-01-01\n  hint: cd4ml model restore delay/2"
    )


@pytest.mark.parametrize("name", ["champion", "quarter-1", "2024-q1", "größte", "_", "a" * 100])
def test_what_can_be_an_alias(name: str) -> None:
    require_alias_name(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "expected an alias of 1 to 100 letters, digits, '_' and '-', got ''"),
        ("a b", "expected an alias of 1 to 100 letters, digits, '_' and '-', got 'a b'"),
        ("a@b", "expected an alias of 1 to 100 letters, digits, '_' and '-', got 'a@b'"),
        ("3", "expected an alias that is no number, got '3'"),
        ("v3", "expected an alias that is no number, got 'v3'"),
        ("Latest", "'latest' can be no alias: it would not say which version was meant"),
        ("a\n", "expected an alias of 1 to 100 letters, digits, '_' and '-', got 'a\\n'"),
    ],
)
def test_what_cannot(delays: Database, name: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        moved(delays, 1, name=name)

    assert caught.value.message == said
    assert asked(delays, lambda c: aliases.aliases_of(c, "delay")) == []
