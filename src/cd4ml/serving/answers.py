"""Answers to the rows of a request, kept by column: what a row costs counts in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import msgspec

from cd4ml.records.plan import Arm
from cd4ml.serving.request import Row

if TYPE_CHECKING:
    from cd4ml.models.explain.fast import Explainer

Score = float | None


class Version(msgspec.Struct, frozen=True):
    """A loaded version in its role: `values` turns a row into what `score` takes.

    `told` is what every line of the log says about it, `said` what every prediction in a
    response does, both members of a JSON object; `explainer` takes its answers apart, None if
    nothing does at once.
    """

    arm: Arm
    values: Callable[[Row], tuple[Any, ...]]
    score: Callable[[Sequence[tuple[Any, ...]]], list[float]]
    told: bytes = b""
    said: bytes = b""
    explainer: Explainer | None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One version's score of one row; None if it failed on it."""

    version: Version
    score: Score


class Group(msgspec.Struct, frozen=True, gc=False):
    """What one version answered: `rows` are the numbers of those rows, None is all of them."""

    version: Version
    rows: Sequence[int] | None
    scores: Sequence[Score]


_NONE: dict[int, Version] = {}


class Answers(Sequence[list[Answer]]):
    """For each row the answers to it, last the one that counts; before it that of a failed canary.

    Args:
        versions: By row, whose answer counts; one version by itself answered all of
            them, and none failed.
        scores: By row.
        failed: The version that was tried first and failed, by number of the row.
    """

    __slots__ = ("failed", "scores", "versions")

    def __init__(
        self,
        versions: Version | Sequence[Version],
        scores: Sequence[Score],
        failed: Mapping[int, Version] = _NONE,
    ) -> None:
        self.versions = versions
        self.scores = scores
        self.failed = failed

    def __len__(self) -> int:
        """Of how many rows."""
        return len(self.scores)

    @overload
    def __getitem__(self, which: int) -> list[Answer]: ...
    @overload
    def __getitem__(self, which: slice) -> Answers: ...

    def __getitem__(self, which: int | slice) -> list[Answer] | Answers:
        """The answers to a row, or to some that follow one another."""
        if isinstance(which, slice):
            begin, end, _ = which.indices(len(self))
            return self.part(begin, end)
        version = self.by_row[which]
        counting = Answer(version, self.scores[which])
        tried = self.failed.get(which)
        return [counting] if tried is None else [Answer(tried, None), counting]

    def part(self, begin: int, end: int) -> Answers:
        """The answers to the rows from the one number up to the other."""
        if isinstance(self.versions, Version):
            return Answers(self.versions, self.scores[begin:end])
        failed = {i - begin: v for i, v in self.failed.items() if begin <= i < end}
        return Answers(self.versions[begin:end], self.scores[begin:end], failed)

    @property
    def by_row(self) -> Sequence[Version]:
        """Whose answer counts, row by row."""
        if isinstance(self.versions, Version):
            return [self.versions] * len(self.scores)
        return self.versions

    @property
    def n(self) -> int:
        """How many answers these are, with those that failed."""
        return len(self.scores) + len(self.failed)

    def groups(self) -> list[Group]:
        """The answers of each version; what failed comes first."""
        if isinstance(self.versions, Version):
            return [Group(self.versions, None, self.scores)]
        failed = [Group(v, rows, [None] * len(rows)) for v, rows in _numbers(self.failed.items())]
        counting = _numbers(enumerate(self.versions))
        return failed + [Group(v, rows, [self.scores[i] for i in rows]) for v, rows in counting]


def _numbers(pairs: Iterable[tuple[int, Version]]) -> list[tuple[Version, list[int]]]:
    found: dict[int, tuple[Version, list[int]]] = {}
    for i, version in pairs:
        found.setdefault(id(version), (version, []))[1].append(i)
    return list(found.values())
