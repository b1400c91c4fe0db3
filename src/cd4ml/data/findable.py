"""The words under which a dataset is found, kept as they are said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.store import search

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.records.dataset import Dataset, DatasetVersion


def make_findable(connection: Connection, dataset: Dataset, newest: DatasetVersion | None) -> None:
    """Let a dataset be found by what is said about it, and by its newest version's columns.

    Args:
        connection: Of the write transaction that says it.
        dataset: As it is described now.
        newest: Its newest version; None if it has none yet.
    """
    text = search.Text(
        name=dataset.name,
        labels=" ".join([dataset.owner, *dataset.tags]),
        columns=" ".join(column.name for column in newest.columns) if newest else "",
        description=f"{dataset.description} {dataset.licence}",
    )
    search.keep(connection, dataset.name, text)
