"""The only place that knows what time it is.

Everything that asks for the time gets a clock. In a rehearsal the clock is
simulated and shared by all processes of the project through one small file, so
that a year of production passes in minutes. Leases are the exception: they
measure how long a process has been silent, which no rehearsal speeds up, and
use `machine_time` under every clock.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from cd4ml.errors import Corrupted

if TYPE_CHECKING:
    from pathlib import Path

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIZE = 8  # bytes


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
    reader pays no system call. It never goes back, whoever moves it.

    Raises:
        Corrupted: If the file is no clock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("r+b") as file:
            if os.fstat(file.fileno()).st_size != _SIZE:
                msg = f"the simulated clock {path} is not what was stored there"
                raise Corrupted(msg, hint="remove the file to go on in the machine's time")
            # one aligned eight-byte load or store through this view is seen whole by other
            # processes; struct's are not: it copies byte by byte, and clears first
            self._microseconds = memoryview(mmap.mmap(file.fileno(), _SIZE)).cast("q")

    @classmethod
    def create(cls, path: Path, start: datetime) -> SharedClock:
        """A new clock at `start`; an existing one is kept as it is."""
        import tempfile

        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with tempfile.NamedTemporaryFile(dir=path.parent) as fresh:
                fresh.write(struct.pack("q", microseconds(start)))
                fresh.flush()
                with suppress(FileExistsError):  # another process was first
                    os.link(fresh.name, path)
        return cls(path)

    def now(self) -> datetime:
        """The simulated moment."""
        return _EPOCH + timedelta(microseconds=self._microseconds[0])

    def machine_time(self) -> datetime:
        """The machine's time: leases are not simulated."""
        return datetime.now(UTC)

    def advance_to(self, moment: datetime) -> None:
        """Move on to `moment` for all processes; an earlier moment changes nothing."""
        with self._path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # of two who look and move, one comes after
            if moment > self.now():
                self._microseconds[0] = microseconds(moment)


def open_clock(state: Path) -> Clock:
    """The clock of a project: the shared simulated one if a rehearsal left it, else the machine's."""
    path = state / "clock"
    return SharedClock(path) if path.exists() else SystemClock()


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970.

    Examples:
        >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
        1000000
    """
    since = moment - _EPOCH  # its parts: a division of times takes three times as long
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
