"""What the machine is doing while a run is made: from Linux's own counters, and NVIDIA's tool."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from time import monotonic

_PROC = Path("/proc")
_GPU = ("nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits")
_MIB = 2**20


class Machine:
    """Looks at the machine; what is counted, it says since it looked before.

    What a system does not tell is left out: on other systems than Linux that is nearly all.

    Args:
        folder: Of the disk to look at.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._has_gpu = shutil.which(_GPU[0]) is not None
        self._before = _counted()
        self._looked_at = monotonic()

    def look(self) -> dict[str, float]:
        """Processor, memory, disk, network and GPUs: shares in percent, sizes in bytes."""
        now, at = _counted(), monotonic()
        seconds = max(at - self._looked_at, 1e-9)
        found = {**_processor(self._before, now), **_memory(), **_disk(self._folder)}
        for name in ("network_in", "network_out", "disk_read", "disk_written"):
            if name in now and name in self._before:
                per_s = (now[name] - self._before[name]) / seconds
                found[f"system/{name}_bytes_per_s"] = max(0.0, per_s)
        if self._has_gpu:
            found |= _gpus()
        self._before, self._looked_at = now, at
        return found


def _processor(before: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    passed = now.get("ticks", 0.0) - before.get("ticks", 0.0)
    if passed <= 0:
        return {}
    idle = now["idle"] - before["idle"]
    return {"system/cpu_percent": 100 * (1 - idle / passed)}


def _counted() -> dict[str, float]:
    """Everything that is counted since the machine or the process began."""
    counted: dict[str, float] = {}
    for line in _lines(_PROC / "stat"):
        if line.startswith("cpu "):
            ticks = [float(word) for word in line.split()[1:9]]
            counted |= {"ticks": sum(ticks), "idle": ticks[3] + ticks[4]}
    for line in _lines(_PROC / "net" / "dev")[2:]:
        name, _, words = line.partition(":")
        if name.strip() != "lo":
            numbers = [float(word) for word in words.split()]
            counted["network_in"] = counted.get("network_in", 0.0) + numbers[0]
            counted["network_out"] = counted.get("network_out", 0.0) + numbers[8]
    for line in _lines(_PROC / "self" / "io"):
        name, _, number = line.partition(": ")
        if name in ("read_bytes", "write_bytes"):
            kind = "disk_read" if name == "read_bytes" else "disk_written"
            counted[kind] = float(number)
    return counted


def _memory() -> dict[str, float]:
    sizes = {}
    for line in _lines(_PROC / "meminfo"):
        name, _, words = line.partition(":")
        sizes[name] = float(words.split()[0]) * 1024
    found = {}
    if "MemTotal" in sizes and "MemAvailable" in sizes:
        used = sizes["MemTotal"] - sizes["MemAvailable"]
        found["system/memory_percent"] = 100 * used / sizes["MemTotal"]
    for line in _lines(_PROC / "self" / "statm")[:1]:
        pages = float(line.split()[1])
        found["system/process_memory_bytes"] = pages * os.sysconf("SC_PAGE_SIZE")
    return found


def _disk(folder: Path) -> dict[str, float]:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return {}
    return {"system/disk_percent": 100 * usage.used / usage.total}


def _gpus() -> dict[str, float]:
    try:
        asked = subprocess.run(_GPU, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    found = {}
    for place, line in enumerate(asked.stdout.strip().splitlines()):
        try:
            busy, used = (float(word) for word in line.split(","))
        except ValueError:  # "[N/A]"
            continue
        found[f"system/gpu_{place}_percent"] = busy
        found[f"system/gpu_{place}_memory_bytes"] = used * _MIB
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
