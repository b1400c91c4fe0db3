"""What a source brought: files in a folder of their own, until a version is made of them."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from cd4ml.records.contract import Contract
from cd4ml.records.settings import DataSettings


class Wanted(NamedTuple):
    """What to read, and where to put it."""

    settings: DataSettings
    root: Path  # the project's folder: relative paths begin there
    folder: Path  # empty; takes the files
    contract: Contract | None
    state: Mapping[str, str]  # in which the source was when last read; empty: read in any case


class Arrival(NamedTuple):
    """Files that came, what they came from, and the state that the source was in."""

    pattern: str  # of the files in the folder
    words: str  # the source, without secrets
    state: dict[str, str] = {}  # noqa: RUF012 - of a tuple, never changed
    note: str = ""  # what the source calls this state of itself


@contextmanager
def arrivals(state: Path) -> Iterator[Path]:
    """An empty folder below `state` that is gone at the end, at the latest when the next one comes.

    What a process left behind that was killed is removed by whoever comes after it.
    """
    place = state / "arrivals"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # nobody removes a folder before it is locked
        _remove_left_behind(place)
        folder = Path(tempfile.mkdtemp(dir=place))
        held = _held(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def _remove_left_behind(place: Path) -> None:
    for folder in place.iterdir():
        if folder.is_dir() and (held := _held(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def _held(folder: Path) -> int | None:
    """A lock on a folder that the system lets go of with the process; None if another has it."""
    with suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor
    return None
