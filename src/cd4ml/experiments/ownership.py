"""Which process is at work on a search: one at a time, taken over when it has died.

On one machine a file's lock says so at once, which the system lets go of whatever ends the
process. Elsewhere the lease in the database has to run out.
"""

from __future__ import annotations

import fcntl
import os
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cd4ml.errors import Conflict
from cd4ml.records.search import Search
from cd4ml.store import rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

LEASE_S = 30.0


class Ownership:
    """The lock that a process at work on a search holds.

    Raises:
        BlockingIOError: If a process of this machine has it.
    """

    def __init__(self, state: Path, search: int) -> None:
        path = _path(state, search)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            self._file.close()
            raise
        self.name = f"{socket.gethostname()}:{os.getpid()}"

    def end(self) -> None:
        """Somebody else may work on it."""
        self._file.close()  # the file stays: who removed it could part it from its lock


def take(
    connection: Connection, search: Search, *, state: Path, machine_time: datetime
) -> tuple[Search, Ownership]:
    """Become the process that is at work on a search that no other is at work on.

    Args:
        connection: Of a write transaction.
        search: As it is now.
        state: The project's folder for what cd4ml keeps.
        machine_time: Now, by the machine.

    Raises:
        Conflict: If another process is at work on it.
    """
    if not _is_free(search, state, machine_time):
        raise _held(search)
    try:
        held = Ownership(state, search.number)
    except BlockingIOError:
        raise _held(search) from None
    taken = msgspec.structs.replace(
        search,
        state="running",
        owner=held.name,
        lease_until=machine_time + timedelta(seconds=LEASE_S),
    )
    rows.put(connection, taken)
    return taken, held


def is_interrupted(search: Search, state: Path) -> bool:
    """Whether the process of a search that says `running` has ended, as far as can be seen here."""
    return search.state == "running" and _has_ended(search, state)


def require_own(connection: Connection, search: Search) -> Search:
    """The search as it is stored, if it still is this process's.

    Raises:
        Conflict: If another process has taken it over.
    """
    current = rows.get(connection, Search, search.number, lock=True)
    if (current.state, current.owner) != ("running", search.owner):
        msg = f"{search.ref} is not {search.owner}'s any more: {current.owner} has taken it over"
        raise Conflict(msg, hint="its lease had run out; what the other process does counts")
    return current


def _is_free(search: Search, state: Path, machine_time: datetime) -> bool:
    if search.state != "running" or search.lease_until is None:
        return True
    return search.lease_until < machine_time or _has_ended(search, state)


def _has_ended(search: Search, state: Path) -> bool:
    try:
        file = _path(state, search.number).open("r+")
    except FileNotFoundError:
        return False  # it is another machine's
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _held(search: Search) -> Conflict:
    msg = f"{search.owner or 'another process'} is at work on {search.ref}"
    return Conflict(msg, hint=f"cd4ml search show {search.number}")


def _path(state: Path, search: int) -> Path:
    return state / "searches" / f"{search}.lock"
