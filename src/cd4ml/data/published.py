"""Which version of a dataset there was at a moment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from cd4ml.data.moments import refuse_naive
from cd4ml.data.versions import require_newest
from cd4ml.errors import NotFound
from cd4ml.records.dataset import DatasetVersion
from cd4ml.store import rows
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection


def version_by(connection: Connection, name: str, moment: datetime) -> DatasetVersion | None:
    """The newest version of a dataset that had been published by a moment; None if none had."""
    table = TABLES[DatasetVersion]
    by_then = (table.c.dataset == name) & (table.c.created_at <= moment)
    number = connection.scalar(sa.select(sa.func.max(table.c.number)).where(by_then))
    return rows.get(connection, DatasetVersion, name, number) if number is not None else None


def require_version_by(connection: Connection, name: str, moment: datetime) -> DatasetVersion:
    """The newest version of a dataset that had been published by a moment.

    Raises:
        NotFound: If there is no such dataset, or it had no version yet.
        InvalidInput: If the moment has no time zone.
    """
    refuse_naive(moment)
    found = version_by(connection, name, moment)
    if found is not None:
        return found
    require_newest(connection, name)  # says so, if there is none at all
    first = rows.find(connection, DatasetVersion, dataset=name, limit=1)[0]
    msg = f"the dataset {name!r} had no version on {moment.isoformat()}"
    when = first.created_at.isoformat()
    raise NotFound(msg, hint=f"{first.ref} was published on {when}; it is read by its number")
