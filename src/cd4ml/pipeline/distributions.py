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

import msgspec

from cd4ml.pipeline.environment import Environment
from cd4ml.store.address import address_of_record

FILE = "distributions.json"
OURS = "cd4ml"

_ALWAYS = (OURS, "polars", "numpy")  # what gives a step its inputs and keeps its output
_REQUIRES = re.compile(r"^Requires-Dist: *([A-Za-z0-9._-]+)(.*)$", re.MULTILINE | re.IGNORECASE)
_EXTRA = re.compile(r";.*\bextra\b")
_SEPARATORS = re.compile(r"[-_.]+")


class _Kept(msgspec.Struct, frozen=True):
    key: str
    offered_by: dict[str, tuple[str, ...]]  # module -> distributions
    requires: dict[str, tuple[str, ...]]  # distribution -> distributions


class Distributions:
    """What is installed, by the modules it offers.

    Args:
        environment: Of this process.
        state: Folder in which what was found is kept: to read it takes longer than a step.
    """

    def __init__(self, environment: Environment, state: Path) -> None:
        self._environment = environment
        self._versions = {_normal(n): v for n, v in environment.distributions.items()}
        self._kept = _kept(address_of_record(environment), state)

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
        waiting = list(_ALWAYS)
        for module in modules:
            if module in sys.stdlib_module_names or module == OURS:
                continue
            if module not in self._kept.offered_by:
                return set(self._versions)
            waiting += self._kept.offered_by[module]
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in self._versions and name not in found:
                found.add(name)
                # ours requires what serving, gates and pages need, which no step sees
                waiting += () if name == OURS else self._kept.requires.get(name, ())
        return found


def _kept(key: str, state: Path) -> _Kept:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        kept = msgspec.json.decode((state / FILE).read_bytes(), type=_Kept)
        if kept.key == key:
            return kept
    kept = _Kept(key, *_found())
    fresh = state / f"{FILE}.{os.getpid()}"
    with contextlib.suppress(OSError):  # a read-only state costs time, not correctness
        state.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.encode(kept))
        fresh.replace(state / FILE)
    return kept


def _found() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    offered_by: dict[str, set[str]] = {}
    requires: dict[str, tuple[str, ...]] = {}
    for place in sys.path:
        for folder in sorted(Path(place or ".").glob("*.dist-info")):
            name = _normal(folder.name.partition("-")[0])
            if name in requires:
                continue  # the first on the path counts
            requires[name] = tuple(sorted(_required(folder)))
            for module in _modules(folder):
                offered_by.setdefault(module, set()).add(name)
    return {module: tuple(sorted(names)) for module, names in offered_by.items()}, requires


def _required(folder: Path) -> set[str]:
    text = _text(folder / "METADATA")
    head, _, _ = text.partition("\n\n")
    return {_normal(name) for name, more in _REQUIRES.findall(head) if not _EXTRA.search(more)}


def _modules(folder: Path) -> set[str]:
    """The top-level modules that a distribution offers, by the list of its files."""
    files = _text(folder / "RECORD").splitlines() or _text(folder / "top_level.txt").splitlines()
    tops = {line.partition(",")[0].partition("/")[0] for line in files}
    return {top.partition(".")[0] for top in tops if not top.endswith((".dist-info", ".."))}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()
