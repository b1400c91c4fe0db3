"""What a step's process really reads of the project: files, folders, environment variables.

Reading code tells most of what a step depends on. This is the second net below that: Python
itself reports each file that is opened and each folder that is listed (audit events), and
`os.environ` each variable that is asked for. What C or Rust code opens it does not report.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from cd4ml.pipeline import signs
from cd4ml.pipeline.notes import EVERY, is_of_the_machine

_LEFT_OUT = frozenset([".cd4ml", ".git", "__pycache__", "site-packages", "dist-packages"])
_IMPORTING = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
_PASSING_ON = frozenset([os.__file__, "<frozen os>", "<frozen _collections_abc>", __file__])
_LIBRARY_OF_LINES = ("linecache.py", "tokenize.py")  # of tracebacks and warnings


class Seen(NamedTuple):
    """What was read.

    Attributes:
        places: "file NAME" or "folder NAME" below the project -> digest of its content, or of
            its names; "" for what is not there.
        variables: Names in the environment that the project's code asked for.
        asked: Names that libraries asked for while it called them.
        loaded: Python files that the process has imported -> digest of what was compiled.
        fresh: Of those, which the step has imported, or may have from steps before it.
        moved: Files that were changed by others while they were in use.
        written: Files that it wrote, and did not read before.
    """

    places: Mapping[str, str]
    variables: frozenset[str]
    loaded: Mapping[str, str]
    moved: frozenset[str]
    written: frozenset[str]
    fresh: frozenset[str]
    asked: frozenset[str]

    def and_also(self, other: Seen) -> Seen:
        """Both together."""
        return Seen(
            places={**self.places, **other.places},
            variables=self.variables | other.variables,
            loaded={**self.loaded, **other.loaded},
            moved=self.moved | other.moved,
            written=self.written | other.written,
            fresh=self.fresh | other.fresh,
            asked=self.asked | other.asked,
        )


NOTHING = Seen({}, frozenset(), {}, *[frozenset[str]()] * 4)


class Watch:
    """What is read below one folder, while it is active."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.inside = os.path.join(self.folder, "")
        self.variables: set[str] = set()
        self.asked: set[str] = set()
        self._opened: dict[str, tuple[int, ...]] = {}  # name -> what the file was like
        self._listed: dict[str, tuple[int, ...]] = {}
        self._written: set[str] = set()
        self._taking_all: FrameType | None = None

    def seen(self) -> Seen:
        """All that was read, with what it holds now."""
        places: dict[str, str] = {}
        moved: set[str] = set()
        for name, before in self._opened.items():
            path = os.path.join(self.folder, name)
            if os.path.isdir(path):
                continue
            now = signs.stamp_of(path)
            places[f"file {name}"] = _content(path, "file")
            if now != before and (before or name not in self._written):
                moved.add(name)
        for name, before in self._listed.items():
            path = os.path.join(self.folder, name)
            places[f"folder {name}"] = _content(path, "folder")
            if signs.stamp_of(path) != before and not self._has_written_in(name):
                moved.add(name)
        return NOTHING._replace(
            places=places,
            variables=frozenset(self.variables),
            asked=frozenset(self.asked),
            moved=frozenset(moved),
            written=frozenset(self._written.difference(self._opened)),
        )

    def open(self, path: Any, flags: int, frame: FrameType) -> None:
        """A file is about to be opened."""
        name = self._name(path)
        if not name or name in self._opened or name in self._written or _is_import(frame):
            if name in self._opened and flags & os.O_ACCMODE != os.O_RDONLY:
                self._written.add(name)
            return
        if flags & os.O_ACCMODE == os.O_WRONLY or flags & os.O_TRUNC:
            self._written.add(name)
            return
        self._opened[name] = signs.stamp_of(os.path.join(self.folder, name))

    def list(self, path: Any, frame: FrameType) -> None:
        """A folder is about to be listed."""
        name = self._name("." if path is None else path)
        if name and name not in self._listed and not _is_import(frame):
            self._listed[name] = signs.stamp_of(os.path.join(self.folder, name))

    def read(self, name: str, frame: FrameType | None) -> None:
        """A variable is asked for; `EVERY` if all of them are."""
        asking = _who_asks(frame)
        if asking is None or asking is self._taking_all:
            return  # the rest of taking all of them
        is_own = asking.f_code.co_filename.startswith(self.inside)
        if is_own:
            self._taking_all = asking if name == EVERY else self._taking_all
            self.variables.add(name)
        elif name != EVERY and not is_of_the_machine(name) and self._is_on_behalf(asking):
            self.asked.add(name)

    def _name(self, path: Any) -> str:
        """A path below the folder, "" for one that does not count."""
        if isinstance(path, int):
            return ""
        whole = os.path.abspath(os.fsdecode(path))
        if whole == self.folder:
            return "."
        if not whole.startswith(self.inside):
            return ""
        name = whole[len(self.inside) :]
        return "" if _LEFT_OUT.intersection(name.split(os.sep)) else name

    def _has_written_in(self, folder: str) -> bool:
        return any((os.path.dirname(name) or ".") == folder for name in self._written)

    def _is_on_behalf(self, frame: FrameType | None) -> bool:
        """Whether a library asks while the project's code calls it, and not to be imported."""
        while frame is not None:
            name = frame.f_code.co_filename
            if name in _IMPORTING:
                return False
            if name.startswith(self.inside):
                return True
            frame = frame.f_back
        return False


class _Installed:
    """What this process reports to: one watch at a time, of whoever computes."""

    watch: Watch | None = None
    is_done = False


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Watch what is read while the block lasts, by any thread."""
    _install()
    before, _Installed.watch = _Installed.watch, watch
    try:
        yield
    finally:
        _Installed.watch = before


def _install() -> None:
    if not _Installed.is_done:
        _Installed.is_done = True
        sys.addaudithook(_heard)  # Python has no way to take one back
        for environment in (os.environ, os.environb):
            environment.__class__ = _Variables


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    watch = _Installed.watch
    if watch is None or event not in ("open", "os.listdir", "os.scandir"):
        return
    with suppress(Exception):  # what is raised here would be the step's
        frame = sys._getframe(1)
        if event == "open":
            watch.open(arguments[0], arguments[2], frame)
        else:
            watch.list(arguments[0], frame)


class _Variables(type(os.environ)):  # type: ignore[misc]
    """The environment, telling who watches what is asked for."""

    def __getitem__(self, key: Any) -> Any:
        _asked(key)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[Any]:
        _asked(EVERY)
        yield from super().__iter__()


def _asked(key: Any) -> None:
    watch = _Installed.watch
    if watch is not None and isinstance(key, str | bytes):
        watch.read(os.fsdecode(key), sys._getframe(2))


def _who_asks(frame: FrameType | None) -> FrameType | None:
    while frame is not None and frame.f_code.co_filename in _PASSING_ON:
        frame = frame.f_back
    return frame


def _is_import(frame: FrameType) -> bool:
    """Whether Python opens it to import it, or to show a line of it."""
    name = frame.f_code.co_filename
    if name.endswith(_LIBRARY_OF_LINES) and frame.f_back is not None:
        return frame.f_back.f_code.co_filename.endswith("linecache.py")
    return name in _IMPORTING


def _content(path: str, kind: signs.Kind) -> str:
    try:
        return signs.content_of(path, kind)
    except OSError:
        return ""
