"""The files that a pattern names, and whether somebody writes to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

from cd4ml.errors import Conflict, InvalidInput, NotFound


class Stamp(NamedTuple):
    """What changes when a file is written to or replaced."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int


def files_of(root: Path, pattern: str) -> list[Path]:
    """The files below `root` that a path or glob names, in order of name.

    Raises:
        NotFound: If there is none.
        InvalidInput: If a path names a folder.
    """
    path = root / pattern
    if path.exists() or not has_magic(pattern):
        return [_one_file(path)]
    found = [Path(name) for name in glob(str(pattern), root_dir=root, recursive=True)]
    files = sorted(root / name for name in found if (root / name).is_file())
    if not files:
        msg = f"no file matches {pattern!r} in {root}"
        raise NotFound(msg, hint="correct the pattern, or put the files there")
    return files


@contextmanager
def left_alone(paths: Sequence[Path]) -> Iterator[None]:
    """Refuse what was read in the block if a file changed meanwhile.

    Raises:
        Conflict: If one did; the message names it.
    """
    before = {path: _stamp(path) for path in paths}
    yield
    for path, stamp in before.items():
        if _stamp(path) != stamp:
            msg = f"{path} changed while it was read"
            raise Conflict(msg, hint="add it again when nobody writes to it")


def _one_file(path: Path) -> Path:
    if path.is_dir():
        msg = f"expected a file or a glob, got the folder {path}"
        raise InvalidInput(msg, hint=f"for example {path.name}/*.parquet")
    if not path.is_file():
        msg = f"there is no file {path}"
        raise NotFound(msg, hint="correct the path, or put the file there")
    return path


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
