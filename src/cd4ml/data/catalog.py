"""The datasets that there are: who owns them, what is in them, how they are found."""

from __future__ import annotations

from datetime import datetime
from keyword import iskeyword
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from cd4ml.data.versions import newest_version
from cd4ml.errors import InvalidInput
from cd4ml.records.dataset import Dataset, DatasetVersion
from cd4ml.store import ledger, rows
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset in the catalog, with its newest version (None: it has none yet)."""

    dataset: Dataset
    newest: DatasetVersion | None
    n_versions: int


def register(
    connection: Connection,
    *,
    name: str,
    owner: str = "",
    description: str = "",
    tags: tuple[str, ...] = (),
    licence: str = "",
    at: datetime,
    actor: str,
) -> Dataset:
    """Enter a dataset in the catalog, or correct what is said about it there.

    Saying the same again changes nothing.

    Args:
        connection: Of a write transaction.
        name: What steps call it: a Python name.
        owner: Who answers for it: a person or a team.
        description: What a row is, and what the data is for.
        tags: Words it is found by.
        licence: On what terms it may be used.
        at: When.
        actor: Who.

    Raises:
        InvalidInput: If steps could not have an input of this name.
    """
    if not name.isidentifier() or iskeyword(name):
        msg = f"expected a name that a step's parameter can have, got {name!r}"
        raise InvalidInput(msg, hint="letters, digits and _, not beginning with a digit")
    known = rows.find(connection, Dataset, name=name)
    wanted = Dataset(
        name=name,
        owner=owner,
        description=description,
        tags=tags,
        licence=licence,
        created_at=known[0].created_at if known else at,
        created_by=known[0].created_by if known else actor,
    )
    if known == [wanted]:
        return wanted
    rows.put(connection, wanted)
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action="dataset.described" if known else "dataset.registered",
        subject=name,
        details={"owner": owner, "description": description, "tags": tags, "licence": licence},
    )
    return wanted


def entry(connection: Connection, name: str) -> Entry:
    """A dataset of this name.

    Raises:
        NotFound: If there is none; the hint lists the names there are.
    """
    dataset = rows.get(connection, Dataset, name)
    newest = newest_version(connection, name)
    n_versions = rows.count(connection, DatasetVersion, dataset=name)
    return Entry(dataset=dataset, newest=newest, n_versions=n_versions)


def versions(connection: Connection, name: str) -> list[DatasetVersion]:
    """All versions of a dataset, the newest first."""
    return rows.find(connection, DatasetVersion, dataset=name, newest_first=True)


def search(connection: Connection, words: str = "") -> list[Entry]:
    """The datasets in which every word is found, by name; all of them without words.

    A word is looked for, whatever its case, in name, description, owner, tags and licence,
    and in the names of the newest version's columns.
    """
    newest = _newest_numbers(connection)
    wanted = words.casefold().split()
    found = []
    for dataset in rows.find(connection, Dataset):
        number, n_versions = newest.get(dataset.name, (0, 0))
        version = rows.get(connection, DatasetVersion, dataset.name, number) if number else None
        if all(word in _text(dataset, version) for word in wanted):
            found.append(Entry(dataset=dataset, newest=version, n_versions=n_versions))
    return found


def _newest_numbers(connection: Connection) -> dict[str, tuple[int, int]]:
    """Dataset -> (number of its newest version, how many there are)."""
    table = TABLES[DatasetVersion]
    statement = sa.select(table.c.dataset, sa.func.max(table.c.number), sa.func.count()).group_by(
        table.c.dataset
    )
    return {name: (newest, count) for name, newest, count in connection.execute(statement)}


def _text(dataset: Dataset, newest: DatasetVersion | None) -> str:
    columns = [column.name for column in newest.columns] if newest else []
    words = [dataset.name, dataset.description, dataset.owner, dataset.licence]
    return " ".join([*words, *dataset.tags, *columns]).casefold()
