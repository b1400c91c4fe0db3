"""Numbers that the workers of an endpoint write side by side in memory, and any of them reads.

The memory belongs to no file: a full disk does not touch it, and nothing of it is left behind. It
lives as long as one of the processes that share it, so what a killed worker had counted is kept,
and counted on by the worker that takes its place.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
from collections.abc import Iterable

_SLOT_BYTES = 2**20  # only what is written to takes memory
_CELLS = 2**14
_CELL_BYTES = 8
_HEADER = 4  # cells
_USED, _CONNECTIONS, _IS_THERE = range(3)  # of the header: bytes of names, and what it says
_NAMES_AT = _CELLS * _CELL_BYTES

SPILLED = "cd4ml_series_spilled_total"


class Board:
    """Places for so many writers.

    Args:
        n_slots: How many writers.
        descriptor: Of memory that processes share (`shared_memory`); without it, it is this
            process's alone.
    """

    def __init__(self, n_slots: int, descriptor: int = -1) -> None:
        memory = memoryview(mmap.mmap(descriptor, n_slots * _SLOT_BYTES))
        parts = [memory[i * _SLOT_BYTES : (i + 1) * _SLOT_BYTES] for i in range(n_slots)]
        self.slots = [Slot(part) for part in parts]

    def others_of(self, number: int) -> list[Slot]:
        """Every slot but one."""
        return [slot for i, slot in enumerate(self.slots) if i != number]


class Slot:
    """One writer's numbers by name; one process at a time writes, any process reads.

    A number is eight bytes that are written at once: nobody reads half of one. Each is written by
    one thread at a time.
    """

    def __init__(self, memory: memoryview) -> None:
        self.cells = memory[:_NAMES_AT].cast("d")
        self._names = memory[_NAMES_AT:]
        self._naming = threading.Lock()
        self._at: dict[str, int] = {}

    def cell(self, name: str) -> int:
        """Where in `cells` the number of this name is; it begins with 0.

        When there is no place for more names, the number of those that have none is.
        """
        with self._naming:
            if not self._at:  # a predecessor's go on
                self._at = {known: at for at, known in self._known()}
            if SPILLED not in self._at:
                self._add(SPILLED)
            return self._at[name] if name in self._at or self._add(name) else self._at[SPILLED]

    def read(self) -> dict[str, float]:
        """Every number by its name."""
        return {name: self.cells[at] for at, name in self._known()}

    def clear(self, names: Iterable[str]) -> None:
        """Set those of these numbers that are there to 0."""
        meant = set(names)
        for at, name in self._known():
            if name in meant:
                self.cells[at] = 0.0

    @property
    def n_connections(self) -> int:
        """How many connections the writer has open."""
        return int(self.cells[_CONNECTIONS])

    @n_connections.setter
    def n_connections(self, n: int) -> None:
        self.cells[_CONNECTIONS] = n

    @property
    def is_there(self) -> bool:
        """Whether its writer accepts connections."""
        return bool(self.cells[_IS_THERE])

    @is_there.setter
    def is_there(self, is_there: bool) -> None:
        self.cells[_IS_THERE] = is_there

    def _known(self) -> list[tuple[int, str]]:
        used = int(self.cells[_USED])
        return list(enumerate(bytes(self._names[:used]).decode().split("\n")[:-1], _HEADER))

    def _add(self, name: str) -> bool:
        used, text = int(self.cells[_USED]), f"{name}\n".encode()
        at = _HEADER + len(self._at)
        if at >= _CELLS or used + len(text) > len(self._names):
            return False
        self._names[used : used + len(text)] = text
        self.cells[_USED] = used + len(text)  # last: who reads meanwhile sees whole names
        self._at[name] = at
        return True


def shared_memory(n_slots: int) -> int:
    """The descriptor of memory for a board, which other processes can be started with."""
    size = n_slots * _SLOT_BYTES
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("cd4ml-board")
        os.ftruncate(descriptor, size)
        return descriptor
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(n_slots):  # written, not only sized: else a full disk kills us
            file.write(bytes(_SLOT_BYTES))
        return os.dup(file.fileno())
