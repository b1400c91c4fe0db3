"""Which versions learned from a thing, and how many live predictions they gave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import msgspec
import sqlalchemy as sa

from cd4ml.records.plan import Role
from cd4ml.store import answer_counts
from cd4ml.store.lineage import Hop, without

Way = Literal["directly", "through production"]

ANSWERED = "answered under"  # rows that production showed, of the plan it answered under
_VERSION = "model version"


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """Answers of a version that was made from a thing.

    `way` is "directly" where the version was made from it, and "through production" where it
    learned from requests that such a version had answered. `first` is when the first hour
    with such an answer began, `last` when the last one ended.
    """

    version: str
    way: Way
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
        learned = "" if self.way == "directly" else ", which learned from what others answered"
        return f"{self.version}{learned}: {answers} as {self.role} in {self.environment}, {hours}"


def touched(
    connection: sa.Connection, start: str, hops: Sequence[Hop], *, is_version: bool = False
) -> tuple[Touched, ...]:
    """The answers of the versions on a walk downstream, the earliest first.

    Args:
        connection: Of a read or write transaction.
        start: The address where the walk began.
        hops: What `lineage.downstream` found.
        is_version: Whether it began at a version, whose own answers count as well.
    """
    ways = _versions(start, hops)
    if is_version:
        ways[start] = "directly"
    return tuple(
        Touched(
            version=each.version,
            way=ways[each.version],
            environment=each.environment,
            role=each.role,
            n_predictions=each.n,
            first=each.first,
            last=each.last,
        )
        for each in answer_counts.answered_by(connection, map(_key, ways))
    )


def n_live(answers: Iterable[Touched]) -> int:
    """How many answers were given to somebody: what shadows said was not."""
    return sum(each.n_predictions for each in answers if each.role != "shadow")


def _versions(start: str, hops: Sequence[Hop]) -> dict[str, Way]:
    """Every version on the walk, with the way that leads there."""
    direct = {hop.node.address for hop in without(hops, start, ANSWERED)}
    found = {hop.node.address for hop in hops if hop.node.kind == _VERSION}
    return {ref: "directly" if ref in direct else "through production" for ref in sorted(found)}


def _key(ref: str) -> tuple[str, int]:
    model, _, number = ref.rpartition("/")
    return model, int(number)
