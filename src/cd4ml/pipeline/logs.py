"""What the steps of a run print: followed while they run, kept when they have ended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs

Listener = Callable[[str, bytes], None]  # step, what it has just printed

_KEPT = 8 * 2**20  # bytes of a log at each end; what lies between is left out
_READ = 1 << 20  # bytes read at a time


class StepLogs:
    """The logs of one run's steps, a file each until the step has ended.

    Args:
        folder: Of this run alone; removed at its end.
        blobs: Where they are kept.
        listener: Is told of new output; nobody by default.
    """

    def __init__(self, folder: Path, blobs: Blobs, listener: Listener | None = None) -> None:
        self._folder = folder
        self._blobs = blobs
        self._listener = listener
        self._told: dict[str, int] = {}  # step -> bytes its listener knows

    def path(self, step: str) -> Path:
        """Where a step's output goes while it runs."""
        return log_path(self._folder, step)

    def follow(self, steps: list[str]) -> None:
        """Tell the listener what these steps have printed since the last time."""
        if self._listener is None:
            return
        for step in steps:
            for chunk in self._new(step):
                self._listener(step, chunk)

    def keep(self, step: str) -> str:
        """Store what a step has printed; returns its address, "" if it was silent."""
        path = self.path(step)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return ""
        if size:
            self.follow([step])
        address = self._stored(path, size) if size else ""
        path.unlink()
        return address

    def end(self) -> None:
        """Nothing more will be printed."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _new(self, step: str) -> list[bytes]:
        path = self.path(step)
        try:
            if path.stat().st_size <= self._told.get(step, 0):
                return []
            with path.open("rb") as file:
                file.seek(self._told.get(step, 0))
                found = file.read(_READ)
                chunks = []
                while found:
                    chunks.append(found)
                    self._told[step] = self._told.get(step, 0) + len(found)
                    found = file.read(_READ)
                return chunks
        except FileNotFoundError:
            return []

    def _stored(self, path: Path, size: int) -> str:
        if size <= 2 * _KEPT:
            return self._blobs.put_file(path)
        with path.open("rb") as file:
            head = file.read(_KEPT)
            file.seek(-_KEPT, os.SEEK_END)
            tail = file.read()
        left_out = f"\n... {size - 2 * _KEPT:,} bytes left out ...\n".encode()
        return self._blobs.put(head + left_out + tail)


def log_path(folder: Path, step: str) -> Path:
    """The file of a step's log below the folder of its run."""
    return folder / f"{step}.log"


def logs_folder(state: Path, run: int) -> Path:
    """The folder of a run's logs while it runs."""
    return state / "runs" / f"{run}.logs"
