"""How far the prediction log is behind a worker's segment."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

import sqlalchemy as sa

from cd4ml.records.log_file import LogMark
from cd4ml.store.tables import TABLES

_MOST = 1000  # places that are remembered: half an hour of a log that nobody collects
_MARKS = TABLES[LogMark]


class Place(NamedTuple):
    """How far a segment was written."""

    segment: str
    size: int


class Lag:
    """The age of the oldest answer in a segment that no collector has taken.

    Ages are as exact as the looks are frequent.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Place]] = deque()
        self._last: Place | None = None

    @property
    def seconds(self) -> float:
        """Its age; 0 if every answer was collected."""
        return time.monotonic() - self._waiting[0][0] if self._waiting else 0.0

    def note(self, written: Place) -> None:
        """Note how far the segment is written."""
        is_new = written != self._last and written.size > 0
        if is_new and len(self._waiting) < _MOST:
            self._waiting.append((time.monotonic(), written))
            self._last = written

    def forget(self, connection: sa.Connection) -> None:
        """Forget what was collected."""
        names = {place.segment for _, place in self._waiting}
        if not names:
            return
        of_them = sa.select(_MARKS.c.name, _MARKS.c.position).where(_MARKS.c.name.in_(names))
        drained = {row.name: row.position for row in connection.execute(of_them)}
        while self._waiting:
            place = self._waiting[0][1]
            if place.size > drained.get(place.segment, 0):
                return
            self._waiting.popleft()
