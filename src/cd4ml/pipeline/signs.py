"""Whether files and folders are what they were, mostly without reading them.

As in git, what has the same size, times and inode counts as unchanged. A file that was
written to just before that was noted could be written to once more without any of these
changing: it is read and compared by its content.
"""

from __future__ import annotations

import os
from _thread import get_ident  # `threading` would be imported for nothing else
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from cd4ml.store.digest import address_of, address_of_file

Kind = Literal["file", "size", "code", "folder", "absent"]

RACY_NS = 2 * 10**9  # the coarsest clock of a file system (FAT)

_IMPORTED = (".py", ".so", ".pyd", ".pth", ".egg-link", ".dist-info", ".egg-info", ".zip")


class Sign(NamedTuple):
    """What a path was like.

    `kind` says what counts: a file's bytes or only its size, the names of a folder's files of
    code ("code") or all its names, or that nothing is there.
    """

    kind: Kind
    content: str = ""  # digest of the bytes, or of the names
    stamp: tuple[int, ...] = ()  # size, times and inode


def signed(paths: Iterable[str], kind: Kind) -> dict[str, Sign]:
    """The signs of these paths as they are now.

    Raises:
        OSError: If one cannot be read.
    """
    return {path: sign(path, kind) for path in paths}


def sign(path: str, kind: Kind, content: str = "") -> Sign:
    """The sign of one path; its content is read unless it is known.

    Raises:
        OSError: If it cannot be read.
    """
    stamp = stamp_of(path)  # before the content: what is written meanwhile shows
    return Sign(kind, content or content_of(path, kind), stamp)


def changed(signs: Mapping[str, Sign], begun_ns: int) -> tuple[str, dict[str, Sign]]:
    """The first path that is not what it was, "" if there is none; and the fresh signs of what was read.

    Args:
        signs: What was noted.
        begun_ns: When that began, by the clock of the file system.
    """
    fresh: dict[str, Sign] = {}
    for path, noted in signs.items():
        stamp = stamp_of(path)
        if noted.kind == "absent":
            if stamp:
                return path, {}
        elif stamp != noted.stamp or is_racy(stamp, begun_ns):
            if not stamp or _content(path, noted.kind) != noted.content:
                return path, {}
            fresh[path] = noted._replace(stamp=stamp)
    return "", fresh


def is_racy(stamp: tuple[int, ...], begun_ns: int) -> bool:
    """Whether it could have been written to, after it was noted, without a trace."""
    _, modified_ns, changed_ns, _ = stamp
    return max(modified_ns, changed_ns) >= begun_ns - RACY_NS


def stamp_of(path: str) -> tuple[int, ...]:
    """What changes when a file is written to or replaced; () if there is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def content_of(path: str, kind: Kind) -> str:
    """What of a path counts.

    Raises:
        OSError: If it cannot be read.
    """
    if kind == "file":
        return address_of_file(path)
    if kind == "size":
        return str(os.stat(path).st_size)
    if kind == "absent":
        return ""
    with os.scandir(path) as entries:
        names = sorted(
            f"{entry.name}/" if entry.is_dir() else entry.name
            for entry in entries
            if kind == "folder" or _may_be_imported(entry)
        )
    return address_of("\0".join(names).encode(errors="surrogateescape"))


def clock_ns(folder: str) -> int:
    """The time now by the clock of the file system of a folder.

    Raises:
        OSError: If nothing can be written there.
    """
    path = os.path.join(folder, f".clock-{os.getpid()}-{get_ident()}")
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, b"\0")
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)
        os.unlink(path)


def _content(path: str, kind: Kind) -> str:
    try:
        return content_of(path, kind)
    except OSError:
        return ""


def _may_be_imported(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or entry.name == "__pycache__":
        return False
    return entry.name.endswith(_IMPORTED) or entry.is_dir()
