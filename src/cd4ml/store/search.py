"""Full text over the catalog: SQLite's FTS5, PostgreSQL's `tsvector`, one behaviour.

Both databases would cut a text into words by rules of their own. Here the words are made by
`words_of`, and the databases only find them: the same query finds the same datasets in the
same order on both. Where SQLite was built without FTS5 the words lie in a plain table, which
is read from one end to the other: the same answers, later.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

import sqlalchemy as sa

TABLE = "dataset_words"
NUMBERS = "dataset_words_numbers"  # SQLite only: the numbers of the rows
CLASSES = "abcd"  # where a word stands, the most telling first

_LONGEST = 64  # characters of a word; PostgreSQL takes 2046 bytes
_MOST_BYTES = 80_000  # of words in one text; ten times as much has to fit into 1 MB of `tsvector`
_MOST_ASKED = 16  # words of one query that are looked for
_WITHOUT_SPACES = (  # scripts that put no spaces between words: each sign is one
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)


class Text(NamedTuple):
    """What is said about a dataset, the most telling first."""

    name: str
    labels: str  # owner and tags
    columns: str
    description: str  # and the licence


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, each once, as they are stored and looked for.

    Letters and digits of any script make words; case and accents do not count.

    Examples:
        >>> words_of("is_late, departure-delay (Flüge)")
        ('is', 'late', 'departure', 'delay', 'fluge')
        >>> words_of('" OR * NEAR(')
        ('or', 'near')
    """
    plain = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    spaced = "".join(_spaced(sign) for sign in bare)
    every = list(dict.fromkeys(word[:_LONGEST] for word in spaced.split()))
    room = accumulate(len(word.encode()) for word in every)
    return tuple(word for word, size in zip(every, room, strict=True) if size <= _MOST_BYTES)


def keep(connection: sa.Connection, dataset: str, text: Text) -> None:
    """Make a dataset found by these words and no others.

    Args:
        connection: Of the write transaction that changes what is said.
        dataset: Its name.
        text: All that is said about it.
    """
    classes = [words_of(part) for part in text]
    if connection.dialect.name == "postgresql":
        connection.execute(_KEEP_POSTGRES, {"dataset": dataset, "words": _vector(classes)})
        return
    values = {name: f" {' '.join(words)}" for name, words in zip(CLASSES, classes, strict=True)}
    connection.execute(_NUMBER_SQLITE, {"dataset": dataset})
    connection.execute(_KEEP_SQLITE, {"dataset": dataset, **values})


def find(connection: sa.Connection, query: str, *, limit: int) -> list[str]:
    """The datasets in which each word of the query begins a word, the most telling first.

    First the one with exactly this name; then those that have all words in their name; then
    in name, owner and tags; then with the columns; then anywhere. By name among equals. No
    sign in a query means anything but itself; only the first words of a very long one count.

    Args:
        connection: Of a read or write transaction.
        query: Words, or their beginnings.
        limit: The most names to return.

    Returns:
        Names of datasets; none if the query has no word in it.
    """
    words = words_of(query)[:_MOST_ASKED]
    if not words:
        return []
    name = query.strip()  # what is no name may be what no database takes: NUL, a lone surrogate
    given: dict[str, object] = {"name": name if name.isidentifier() else "", "limit": limit}
    if connection.dialect.name == "postgresql":
        return _nearest(connection, _FIND_POSTGRES, _tsqueries(words), given, limit)
    if not _has_index(connection):
        return list(connection.execute(*_scan(words, given)).scalars())
    return _nearest(connection, _FIND_FTS5, _matches(words), given, limit)


def _spaced(sign: str) -> str:
    if not sign.isalnum():
        return " "
    if any(first <= ord(sign) <= last for first, last in _WITHOUT_SPACES):
        return f" {sign} "
    return sign


def _reaches() -> Iterator[str]:
    """The first class, the first two, ..., all of them."""
    return (CLASSES[: length + 1] for length in range(len(CLASSES)))


def _vector(classes: Iterable[tuple[str, ...]]) -> str:
    """The words as a `tsvector` literal, each behind the number of every reach that has it.

    A weight would say the same in less room, but the index does not know weights.
    """
    reached = {
        f"'{reach}{word}'"
        for first, words in enumerate(classes)
        for word in words
        for reach in range(first, len(CLASSES))
    }
    return " ".join(sorted(reached))


def _tsqueries(words: tuple[str, ...]) -> Iterator[str]:
    """For each reach, what it has and the one before has not."""
    nearer = ""
    for reach in range(len(CLASSES)):
        every = " & ".join(f"'{reach}{word}':*" for word in words)
        yield f"{every} & !({nearer})" if nearer else every
        nearer = every


def _matches(words: tuple[str, ...]) -> Iterator[str]:
    """The same, as FTS5 puts it."""
    every = " AND ".join(f'"{word}" *' for word in words)
    nearer = ""
    for reach in _reaches():
        match = f"{{{' '.join(reach)}}} : ({every})"
        yield f"({match}) NOT ({nearer})" if nearer else match
        nearer = match


def _nearest(
    connection: sa.Connection,
    statement: sa.TextClause,
    queries: Iterable[str],
    given: dict[str, object],
    limit: int,
) -> list[str]:
    """What tells most first, and only as much as is wanted: names are slow to look up."""
    names: list[str] = []
    for query in queries:
        wanted = {**given, "match": query, "limit": limit - len(names)}
        names += connection.execute(statement, wanted).scalars()
        if len(names) >= limit:
            break
    return names


def _has_index(connection: sa.Connection) -> bool:
    statement = sa.text("SELECT sql FROM sqlite_master WHERE name = :table")
    return "fts5" in connection.execute(statement, {"table": TABLE}).scalar_one().lower()


def _scan(
    words: tuple[str, ...], given: dict[str, object]
) -> tuple[sa.TextClause, dict[str, object]]:
    """The query over a plain table: a word begins behind a space."""
    patterns: dict[str, object] = {f"word{i}": f"% {word}%" for i, word in enumerate(words)}
    reached = (
        " AND ".join(f"({' || '.join(reach)}) LIKE :{name}" for name in patterns)
        for reach in _reaches()
    )
    ranks = " ".join(f"WHEN {condition} THEN {rank}" for rank, condition in enumerate(reached))
    statement = (
        f"SELECT dataset, CASE {ranks} END AS reach FROM {TABLE} JOIN {NUMBERS} "
        f"ON id = {TABLE}.rowid WHERE reach IS NOT NULL ORDER BY dataset = :name DESC, reach, dataset LIMIT :limit"
    )
    return sa.text(statement), {**given, **patterns}


_KEEP_POSTGRES = sa.text(
    f"INSERT INTO {TABLE} (dataset, words) VALUES (:dataset, CAST(:words AS tsvector)) "
    "ON CONFLICT (dataset) DO UPDATE SET words = excluded.words"
)
# FTS5 knows rows by numbers, and looks up what else they hold a hundred times slower
_NUMBER_SQLITE = sa.text(
    f"INSERT INTO {NUMBERS} (dataset) VALUES (:dataset) ON CONFLICT (dataset) DO NOTHING"
)
_KEEP_SQLITE = sa.text(
    f"INSERT OR REPLACE INTO {TABLE} (rowid, a, b, c, d) "
    f"SELECT id, :a, :b, :c, :d FROM {NUMBERS} WHERE dataset = :dataset"
)
_FIND_POSTGRES = sa.text(
    f"SELECT dataset FROM {TABLE} WHERE words @@ CAST(:match AS tsquery) "
    "ORDER BY dataset <> :name, dataset LIMIT :limit"
)
_FIND_FTS5 = sa.text(
    f"SELECT dataset FROM {TABLE} CROSS JOIN {NUMBERS} ON id = {TABLE}.rowid "
    f"WHERE {TABLE} MATCH :match ORDER BY dataset = :name DESC, dataset LIMIT :limit"
)
