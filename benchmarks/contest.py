"""What the benchmarks share: figures, turns of contestants, and the peers' environments.

Only the standard library, so that programs in a peer's environment can import it too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cd4ml-bench"


class Cost(NamedTuple):
    """What something took: seconds on the clock, and of processors in all its processes."""

    wall_s: float
    cpu_s: float


Turn = Callable[[], Mapping[str, Cost]]  # one turn of a contestant; what each part of it cost


def own_settings(home: Path, *, site: Path, actor: str) -> dict[str, str]:
    """Variables by which nobody's own settings count; makes the folder that stands for theirs."""
    home.mkdir()
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(site),
        "CD4ML_ACTOR": actor,
        "OMP_NUM_THREADS": "1",
        **{f"GIT_{who}_NAME": actor for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "bench@example.org" for who in ("AUTHOR", "COMMITTER")},
    }


def figure(name: str, value: float, unit: str, goal: str = "") -> bool | None:
    """Print a figure as a line of JSON; returns whether it holds its goal.

    Args:
        name: What was measured.
        value: Printed with three digits that count.
        unit: Of the value and of the goal.
        goal: "<= 3", ">= 200" or, if the figure is only for information, "".

    Examples:
        >>> figure("a snapshot beside a read", 2.4142, "times as long", "<= 3")
        {"name": "a snapshot beside a read", "value": 2.41, "unit": "times as long", "goal": "<= 3", "holds": true}
        True
    """
    shown = rounded(value)
    holds = keeps(shown, goal) if goal else None
    line = {"name": name, "value": shown, "unit": unit, "goal": goal, "holds": holds}
    print(json.dumps(line), flush=True)
    return holds


def keeps(value: float, goal: str) -> bool:
    """Whether a value keeps to a goal.

    Examples:
        >>> keeps(2.9, "<= 3"), keeps(199, ">= 200")
        (True, False)
    """
    sign, limit = goal.split()
    return {"<=": value <= float(limit), ">=": value >= float(limit)}[sign]


def rounded(value: float) -> float:
    """A value with three digits that count; without a fraction from 100 on.

    Examples:
        >>> rounded(0.012345), rounded(3.14159), rounded(1234.5), rounded(0.0)
        (0.0123, 3.14, 1234, 0)
    """
    short = float(f"{value:.3g}") if abs(value) < 100 else round(value)
    return int(short) if short == int(short) else short


def peer(name: str, version: str) -> None:
    """Print which version of a peer took part."""
    print(json.dumps({"peer": name, "version": version}), flush=True)


def in_turn(turns: Sequence[Turn], rounds: int) -> dict[str, Cost]:
    """The median cost of each part of each contestant; they take turns, round by round."""
    seen: dict[str, list[Cost]] = {}
    for _ in range(rounds):
        for turn in turns:
            for part, cost in turn().items():
                seen.setdefault(part, []).append(cost)
    return {
        part: Cost(*(median(numbers) for numbers in zip(*costs, strict=True)))
        for part, costs in seen.items()
    }


def cost_of(function: Callable[[], object]) -> Cost:
    """What a function costs in this process and those that it starts and waits for."""
    cpu, wall = _cpu_s(), time.perf_counter()
    function()
    return Cost(time.perf_counter() - wall, _cpu_s() - cpu)


def cost_of_command(
    *words: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> tuple[Cost, str]:
    """What a command costs from its start to its end, and what it prints.

    What earlier commands wrote is on the disk before it starts: nobody pays for others.

    Raises:
        RuntimeError: If it fails; the message ends with what it said.
    """
    os.sync()
    said: list[subprocess.CompletedProcess[str]] = []

    def run() -> None:
        ended = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
        said.append(ended)

    cost = cost_of(run)
    if said[0].returncode:
        msg = f"{' '.join(map(str, words))} ended with exit code {said[0].returncode}"
        raise RuntimeError(f"{msg}:\n{said[0].stdout}{said[0].stderr}")
    return cost, said[0].stdout


def _cpu_s() -> float:
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in each)


def seconds_of(work: Callable[[], object], rounds: int) -> float:
    """The median time of a call in seconds; the first one only warms up."""
    work()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return median(took)


@contextmanager
def awake() -> Iterator[bool]:
    """Let no core sleep (the kernel's PM QoS), so that nobody waits until one is awake again.

    Gives whether it could be done: only root may.
    """
    try:
        latency = os.open("/dev/cpu_dma_latency", os.O_WRONLY)
    except OSError:
        yield False
        return
    try:
        os.write(latency, struct.pack("i", 0))  # microseconds; holds while the file is open
        yield True
    finally:
        os.close(latency)


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder, always on the same disk, removed with everything in it afterwards."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="scratch-", dir=CACHE))
    try:
        yield folder
    finally:
        remove(folder)


def remove(path: Path) -> None:
    """Remove a file or folder, also what a peer made read-only; nothing if it is not there."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for where, _, _ in os.walk(path):
        os.chmod(where, 0o700)
    shutil.rmtree(path)


def environment(name: str, *requirements: str) -> Path:
    """The folder of programs of an environment with some packages, made once and kept.

    Args:
        name: Of the peer.
        requirements: As pip takes them; others make another environment.
    """
    key = hashlib.sha256(repr((requirements, sys.version_info[:2])).encode()).hexdigest()[:8]
    folder = CACHE / f"{name}-{key}"
    with one_at_a_time(folder):
        if not (folder / "made").exists():
            print(f"making an environment for {name} in {folder}", file=sys.stderr)
            venv.create(folder, clear=True, with_pip=True)
            pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--quiet"]
            subprocess.run([*pip, "--disable-pip-version-check", *requirements], check=True)
            (folder / "made").touch()
    return folder / "bin"


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Make a folder that other processes may want too: they wait until it is made."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def debian(package: str, command: str) -> str:
    """Where a command of a Debian package is, installed if this user may; "" if it is not there."""
    found = shutil.which(command)
    if found is None and shutil.which("apt-get"):
        who = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
        if not who or shutil.which("sudo"):
            install = [*who, "apt-get", "install", "--yes", "--quiet", package]
            subprocess.run(install, stdout=sys.stderr, check=False)
        found = shutil.which(command)
    if found is None:
        print(f"{command} is left out: apt-get install {package}", file=sys.stderr)
    return found or ""
