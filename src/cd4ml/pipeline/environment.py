"""What the code runs in: Python, the machine's kind, and the installed distributions."""

from __future__ import annotations

import os
import platform
import sys
from itertools import filterfalse

import msgspec

_METADATA = (".dist-info", ".egg-info")
_INSTALLED = ("site-packages", "dist-packages")

# what decides results though it is no code: the order of sets, and how sums are split
VARIABLES = (
    "PYTHONHASHSEED",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment; its content address stands in every run and every fingerprint."""

    python: str
    implementation: str
    machine: str
    distributions: dict[str, str]  # name -> version


def present_environment() -> Environment:
    """The environment of this process.

    Distributions are read from the names of their metadata folders, which is a hundred
    times faster than reading the metadata and enough to tell versions apart.
    """
    return Environment(
        python=platform.python_version(),
        implementation=sys.implementation.name,
        machine=f"{sys.platform}-{platform.machine()}",
        distributions=dict(sorted(_distributions().items())),
    )


def present_variables() -> dict[str, str]:
    """The environment variables of this process that decide results, as far as they are set."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def differences(recorded: Environment, present: Environment) -> tuple[str, ...]:
    """How one environment differs from another, in words, other versions first; () if it does not.

    Examples:
        >>> old = Environment(
        ...     python="3.11.7",
        ...     implementation="cpython",
        ...     machine="linux-x86_64",
        ...     distributions={"numpy": "2.2.0", "polars": "1.30.0"},
        ... )
        >>> new = msgspec.structs.replace(
        ...     old, python="3.12.1", distributions={"numpy": "2.3.0", "scipy": "1.15.0"}
        ... )
        >>> for difference in differences(old, new):
        ...     print(difference)
        Python 3.12.1 instead of 3.11.7
        numpy 2.3.0 instead of 2.2.0
        polars 1.30.0 is missing
        scipy 1.15.0 was not there
    """
    found = []
    if recorded.python != present.python:
        found.append(f"Python {present.python} instead of {recorded.python}")
    if recorded.implementation != present.implementation:
        found.append(f"{present.implementation} instead of {recorded.implementation}")
    if recorded.machine != present.machine:
        found.append(f"{present.machine} instead of {recorded.machine}")
    before, now = recorded.distributions, present.distributions
    both = sorted(before.keys() & now.keys())
    found += [f"{name} {now[name]} instead of {before[name]}" for name in both
              if now[name] != before[name]]  # fmt: skip
    found += [f"{name} {before[name]} is missing" for name in sorted(before.keys() - now.keys())]
    found += [f"{name} {now[name]} was not there" for name in sorted(now.keys() - before.keys())]
    return tuple(found)


def _distributions() -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in filterfalse(_is_vendored, sys.path):
        for name in _listed(folder or "."):
            stem, suffix = os.path.splitext(name)
            parts = stem.split("-")
            if suffix in _METADATA and len(parts) >= 2:
                found.setdefault(parts[0].lower(), parts[1])  # the first on the path counts
    return found


def _is_vendored(folder: str) -> bool:
    """Whether a folder is a library's own, inside what is installed (Ray has one)."""
    return any(f"{os.sep}{name}{os.sep}" in folder.rstrip(os.sep) for name in _INSTALLED)


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # sys.path may name zip files and folders that do not exist
