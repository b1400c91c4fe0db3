"""The files that a path, a folder or a glob names, and whether somebody writes to them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import glob, has_magic
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import msgspec

from cd4ml.data.names import written
from cd4ml.errors import Conflict, InvalidInput, NotFound, Unavailable
from cd4ml.store.address import address_of, short

_LEFT_OUT = frozenset((".git", ".cd4ml"))  # what tools keep beside the data
_PROJECT = "cd4ml.toml"
_OF_PROJECT = frozenset((_PROJECT, "contracts", ".gitignore"))  # what cd4ml writes beside the data


class Stamp(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What changes when a file is written to or replaced."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int


class Found(msgspec.Struct, frozen=True, gc=False):
    """A file as it lies there."""

    name: str  # below the root, as `names.written` writes it
    path: str  # as the system takes it
    stamp: Stamp


class Listing(NamedTuple):
    """The files that a pattern names, in order of name.

    `root` is the folder that the names begin in, and `folders` are those in which there is
    nothing. `is_folder` says that the pattern named a folder, with all that is in it.
    `place` is where the files are left, if they are only referred to.
    """

    root: Path
    files: tuple[Found, ...]
    folders: tuple[str, ...] = ()
    is_folder: bool = False
    place: str = ""

    @property
    def paths(self) -> list[Path]:
        """The files' paths, made anew."""
        return [Path(file.path) for file in self.files]


def files_of(root: Path, pattern: str) -> Listing:
    """The files below `root` that a path, a folder or a glob names.

    A folder means every file in it, at any depth. Symbolic links are followed only to what
    lies in the same folder; a link that is itself named by the path is what it points to.
    `.git` and `.cd4ml` are left out, and of a project's folder what describes the project:
    `cd4ml.toml`, `contracts` and `.gitignore`.

    Raises:
        NotFound: If there is none.
        InvalidInput: If a link leads out of the folder or in a circle, or something is
            neither a file nor a folder.
        Unavailable: If a folder may not be read.
    """
    if "\0" in pattern:
        raise InvalidInput(f"expected a path, got {pattern!r}", hint="a path has no NUL in it")
    path = root / pattern
    with _explained(path):
        base = root if path.is_relative_to(root) and ".." not in path.parts else _fixed(path)
        walk = _Walk(base)
        if path.is_dir():
            walk.named_folder(path)
            return walk.listing(pattern, is_folder=True)
        if os.path.lexists(path) or not has_magic(pattern):
            walk.named(path)
            return walk.listing(pattern)
        for name in dict.fromkeys(glob(str(pattern), root_dir=root, recursive=True)):
            if not (root / name).is_dir():
                walk.matched(str(root / name))
        return walk.listing(pattern)


def stamp_of(path: str | Path) -> Stamp | None:
    """A file's stamp; None if it is not there."""
    try:
        return stamp_from(os.stat(path))
    except FileNotFoundError:
        return None


@contextmanager
def left_alone(files: Sequence[Found], *, may_be_linked: bool = False) -> Iterator[None]:
    """Refuse what was read in the block if a file changed meanwhile.

    Args:
        files: As they were found before.
        may_be_linked: A file that is given a second name is not changed by that.

    Raises:
        Conflict: If one did; the message names it.
    """
    yield
    for file in files:
        stamp = stamp_of(file.path)
        if stamp and may_be_linked:
            stamp = msgspec.structs.replace(stamp, changed_ns=file.stamp.changed_ns)
        if stamp != file.stamp:
            raise changed(file.path)


def openable(paths: Sequence[Path], links: Path) -> list[Path]:
    """The same files under names that Polars takes: those that are text.

    Args:
        paths: As the system names the files.
        links: A folder for links to those whose names are not text.
    """
    return [path if is_text(str(path)) else _linked(path, links) for path in paths]


def is_text(name: str) -> bool:
    """Whether a name, as the system gives it to Python, is UTF-8."""
    return name.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in name)


def _linked(path: Path, links: Path) -> Path:
    named = short(address_of(os.fsencode(path)))
    link = links / f"{named}{path.suffix if is_text(path.suffix) else ''}"
    links.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(link):
        with suppress(FileExistsError):  # by somebody else at this moment
            link.symlink_to(path.absolute())
    return link


def changed(path: str | Path) -> Conflict:
    """The refusal of a file that somebody writes to."""
    msg = f"{written(str(path))} changed while it was read"
    return Conflict(msg, hint="add it again when nobody writes to it")


class _Walk:
    """Collects files below a folder."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.allowed = {os.path.realpath(base)}  # where links may lead
        self.files: list[Found] = []
        self.folders: list[str] = []
        self._ways: set[str] = set()

    def listing(self, pattern: str, *, is_folder: bool = False) -> Listing:
        """What was collected.

        Raises:
            NotFound: If that is nothing.
        """
        if not self.files:
            raise _nothing(self.base, pattern, is_folder=is_folder)
        by_name = sorted(self.files, key=attrgetter("name"))
        files, folders = tuple(by_name), tuple(sorted(self.folders))
        return Listing(self.base, files, folders, is_folder, written(str(self.base)))

    def named(self, path: Path) -> None:
        """The very file that somebody named: it may be a link to anywhere."""
        try:
            self._file(str(path), os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            msg = f"there is no file {written(str(path))}"
            raise NotFound(msg, hint="correct the path, or put the file there") from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _circle(str(path), os.readlink(path)) from None
            raise

    def named_folder(self, path: Path) -> None:
        """The very folder that somebody named, which may be a link, with all that is in it."""
        self.allowed.add(os.path.realpath(path))
        self.folder(str(path))

    def matched(self, path: str) -> None:
        """A file that a glob found, be it by way of links to folders."""
        folder = os.path.dirname(path)
        if folder not in self._ways:
            self._ways.add(folder)
            self._refuse_way(folder)
        self.entry(path)

    def folder(self, path: str, above: tuple[str, ...] = ()) -> None:
        """All that is in a folder."""
        try:
            with os.scandir(path) as entries:
                found = [entry for entry in entries if entry.name not in _LEFT_OUT]
            if any(entry.name == _PROJECT for entry in found):
                found = [entry for entry in found if entry.name not in _OF_PROJECT]
        except PermissionError as error:
            msg = f"the folder {written(path)} cannot be read: {error.strerror}"
            raise Unavailable(msg, hint="may this user read it?") from None
        name = self._name(path)
        if not found and above:
            self.folders.append(name)
        prefix = f"{name}/" if name else ""
        add = self.files.append
        for entry in found:
            if entry.is_symlink():
                self.entry(entry.path, (*above, path))
            elif entry.is_file(follow_symlinks=False):  # this line is passed most often
                stamp = stamp_from(entry.stat(follow_symlinks=False))
                add(Found(prefix + written(entry.name), entry.path, stamp))
            elif entry.is_dir(follow_symlinks=False):
                self.folder(entry.path, (*above, path))
            else:
                self._file(entry.path, entry.stat(follow_symlinks=False))

    def entry(self, path: str, above: tuple[str, ...] = ()) -> None:
        """A file, or a link to a file or folder below the base."""
        if os.path.islink(path):
            target = self._followed(path)
            if os.path.isdir(target):
                if any(_is_in(os.path.realpath(folder), target) for folder in above):
                    raise _circle(path, target)
                self.folder(path, above)
                return
        self._file(path, os.stat(path))

    def _refuse_way(self, folder: str) -> None:
        """Refuse to come to a folder by a link that leads out or in a circle."""
        met: set[str] = set()
        steps = [Path(folder), *Path(folder).parents]
        for step in reversed([step for step in steps if _is_in(str(step), str(self.base))]):
            target = self._followed(str(step)) if step.is_symlink() else os.path.realpath(step)
            if target in met:
                raise _circle(str(step), target)
            met.add(target)

    def _followed(self, path: str) -> str:
        target = os.path.realpath(path)
        if not os.path.exists(target):
            _refuse_endless(path)
            msg = f"the link {written(path)} leads to {written(target)}, which is not there"
            raise InvalidInput(msg, hint="remove it, or put the file there")
        if not any(_is_in(target, allowed) for allowed in self.allowed):
            where = written(str(self.base))
            msg = f"the link {written(path)} leads out of {where}, to {written(target)}"
            raise InvalidInput(msg, hint="copy the file, or name what it points to as the path")
        return target

    def _file(self, path: str, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            msg = f"{written(path)} is neither a file nor a folder"
            raise InvalidInput(msg, hint="a dataset consists of files: move it away")
        self.files.append(Found(self._name(path), path, stamp_from(found)))

    def _name(self, path: str) -> str:
        return written(path[len(str(self.base)) :].lstrip(os.sep))


def _refuse_endless(path: str) -> None:
    """Refuse a link that comes back to itself before it leads anywhere."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _circle(path, os.readlink(path)) from None


def stamp_from(found: os.stat_result) -> Stamp:
    """What the system says of a file."""
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _fixed(path: Path) -> Path:
    """The longest beginning of a path without magic: the folder that it searches."""
    parts: list[str] = []
    for part in path.parts:
        if has_magic(part):
            break
        parts.append(part)
    fixed = Path(*parts)
    return fixed.parent if fixed.is_file() or not fixed.exists() else fixed


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _circle(path: str, target: str) -> InvalidInput:
    msg = f"the link {written(path)} leads in a circle, to {written(target)}"
    return InvalidInput(msg, hint="remove it")


def _nothing(base: Path, pattern: str, *, is_folder: bool) -> NotFound:
    if is_folder:
        msg = f"there is no file in the folder {written(str(base / pattern))}"
        return NotFound(msg, hint="put the files there, or correct the path")
    msg = f"no file matches '{written(pattern)}' in {written(str(base))}"
    return NotFound(msg, hint="correct the pattern, or put the files there")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:  # it was there when its folder was listed
        raise changed(error.filename or path) from None
    except OSError as error:
        msg = f"{written(str(error.filename or path))} cannot be read: {error.strerror}"
        raise Unavailable(msg, hint="may this user read it, and does it lead anywhere?") from None
