"""The datasets that there are: who owns them, what is in them, how they are found."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from cd4ml.data.findable import make_findable
from cd4ml.data.freshness import Freshness
from cd4ml.data.versions import newest_version
from cd4ml.errors import InvalidInput
from cd4ml.records.dataset import NAME_RULE, Dataset, DatasetVersion, is_dataset_name
from cd4ml.store import ledger, rows
from cd4ml.store import search as text
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST_LISTED = 100

_DATASETS, _VERSIONS = TABLES[Dataset], TABLES[DatasetVersion]
_KNOWN_ANYWAY = ("name", "created_at", "created_by")  # the entry says so itself


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset in the catalog, with its newest version (None: it has none yet).

    `freshness` is told where somebody said when the data is stale.
    """

    dataset: Dataset
    newest: DatasetVersion | None
    n_versions: int
    freshness: Freshness | None = None


def register(
    connection: Connection,
    *,
    name: str,
    owner: str = "",
    description: str = "",
    tags: tuple[str, ...] = (),
    licence: str = "",
    personal: tuple[str, ...] = (),
    readers: tuple[str, ...] = (),
    fresh_within_hours: float | None = None,
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
        personal: Columns that say something about a person.
        readers: Roles that may read its rows; without any, everybody may.
        fresh_within_hours: The age from which its newest version is stale.
        at: When.
        actor: Who.

    Raises:
        InvalidInput: If steps could not have an input of this name.
    """
    if not is_dataset_name(name):
        msg = f"expected a name that a step's parameter can have, got {name!r}"
        raise InvalidInput(msg, hint=NAME_RULE)
    known = rows.find(connection, Dataset, name=name)
    wanted = Dataset(
        name=name,
        owner=owner,
        description=description,
        tags=tags,
        licence=licence,
        personal=personal,
        readers=readers,
        fresh_within_hours=fresh_within_hours,
        created_at=known[0].created_at if known else at,
        created_by=known[0].created_by if known else actor,
    )
    if known == [wanted]:
        return wanted
    rows.put(connection, wanted)
    make_findable(connection, wanted, newest_version(connection, name))
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action="dataset.described" if known else "dataset.registered",
        subject=name,
        details=_said(wanted),
    )
    return wanted


def _said(dataset: Dataset) -> dict[str, Any]:
    """What is said about a dataset, for the ledger."""
    said = msgspec.structs.asdict(dataset)
    return {key: value for key, value in said.items() if key not in _KNOWN_ANYWAY}


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


def search(connection: Connection, words: str = "", *, limit: int = MOST_LISTED) -> list[Entry]:
    """The datasets in which every word is found, the most telling first; without words, by name.

    A word of the query is the beginning of a word in name, owner, tags, columns of the newest
    version, description or licence (see `store.search`).

    Args:
        connection: Of a read or write transaction.
        words: What to look for; nothing finds all of them.
        limit: The most to return.
    """
    if words.strip():
        return _entries(connection, text.find(connection, words, limit=limit))
    names = sa.select(_DATASETS.c.name).order_by(_DATASETS.c.name).limit(limit)
    return _entries(connection, list(connection.execute(names).scalars()))


def _entries(connection: Connection, names: list[str]) -> list[Entry]:
    """The datasets of these names, in this order, by two queries whatever their number."""
    every = _DATASETS.select().where(_DATASETS.c.name.in_(names))
    described = {dataset.name: dataset for dataset in rows.fetch(connection, Dataset, every)}
    newest = rows.fetch_with(connection, DatasetVersion, _newest(names))
    versions = {version.dataset: (version, n_versions) for version, (n_versions,) in newest}
    return [
        Entry(dataset=described[name], newest=version, n_versions=n_versions)
        for name in names
        for version, n_versions in [versions.get(name, (None, 0))]
    ]


def _newest(names: list[str]) -> sa.Select[Any]:
    """The newest version of each dataset, and how many it has.

    Asked for each name by itself, from the index: a join with all the newest made PostgreSQL
    read every version there is.
    """
    same = _VERSIONS.alias()
    of_same = same.c.dataset == _VERSIONS.c.dataset
    last = sa.select(sa.func.max(same.c.number)).where(of_same).scalar_subquery()
    n_versions = sa.select(sa.func.count()).select_from(same).where(of_same).scalar_subquery()
    statement = sa.select(_VERSIONS, n_versions.label("n_versions"))
    return statement.where(_VERSIONS.c.dataset.in_(names), _VERSIONS.c.number == last)
