"""What this machine has, as far as this process may use it."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from pathlib import Path

from cd4ml.records.hardware import Hardware

_UNLIMITED = 1 << 60  # bytes; a limit beyond it is none
_PATIENCE_S = 10
_CGROUP = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@cache
def present_hardware() -> Hardware:
    """The CPUs, memory and GPUs that this process may use.

    Linux says all of it; other systems may leave the CPU's model and the memory unsaid.
    """
    return Hardware(
        cpu=_cpu_model(), cpus=usable_cpus(), memory=usable_memory(), gpus=tuple(_gpus())
    )


def usable_cpus() -> int:
    """How many CPUs this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def usable_memory() -> int:
    """Bytes of memory of the machine, or of the container this process is in; 0 if unknown."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
    return min([total, *_container_limits()])


def _container_limits() -> list[int]:
    limits = []
    for path in _CGROUP:
        text = _text(Path(path)).strip()
        if text.isdigit() and int(text) < _UNLIMITED:
            limits.append(int(text))
    return limits


def _cpu_model() -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor()


def _gpus() -> list[str]:
    """The names of the NVIDIA GPUs that are there, as far as CUDA_VISIBLE_DEVICES shows them."""
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return []
    names = _named_gpus() or ["NVIDIA GPU" for _ in Path("/dev").glob("nvidia[0-9]*")]
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return names
    return names[: len([device for device in shown.split(",") if device.strip() not in ("", "-1")])]


def _named_gpus() -> list[str]:
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
