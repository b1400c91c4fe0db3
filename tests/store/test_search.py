"""One behaviour on FTS5, on SQLite without it, and on PostgreSQL."""

import string
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cd4ml.store import search
from cd4ml.store.database import open_database
from cd4ml.store.search import Text, words_of

if TYPE_CHECKING:
    from cd4ml.store.database import Database

DATASETS = {
    "flights": Text("flights", "data-eng transport", "carrier wind_speed is_late", "from New York"),
    "weather": Text(
        "weather", "meteo", "wind_speed origin", "one row an hour, and flights' delays"
    ),
    "wind": Text("wind", "meteo energy", "turbine power", "Größe der Anlagen, CC0-1.0"),
    "windows": Text("windows", "flights", "wall", ""),
    "tokyo": Text("tokyo", "", "", "東京の天気 погода Τόκυο"),
}


@pytest.fixture(params=["fts5", "plain", "postgres"])
def catalog(request: pytest.FixtureRequest) -> "Iterator[Database]":
    """The five datasets, on each way to find them."""
    kind = "postgres" if request.param == "postgres" else "sqlite"
    opened = open_database(request.getfixturevalue(f"{kind}_url"))
    with opened.write() as connection:
        if request.param == "plain":
            without_fts5(connection)
        for name, text in DATASETS.items():
            search.keep(connection, name, text)
    yield opened
    opened.close()


def without_fts5(connection: sa.Connection) -> None:
    """What the migration makes where SQLite was built without FTS5."""
    connection.exec_driver_sql(f"DROP TABLE {search.TABLE}")
    connection.exec_driver_sql(f"CREATE TABLE {search.TABLE} (a TEXT, b TEXT, c TEXT, d TEXT)")


def found(catalog: "Database", query: str, limit: int = 10) -> list[str]:
    with catalog.read() as connection:
        return search.find(connection, query, limit=limit)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("flights", ["flights", "windows", "weather"]),  # in the name, the labels, the description
        ("wind", ["wind", "windows", "flights", "weather"]),  # itself, a name, columns by name
        ("WIND speed", ["flights", "weather"]),
        ("speed wind", ["flights", "weather"]),
        ("meteo origin", ["weather"]),
        ("late", ["flights"]),  # a part of is_late
        ("ind", []),  # words are found by their beginnings
        ("data-eng", ["flights"]),
        ("grosse", ["wind"]),
        ("GRÖSSE", ["wind"]),
        ("cc0", ["wind"]),
        ("1.0", ["wind"]),
        ("天気", ["tokyo"]),
        ("Погод", ["tokyo"]),
        ("τοκυο", ["tokyo"]),
        ("flights nowhere", []),
    ],
)
def test_words_are_found_where_they_tell_most_first(
    catalog: "Database", query: str, names: list[str]
) -> None:
    assert found(catalog, query) == names


@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        "\0",
        '"',
        "'",
        "';--",
        "*",
        "()",
        "%",
        "_",
        "\\",
        ":*",
        "&|!",
        "^",
        "\ud800",
        "-",
        "<->",
    ],
)
def test_signs_alone_find_nothing_and_break_nothing(catalog: "Database", query: str) -> None:
    assert found(catalog, query) == []


@pytest.mark.parametrize(
    "query",
    [
        '"flights"',
        "flights*",
        "'flights'",
        "(flights",
        "flights\0",
        "flights:*",
        "!flights",
        "-flights",
        "^flights",
        "{} : flights",
        "%flights%",
        "'); -- flights",
    ],
)
def test_signs_around_a_word_mean_nothing(catalog: "Database", query: str) -> None:
    assert found(catalog, query) == ["flights", "windows", "weather"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("flights OR", ["weather"]),  # its origin
        ("flights AND", ["weather"]),  # "and flights' delays"
        ("NOT flights", []),
        ("NEAR(flights)", []),
        ("turbine NOT wind", []),
    ],
)
def test_operators_are_words_like_others(catalog: "Database", query: str, names: list[str]) -> None:
    assert found(catalog, query) == names


def test_the_same_again_replaces_what_was_said(catalog: "Database") -> None:
    with catalog.write() as connection:
        search.keep(connection, "flights", Text("flights", "ops", "airline", ""))

    assert found(catalog, "carrier") == []
    assert found(catalog, "airline") == ["flights"]


def test_no_more_than_wanted_are_found(catalog: "Database") -> None:
    assert found(catalog, "wind", limit=2) == ["wind", "windows"]


def test_a_transaction_that_fails_leaves_nothing_to_find(catalog: "Database") -> None:
    with suppress(_Undone), catalog.write() as connection:
        search.keep(connection, "fares", Text("fares", "", "", ""))
        raise _Undone

    assert found(catalog, "fares") == []


def test_a_text_of_any_length_can_be_kept(catalog: "Database") -> None:
    columns = " ".join(f"column{i}" for i in range(20_000))
    long = " ".join(f"{i:05}" + "語x" * 60 for i in range(3_000))  # the most there can be
    with catalog.write() as connection:
        search.keep(connection, "wide", Text("wide", "", columns, ""))
        search.keep(connection, "long", Text(long, long, long, long))

    assert found(catalog, "column7999") == ["wide"]
    assert found(catalog, "column19999") == []  # beyond the words that are kept
    assert found(catalog, " ".join(f"column{i}" for i in range(500))) == ["wide"]


LETTERS = st.text(alphabet=string.ascii_letters + "äßİ\u0301 _-'\"*東ı٣ﬁ½", max_size=12)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    said=st.lists(st.builds(Text, LETTERS, LETTERS, LETTERS, LETTERS), max_size=4), query=LETTERS
)
def test_every_way_to_find_gives_the_same(
    sqlite_url: str, postgres_url: str, said: list[Text], query: str
) -> None:
    answers = [
        answer(sqlite_url, said, query),
        answer(sqlite_url, said, query, is_plain=True),
        answer(postgres_url, said, query),
    ]

    assert answers[0] == answers[1] == answers[2]
    assert set(answers[0]) == {f"d{i}" for i, text in enumerate(said) if has(text, query)}


class _Undone(Exception):
    """Leaves a transaction as if it had not been."""


def answer(url: str, said: list[Text], query: str, *, is_plain: bool = False) -> list[str]:
    """What is found among these texts, of which nothing stays."""
    names: list[str] = []
    opened = open_database(url)
    with suppress(_Undone), opened.write() as connection:
        if is_plain:
            without_fts5(connection)
        for i, text in enumerate(said):
            search.keep(connection, f"d{i}", text)
        names += search.find(connection, query, limit=10)
        raise _Undone
    opened.close()
    return names


def has(text: Text, query: str) -> bool:
    """Whether each word of the query begins a word of the text."""
    kept = [word for part in text for word in words_of(part)]
    wanted = words_of(query)
    return bool(wanted) and all(any(k.startswith(word) for k in kept) for word in wanted)


@given(st.text(max_size=40))
def test_words_of_words_are_themselves(text: str) -> None:
    words = words_of(text)

    assert words_of(" ".join(words)) == words
    assert all(word.isalnum() for word in words)
