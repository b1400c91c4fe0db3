"""Where the stores of a project were: what was there and is gone is not made anew.

A folder that is not mounted yet looks like one in which nothing was begun. An empty store made
there would take what endpoints answered, and nobody would find it again.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from cd4ml.errors import Unavailable

FILE = "stores"


def require(path: Path, what: str, *, seen: Path) -> None:
    """Refuse a file that is missing or empty, or a folder that is missing, if it was there before.

    Args:
        path: Of the store.
        what: It is called in the message.
        seen: The file that remembers, made by `remember`.

    Raises:
        Unavailable: If it is gone.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     blobs, seen = Path(folder, "blobs"), Path(folder, "stores")
        ...     require(blobs, "the folder", seen=seen)
        ...     remember(blobs, seen=seen)
        ...     try:
        ...         require(blobs, "the folder", seen=seen)
        ...     except Unavailable as error:
        ...         print(error.message)
        the folder is gone, and nothing is made in its place
    """
    is_there = path.is_dir() or (path.exists() and path.stat().st_size > 0)
    if is_there or str(path) not in _lines(seen):
        return
    msg = f"{what} is gone, and nothing is made in its place"
    raise Unavailable(msg, hint=f"bring it back; to begin anew, remove {seen}")


def make(folder: Path, *, seen: Path | None) -> None:
    """Make a folder; with `seen`, not one that was there before and is gone."""
    if seen is None:
        folder.mkdir(parents=True, exist_ok=True)
        return
    if str(folder) not in _lines(seen):
        folder.mkdir(parents=True, exist_ok=True)
    if not is_gone(folder):
        remember(folder, seen=seen)


def is_gone(folder: Path) -> bool:
    """Whether there is no folder; of one that cannot be looked at nobody knows."""
    try:
        return not stat.S_ISDIR(os.stat(folder).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def is_missed(folder: Path, *, seen: Path) -> bool:
    """Whether a folder was there before and is gone."""
    return is_gone(folder) and str(folder) in _lines(seen)


def beside(folder: Path) -> Path:
    """The file that remembers the stores of a project, by a folder in its state."""
    return folder.with_name(FILE)


def remember(path: Path, *, seen: Path) -> None:
    """Note that a store is there. Who may not write the note goes on without."""
    if str(path) not in _lines(seen):
        with suppress(OSError), seen.open("a") as file:
            file.write(f"{path}\n")


def moved(before: Path, after: Path, *, seen: Path) -> None:
    """Note that a project is now somewhere else, with the stores that lie in it."""
    lines = _lines(seen)
    if lines:
        begin = f"{before}/"
        new = (str(after / x.removeprefix(begin)) if x.startswith(begin) else x for x in lines)
        seen.write_text("".join(f"{line}\n" for line in new))


def _lines(seen: Path) -> list[str]:
    try:
        return seen.read_text().splitlines()
    except OSError:
        return []
