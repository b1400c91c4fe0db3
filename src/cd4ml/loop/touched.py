"""Which versions were made from a thing, and how many live predictions they gave."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cd4ml.records.plan import Role
from cd4ml.store import answer_counts
from cd4ml.store.lineage import Hop

_VERSION = "model version"


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """The answers that a version made from a thing gave in one role.

    `first` is when the first hour with such an answer began, `last` when the last one ended.
    """

    version: str
    environment: str
    role: Role
    n_predictions: int
    first: datetime
    last: datetime

    @property
    def words(self) -> str:
        """It in one line."""
        answers = f"{self.n_predictions:,} {'answer' if self.n_predictions == 1 else 'answers'}"
        hours = f"{self.first:%Y-%m-%d %H:%M} to {self.last:%Y-%m-%d %H:%M}"
        return f"{self.version}: {answers} as {self.role} in {self.environment}, {hours}"


def touched(
    connection: sa.Connection, hops: Iterable[Hop], *, itself: str = ""
) -> tuple[Touched, ...]:
    """The answers of the versions on a walk downstream, the earliest first.

    Args:
        connection: Of a read or write transaction.
        hops: What `lineage.downstream` found.
        itself: The version where the walk began, if it began at one.
    """
    versions = {hop.node.address for hop in hops if hop.node.kind == _VERSION}
    if itself:
        versions.add(itself)
    return tuple(
        Touched(
            version=each.version,
            environment=each.environment,
            role=each.role,
            n_predictions=each.n,
            first=each.first,
            last=each.last,
        )
        for each in answer_counts.answered_by(connection, map(_key, versions))
    )


def n_live(answers: Iterable[Touched]) -> int:
    """How many answers were given to somebody: what shadows said was not."""
    return sum(each.n_predictions for each in answers if each.role != "shadow")


def _key(ref: str) -> tuple[str, int]:
    model, _, number = ref.rpartition("/")
    return model, int(number)
