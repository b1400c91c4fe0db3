"""Answers that serving processes sent to the blob store: objects, drained once and removed.

Objects of a worker need not become visible in the order of their numbers: one that failed may
arrive later, one that was hidden may come back. So it is noted which numbers were collected, as
stretches without a gap, a mark each; beside them a mark a worker counts its objects, so that two
collectors that took different ones do not both commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cd4ml.store.blobs import Blobs

FOLDER = "shipped"

_MARK = "shipped "
_NAME = re.compile(r"([0-9a-f]{16})/(\d{12})")
_AT_ONCE = 2000  # objects in one commit


class Shipped(NamedTuple):
    """One object: the lines of some requests that one worker answered."""

    name: str
    worker: str
    sequence: int


class Taken(NamedTuple):
    """What notes that some objects were collected: marks to put, and those they replace."""

    marks: dict[str, int]
    replaced: list[str]


def name_of(worker: str, sequence: int) -> str:
    """The object's name.

    Examples:
        >>> name_of("00ff00ff00ff00ff", 7)
        '00ff00ff00ff00ff/000000000007'
    """
    return f"{worker}/{sequence:012}"


def waiting(store: Blobs, marks: Mapping[str, int]) -> tuple[list[Shipped], list[Shipped]]:
    """The objects to drain, in order and not too many, and those that were drained before."""
    found = sorted(
        Shipped(each.name, match[1], int(match[2]))
        for each in store.names()
        if (match := _NAME.fullmatch(each.name))
    )
    known = {worker: _collected(worker, marks) for worker in {each.worker for each in found}}
    drained = [each for each in found if _has(known[each.worker], each.sequence)]
    gone = set(drained)
    return [each for each in found if each not in gone][:_AT_ONCE], drained


def taken(objects: Iterable[Shipped], marks: Mapping[str, int]) -> Taken:
    """How it is noted that objects were collected which were not before.

    Examples:
        >>> def one(sequence):
        ...     return Shipped("", "ab", sequence)
        >>> first = taken([one(1), one(2), one(4)], {}).marks
        >>> first
        {'shipped ab 1': 2, 'shipped ab 4': 4, 'shipped ab': 3}
        >>> taken([one(3)], first)
        Taken(marks={'shipped ab 1': 4, 'shipped ab': 4}, replaced=['shipped ab 4'])
    """
    put: dict[str, int] = {}
    replaced: list[str] = []
    by_worker: dict[str, list[int]] = {}
    for each in objects:
        by_worker.setdefault(each.worker, []).append(each.sequence)
    for worker, sequences in by_worker.items():
        before = _collected(worker, marks)
        after = _with(before, sequences)
        put |= {
            _stretch(worker, first): last
            for first, last in after.items()
            if before.get(first) != last
        }
        replaced += [_stretch(worker, first) for first in before if first not in after]
        put[_MARK + worker] = marks.get(_MARK + worker, 0) + len(sequences)
    return Taken(put, replaced)


def _stretch(worker: str, first: int) -> str:
    return f"{_MARK}{worker} {first}"


def _collected(worker: str, marks: Mapping[str, int]) -> dict[int, int]:
    """The first number of each stretch -> its last."""
    begin = f"{_MARK}{worker} "
    return {
        int(name.removeprefix(begin)): last
        for name, last in marks.items()
        if name.startswith(begin)
    }


def _has(stretches: Mapping[int, int], sequence: int) -> bool:
    return any(first <= sequence <= last for first, last in stretches.items())


def _with(stretches: Mapping[int, int], sequences: Iterable[int]) -> dict[int, int]:
    """The stretches with some more numbers, those that touch made one."""
    joined: dict[int, int] = {}
    end = None
    for first, last in sorted([*stretches.items(), *((each, each) for each in sequences)]):
        if end is not None and first <= joined[end] + 1:
            joined[end] = max(joined[end], last)
        else:
            end, joined[first] = first, last
    return joined
