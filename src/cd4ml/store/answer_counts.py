"""Answers counted by the hour and version, so that nobody has to read the log to count them.

The collector of predictions adds to the counts in the transaction that adds the rows to
the log: a row that is in the log is counted, once, whoever is killed when.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from cd4ml.records.answer_count import AnswerCount
from cd4ml.records.plan import Role
from cd4ml.store import rows
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    import polars as pl

HOUR = timedelta(hours=1)

_TABLE = TABLES[AnswerCount]
_ASKED = 500  # versions in one question
_KEY = ("model", "number", "environment", "role", "hour")


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What one version answered in one role: how often, and in which hours.

    `first` is when the first of these hours began, `last` when the last one ended.
    """

    model: str
    number: int
    environment: str
    role: Role
    n: int
    first: datetime
    last: datetime

    @property
    def version(self) -> str:
        """`model/number`."""
        return f"{self.model}/{self.number}"


def counted(predictions: pl.DataFrame) -> list[AnswerCount]:
    """The counts of some rows of the log.

    Args:
        predictions: `model`, `number`, `environment`, `role` and `answered_at`; one row per
            answer.
    """
    import polars as pl

    hour = pl.col("answered_at").dt.truncate("1h").alias("hour")
    grouped = predictions.group_by(*_KEY[:-1], hour, maintain_order=True).agg(n=pl.len())
    return [AnswerCount(**row) for row in grouped.iter_rows(named=True)]


def add(connection: sa.Connection, counts: Iterable[AnswerCount]) -> None:
    """Add to what was counted before; in the transaction that makes the rows part of the log."""
    values = [msgspec.structs.asdict(count) for count in counts]
    if not values:
        return
    statement = rows.inserting(connection, _TABLE)
    more = {"n": _TABLE.c.n + statement.excluded.n}
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(_KEY), set_=more), values
    )


def answered_by(connection: sa.Connection, versions: Iterable[tuple[str, int]]) -> list[Answered]:
    """What these versions answered, the earliest first; those that answered nothing are left out."""
    asked = sorted(set(versions))
    parts = [asked[i : i + _ASKED] for i in range(0, len(asked), _ASKED)]
    found = [each for part in parts for each in _answered(connection, part)]
    return sorted(found, key=lambda each: (each.first, each.model, each.number, each.role))


def _answered(connection: sa.Connection, versions: list[tuple[str, int]]) -> list[Answered]:
    # not as pairs IN a list: for that SQLite reads the whole table
    one_of = sa.or_(
        *(sa.and_(_TABLE.c.model == model, _TABLE.c.number == number) for model, number in versions)
    )
    who = [_TABLE.c[name] for name in _KEY[:-1]]
    statement = sa.select(
        *who,
        sa.func.sum(_TABLE.c.n).label("n"),
        sa.func.min(_TABLE.c.hour).label("first"),
        sa.func.max(_TABLE.c.hour).label("last"),
    )
    return [
        Answered(
            model=row.model,
            number=row.number,
            environment=row.environment,
            role=row.role,
            n=int(row.n),
            first=row.first,
            last=row.last + HOUR,
        )
        for row in connection.execute(statement.where(one_of).group_by(*who))
    ]


def in_hour(connection: sa.Connection, environment: str, moment: datetime) -> dict[str, int]:
    """How often each version (`model/number`) answered callers in the hour of a moment."""
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    statement = sa.select(_TABLE.c.model, _TABLE.c.number, sa.func.sum(_TABLE.c.n)).where(
        _TABLE.c.environment == environment, _TABLE.c.hour == hour, _TABLE.c.role != "shadow"
    )
    grouped = connection.execute(statement.group_by(_TABLE.c.model, _TABLE.c.number))
    return {f"{model}/{number}": int(n) for model, number, n in grouped}
