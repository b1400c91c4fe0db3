"""Answers that serving processes sent to the blob store: objects in order, drained and removed."""

from __future__ import annotations

import re
from collections.abc import Mapping
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

    @property
    def mark(self) -> str:
        """The name under which the log notes how far the worker's objects were drained."""
        return _MARK + self.worker


def name_of(worker: str, sequence: int) -> str:
    """The object's name.

    Examples:
        >>> name_of("00ff00ff00ff00ff", 7)
        '00ff00ff00ff00ff/000000000007'
    """
    return f"{worker}/{sequence:012}"


def waiting(store: Blobs, marks: Mapping[str, int]) -> tuple[list[Shipped], list[Shipped]]:
    """The objects to drain, in order and not too many, and those that were drained before."""
    found = [
        Shipped(each.name, match[1], int(match[2]))
        for each in store.names()
        if (match := _NAME.fullmatch(each.name))
    ]
    found.sort()
    fresh = [each for each in found if each.sequence > marks.get(each.mark, 0)]
    return fresh[:_AT_ONCE], [e for e in found if e.sequence <= marks.get(e.mark, 0)]
