"""How much memory processes take (Linux; elsewhere nobody says, and no limit holds)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PEAK = re.compile(rb"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_LONG = 1 << 16  # bytes; a status has some 1,500


def memory_of_group(leader: int, worth_a_closer_look: int = 0) -> int:
    """Bytes of memory of a process and of all that it has started.

    Args:
        leader: Its process id.
        worth_a_closer_look: Up to so many bytes a quick sum will do, which counts what
            processes share once for each of them; beyond, the exact one is taken.
    """
    processes = list(_family(leader))
    quick = sum(_resident(process) for process in processes)
    if quick <= worth_a_closer_look:
        return quick
    return sum(_share(process) for process in processes)


def reset_peak() -> None:
    """Begin to measure the peak of this process's memory anew, where the system can."""
    try:
        descriptor = os.open("/proc/self/clear_refs", os.O_WRONLY)
        try:
            os.write(descriptor, b"5")
        finally:
            os.close(descriptor)
    except OSError:
        return  # the peak is then that of the process's whole life


def peak() -> int:
    """Bytes of memory that this process took at most since `reset_peak`."""
    found = _PEAK.search(_status())
    if found:
        return int(found[1]) * 1024
    import resource
    import sys

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _status() -> bytes:
    try:
        descriptor = os.open("/proc/self/status", os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _LONG)
    finally:
        os.close(descriptor)


def _family(process: int) -> Iterator[int]:
    yield process
    for task in _listed(f"/proc/{process}/task"):
        for line in _lines(f"/proc/{process}/task/{task}/children"):
            for child in line.split():
                yield from _family(int(child))


def _resident(process: int) -> int:
    for line in _lines(f"/proc/{process}/statm"):
        return int(line.split()[1]) * _PAGE
    return 0


def _share(process: int) -> int:
    for line in _lines(f"/proc/{process}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return _resident(process)


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # the process has ended meanwhile
        return []
