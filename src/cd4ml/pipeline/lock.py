"""The environment as a lock: what an installer takes to make it again.

A lock is the text of a requirements file: every installed distribution with its exact
version, with the hashes that the project's own lock file has for it, or with the address it
was installed from. What came from a folder of the machine (an editable install) is named in
a comment: no registry gives it back.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.pipeline.environment import Environment
from cd4ml.store.address import address_of_record

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs

FILE = "lock.json"
_LOCK_FILES = ("uv.lock", "pylock.toml", "requirements*.txt")
_LOCAL = "# not from a registry: "
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=(sha\d+:[0-9a-f]+)")

Hashes = dict[tuple[str, str], list[str]]  # (name, version) -> "sha256:...", of all its files


class _Kept(msgspec.Struct, frozen=True):
    key: str
    address: str


def lock_text(environment: Environment, *, hashes: Hashes, sources: dict[str, str]) -> str:
    """The lock of an environment.

    Args:
        environment: Which.
        hashes: Of the files of distributions, as far as they are known.
        sources: Name -> the address a distribution was installed from, "" for a folder of
            this machine; those that came from a registry are not in it.

    Examples:
        >>> found = Environment(
        ...     python="3.11.7",
        ...     implementation="cpython",
        ...     machine="linux-x86_64",
        ...     distributions={"mine": "0.1", "numpy": "2.2.0"},
        ... )
        >>> print(lock_text(found, hashes={("numpy", "2.2.0"): ["sha256:aa"]}, sources={"mine": ""}))
        # Python 3.11.7, cpython on linux-x86_64
        # not from a registry: mine==0.1
        numpy==2.2.0 --hash=sha256:aa
    """
    head = f"# Python {environment.python}, {environment.implementation} on {environment.machine}"
    lines = [
        _line(normal(name), version, hashes, sources)
        for name, version in environment.distributions.items()
    ]
    return "\n".join([head, *sorted(lines), ""])


def kept_lock(environment: Environment, folder: Path, *, state: Path, blobs: Blobs) -> str:
    """The address of the lock of this process's environment, stored if it is not yet.

    What was found is noted in the project's state under everything it was made from: a lock
    file of a thousand distributions takes longer to read than a run without news.

    Args:
        environment: That of this process.
        folder: The project's, in or above which its own lock files lie.
        state: Where the note is kept.
        blobs: Where the lock is kept.
    """
    files = list(lock_files(folder))
    key = address_of_record([environment, [_stamp(path) for path in files]])
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        kept = msgspec.json.decode((state / FILE).read_bytes(), type=_Kept)
        if kept.key == key and blobs.has(kept.address):
            return kept.address
    text = lock_text(environment, hashes=hashes_in(files), sources=direct_sources(sys.path))
    kept = _Kept(key, blobs.put(text.encode()))
    fresh = state / f"{FILE}.{os.getpid()}"
    with contextlib.suppress(OSError):  # a read-only state costs time, not correctness
        state.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.encode(kept))
        fresh.replace(state / FILE)
    return kept.address


def requirements(lock: str) -> str:
    """The part of a lock that an installer takes."""
    return "".join(f"{line}\n" for line in lock.splitlines() if line and not line.startswith("#"))


def local(lock: str) -> dict[str, str]:
    """Name -> version of the distributions that no registry gives back.

    Examples:
        >>> local("# not from a registry: mine==0.1\\nnumpy==2.2.0\\n")
        {'mine': '0.1'}
    """
    lines = [line.removeprefix(_LOCAL) for line in lock.splitlines() if line.startswith(_LOCAL)]
    return dict(line.split("==", 1) for line in lines)  # type: ignore[arg-type, misc]


def lock_files(folder: Path) -> Iterator[Path]:
    """The project's own lock files: in its folder, else above it up to the repository's top."""
    for place in (folder, *folder.parents):
        found = [path for name in _LOCK_FILES for path in sorted(place.glob(name))]
        if found or (place / ".git").exists():
            yield from found
            return


def hashes_in(files: Iterable[Path]) -> Hashes:
    """The hashes that lock files name; files that are none are passed over."""
    found: Hashes = {}
    for path in files:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            text = path.read_text()
            pinned = _in_requirements(text) if path.suffix == ".txt" else _in_toml(text)
            for name, version, hashes in pinned:
                if hashes:
                    found.setdefault((normal(name), version), hashes)
    return found


def direct_sources(path: Iterable[str]) -> dict[str, str]:
    """Name -> where a distribution was installed from, unless that was a registry (PEP 610).

    Args:
        path: Folders with installed distributions, as `sys.path` has them.
    """
    found: dict[str, str] = {}
    for folder in path:
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder or "."):
                if entry.name.endswith(".dist-info"):
                    with contextlib.suppress(OSError, ValueError, KeyError):
                        told = json.loads(Path(entry.path, "direct_url.json").read_bytes())
                        found.setdefault(normal(entry.name.split("-")[0]), _address(told))
    return found


def normal(name: str) -> str:
    """The one form of a distribution's name (PEP 503).

    Examples:
        >>> normal("Scikit_Learn")
        'scikit-learn'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def _line(name: str, version: str, hashes: Hashes, sources: dict[str, str]) -> str:
    if name in sources:
        return f"{name} @ {sources[name]}" if sources[name] else f"{_LOCAL}{name}=={version}"
    known = sorted(hashes.get((name, version), []))
    return " ".join([f"{name}=={version}", *(f"--hash={each}" for each in known)])


def _address(told: dict[str, Any]) -> str:
    url: str = told["url"]
    if vcs := told.get("vcs_info"):
        return f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    if "dir_info" in told or url.startswith("file:"):
        return ""
    digest = told.get("archive_info", {}).get("hash", "")
    return f"{url}#{digest}" if digest else url


def _in_requirements(text: str) -> Iterator[tuple[str, str, list[str]]]:
    for line in text.replace("\\\n", " ").splitlines():
        if pinned := _PINNED.match(line.strip()):
            yield pinned[1], pinned[2], _HASH.findall(line)


def _in_toml(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """The packages of `uv.lock` ("package") or of `pylock.toml` ("packages")."""
    told = tomllib.loads(text)
    for package in told.get("package", told.get("packages", [])):
        if "version" not in package:
            continue
        every = [package.get("sdist"), package.get("archive"), *package.get("wheels", [])]
        hashes = [_hash(each) for each in every if each]
        yield package["name"], package["version"], [each for each in hashes if each]


def _hash(file: dict[str, Any]) -> str:
    if "hash" in file:
        return str(file["hash"])
    return next((f"{name}:{value}" for name, value in file.get("hashes", {}).items()), "")


def _stamp(path: Path) -> tuple[str, int, int]:
    found = path.stat()
    return (str(path), found.st_size, found.st_mtime_ns)
