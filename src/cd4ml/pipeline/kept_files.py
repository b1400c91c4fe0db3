"""The files a run was made from that no commit gives back, as one archive.

Without git these are all files of the project that are small enough to be code; with git
those that the steps reach though git ignores them.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cd4ml.errors import Corrupted
from cd4ml.pipeline.revision import LARGEST, MOST

_MODE = 0o644
_ENVIRONMENTS = "pyvenv.cfg"
_LEFT_OUT = frozenset(["__pycache__", "node_modules"])


def archive(folder: Path, names: Iterable[str]) -> bytes:
    """Some files of a folder as a tar archive; the same files give the same bytes.

    Args:
        folder: Where they are.
        names: Their paths below it; those that are not there are left out.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(set(names)):
            path = folder / name
            if path.is_file():
                data = path.read_bytes()
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), _MODE
                tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def unpack(data: bytes, folder: Path) -> None:
    """Lay the files of an archive out in a folder.

    Raises:
        Corrupted: If it is no archive, or names a place outside.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        msg = f"the files that the run kept cannot be laid out: {error}"
        raise Corrupted(msg, hint="a newer cd4ml may have written them") from None


def small_files(folder: Path, *, leave_out: Callable[[str], bool]) -> list[str]:
    """The files of a project that are small enough to be code; the smallest if there are many.

    Hidden files and folders, environments and what Python makes are left out.

    Args:
        folder: The project's.
        leave_out: Whether a file, by its path below the folder, is no part of the code.
    """
    found = [each for each in _files(folder) if each[0] <= LARGEST]
    kept, total = [], 0
    for size, path in sorted(found):
        name = path.relative_to(folder).as_posix()
        if leave_out(name):
            continue
        total += size
        if total > MOST:
            break
        kept.append(name)
    return sorted(kept)


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    for entry in os.scandir(folder):
        if entry.name.startswith(".") or entry.name in _LEFT_OUT:
            continue
        path = Path(entry.path)
        if entry.is_file(follow_symlinks=False):
            yield entry.stat().st_size, path
        elif entry.is_dir(follow_symlinks=False) and not (path / _ENVIRONMENTS).exists():
            yield from _files(path)
