"""Which installed distributions a step depends on: those it imports, and what they require.

Installing or upgrading something that no step imports computes nothing again. Where code
cannot be followed, every installed distribution counts.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from threading import get_ident

import msgspec

from cd4ml.pipeline.environment import Environment
from cd4ml.store.address import address_of_record

FILE = "distributions.json"
OURS = "cd4ml"

_ALWAYS = (OURS, "polars", "numpy")  # what gives a step its inputs and keeps its output
_REQUIRES = re.compile(r"^Requires-Dist: *([A-Za-z0-9._-]+)(.*)$", re.MULTILINE | re.IGNORECASE)
_EXTRA = re.compile(r";.*\bextra\b")
_SEPARATORS = re.compile(r"[-_.]+")


class _Kept(msgspec.Struct):
    """What was found so far, in one environment."""

    key: str
    offered_by: dict[str, tuple[str, ...]] = {}  # module -> distributions
    requires: dict[str, tuple[str, ...]] = {}  # distribution -> distributions


class Distributions:
    """What is installed, by the modules it offers.

    Args:
        environment: Of this process.
        state: Folder in which what was found is kept: to look for it takes longer than a step.
    """

    def __init__(self, environment: Environment, state: Path) -> None:
        self._environment = environment
        self._versions = {_normal(n): v for n, v in environment.distributions.items()}
        self._state = state
        self._kept = _read(address_of_record(environment), state)
        self._folders: dict[str, Path] | None = None

    def address(self, modules: Iterable[str], *, is_open: bool) -> str:
        """The address of Python, the machine's kind, and the distributions behind some modules.

        Args:
            modules: Top-level names that are imported, of Python's own or of somebody else.
            is_open: Whether others may be imported as well: then all distributions count.
        """
        names = self._versions if is_open else self.behind(modules)
        environment = self._environment
        return address_of_record(
            [
                environment.python,
                environment.implementation,
                environment.machine,
                {name: self._versions[name] for name in sorted(names) if name in self._versions},
            ]
        )

    def behind(self, modules: Iterable[str]) -> set[str]:
        """The distributions that offer the modules, and all that these require.

        What they require only for an extra is not among them. All, if nobody knows whose one of
        the modules is.
        """
        known = len(self._kept.offered_by), len(self._kept.requires)
        found = self._behind(modules)
        if known != (len(self._kept.offered_by), len(self._kept.requires)):
            _write(self._kept, self._state)
        return found

    def _behind(self, modules: Iterable[str]) -> set[str]:
        waiting = list(_ALWAYS)
        for module in sorted(set(modules) - sys.stdlib_module_names - {OURS}):
            offering = self._offering(module)
            if not offering:
                return set(self._versions)
            waiting += offering
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in self._versions and name not in found:
                found.add(name)
                # ours requires what serving, gates and pages need, which no step sees
                waiting += () if name == OURS else self._required_by(name)
        return found

    def _offering(self, module: str) -> tuple[str, ...]:
        if module not in self._kept.offered_by:
            folders = self._installed()
            own = folders.get(_normal(module))  # most are called like their module
            if own is not None and _offers(own, module):
                found = [_normal(module)]
            else:
                found = [name for name, folder in folders.items() if _offers(folder, module)]
            self._kept.offered_by[module] = tuple(sorted(found))
        return self._kept.offered_by[module]

    def _required_by(self, name: str) -> tuple[str, ...]:
        if name not in self._kept.requires:
            folder = self._installed().get(name)
            self._kept.requires[name] = tuple(sorted(_required(folder))) if folder else ()
        return self._kept.requires[name]

    def _installed(self) -> dict[str, Path]:
        """Distribution -> the folder of what is said about it; the first on the path counts."""
        if self._folders is None:
            self._folders = {}
            for place in sys.path:
                for folder in sorted(Path(place or ".").glob("*.dist-info")):
                    self._folders.setdefault(_normal(folder.name.partition("-")[0]), folder)
        return self._folders


def _read(key: str, state: Path) -> _Kept:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        kept = msgspec.json.decode((state / FILE).read_bytes(), type=_Kept)
        if kept.key == key:
            return kept
    return _Kept(key)


def _write(kept: _Kept, state: Path) -> None:
    fresh = state / f"{FILE}.{os.getpid()}-{get_ident()}"
    with contextlib.suppress(OSError):  # a read-only state costs time, not correctness
        state.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.encode(kept))
        fresh.replace(state / FILE)


def _required(folder: Path) -> set[str]:
    head, _, _ = _bytes(folder / "METADATA").decode(errors="replace").partition("\n\n")
    return {_normal(name) for name, more in _REQUIRES.findall(head) if not _EXTRA.search(more)}


def _offers(folder: Path, module: str) -> bool:
    """Whether a top-level module or package is among a distribution's files."""
    name = module.encode()
    files = b"\n" + _bytes(folder / "RECORD")
    if len(files) > 1:
        return b"\n" + name + b"/" in files or b"\n" + name + b"." in files
    return name in _bytes(folder / "top_level.txt").split()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()
