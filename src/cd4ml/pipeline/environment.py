"""What the code runs in: Python, the machine's kind, and the installed distributions."""

from __future__ import annotations

import os
import platform
import sys

import msgspec

_METADATA = (".dist-info", ".egg-info")


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


def _distributions() -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in sys.path:
        for name in _listed(folder or "."):
            stem, suffix = os.path.splitext(name)
            parts = stem.split("-")
            if suffix in _METADATA and len(parts) >= 2:
                found.setdefault(parts[0].lower(), parts[1])  # the first on the path counts
    return found


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # sys.path may name zip files and folders that do not exist
