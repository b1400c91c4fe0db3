"""The only place that knows what time it is.

Everything that asks for the time gets a clock. In a rehearsal the clock is
simulated and shared by all processes of the project through one small file, so
that a year of production passes in minutes. Leases are the exception: they
measure how long a process has been silent, which no rehearsal speeds up, and
use `machine_time` under every clock.
"""

from __future__ import annotations

import mmap
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT64 = struct.Struct("<q")


class Clock(Protocol):
    """Tells the time, in aware UTC."""

    def now(self) -> datetime:
        """The project's time."""

    def machine_time(self) -> datetime:
        """The machine's time, for leases only."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment."""
        return datetime.now(UTC)

    def machine_time(self) -> datetime:
        """The present moment."""
        return datetime.now(UTC)


class SimulatedClock:
    """A clock that stands still until it is moved, within one process.

    Examples:
        >>> clock = SimulatedClock(datetime(2013, 2, 1, tzinfo=UTC))
        >>> clock.advance_to(datetime(2013, 2, 2, tzinfo=UTC))
        >>> clock.now().day
        2
    """

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        """The simulated moment."""
        return self._now

    def machine_time(self) -> datetime:
        """The machine's time: leases are not simulated."""
        return datetime.now(UTC)

    def advance_to(self, moment: datetime) -> None:
        """Move on to `moment`; an earlier moment leaves the clock where it is."""
        self._now = max(self._now, moment)


class SharedClock:
    """A simulated clock that every process of a project reads from one file.

    The file holds eight bytes, microseconds since 1970, mapped into memory: a
    reader pays no system call, and an aligned eight-byte store is seen whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _INT64.size)

    @classmethod
    def create(cls, path: Path, start: datetime) -> SharedClock:
        """A new clock at `start`; an existing one is kept as it is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            fresh = path.with_suffix(".new")
            fresh.write_bytes(_INT64.pack(_microseconds(start)))
            fresh.replace(path)
        return cls(path)

    def now(self) -> datetime:
        """The simulated moment."""
        return _EPOCH + timedelta(microseconds=_INT64.unpack_from(self._map)[0])

    def machine_time(self) -> datetime:
        """The machine's time: leases are not simulated."""
        return datetime.now(UTC)

    def advance_to(self, moment: datetime) -> None:
        """Move on to `moment` for all processes; an earlier moment changes nothing."""
        if moment > self.now():
            _INT64.pack_into(self._map, 0, _microseconds(moment))


def open_clock(state: Path) -> Clock:
    """The clock of a project: the shared simulated one if a rehearsal left it, else the machine's."""
    path = state / "clock"
    return SharedClock(path) if path.exists() else SystemClock()


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
