"""Importing the project's own modules, from its folder, as they are on disk now.

Python remembers modules and their bytecode: a second project whose module is also
called `pipeline`, or an edit within the second of the last one, would run code that is
not the code that was fingerprinted. So the project's modules are always compiled from
source, and forgotten afterwards.
"""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.abc import MetaPathFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType, TracebackType

from cd4ml.errors import PipelineError
from cd4ml.store.address import address_of

# The import system is one for all threads: projects take turns.
_TURN = threading.RLock()

# what Python has imported before it runs anything is never the project's
BUILT_IN = frozenset(sys.builtin_module_names) | {
    "_collections_abc", "_sitebuiltins", "abc", "codecs", "encodings", "genericpath", "importlib",
    "io", "ntpath", "os", "posixpath", "runpy", "site", "stat", "zipimport",
}  # fmt: skip

_COMPILED: dict[str, str] = {}  # path -> digest of what was compiled last

_INSTALLED = tuple(
    str(Path(path).resolve())
    for name, path in sysconfig.get_paths().items()
    if name in ("stdlib", "platstdlib", "purelib", "platlib")
)


@contextmanager
def imported(
    folder: Path, name: str, during: AbstractContextManager[object] | None = None
) -> Iterator[ModuleType]:
    """The project's module `name`, while the block lasts.

    Inside the block all of the project's modules can be imported (also by what is
    unpickled), from `folder` before anything else but the standard library. Blocks of
    several threads take turns; a block inside a block of the same project shares its
    modules.

    Args:
        folder: The project's.
        name: Of the module.
        during: A block that the project's code is imported in.

    Raises:
        PipelineError: If there is no such module, or importing it fails; the message has
            the file and line below the folder.
    """
    folder = folder.resolve()
    with _TURN, _project_first(folder):
        with during or nullcontext():
            module = _import(folder, name)
        yield module


def compiled_below(folder: Path) -> dict[str, str]:
    """The project's files that were imported since its first import, with the digests of their text.

    Returns:
        Path below the folder -> digest.
    """
    inside = str(folder) + os.sep
    return {
        path.removeprefix(inside): digest
        for path, digest in _COMPILED.copy().items()
        if path.startswith(inside)
    }


def origin(error: BaseException, folder: Path) -> str:
    """Where below `folder` an exception came from, as `file:line`; "" if nowhere there."""
    if isinstance(error, SyntaxError) and error.filename and _below(error.filename, folder):
        return f"{Path(error.filename).relative_to(folder)}:{error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if _below(frame.filename, folder)
    ]
    if not frames:
        return ""
    return f"{Path(frames[-1].filename).relative_to(folder)}:{frames[-1].lineno}"


def is_installed_file(path: Path) -> bool:
    """Whether a file belongs to Python or to an installed distribution."""
    path = path.resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return str(path).startswith(_INSTALLED)


def traceback_below(error: BaseException, folder: Path) -> str:
    """The traceback from the first line of the project on: what is above it is cd4ml's."""
    frame: TracebackType | None = error.__traceback__
    while frame is not None and not _below(frame.tb_frame.f_code.co_filename, folder):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame or error.__traceback__))


class _FromSource(SourceFileLoader):
    """Compiles what the file holds now, whatever bytecode lies beside it."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        data = self.get_data(path)
        _COMPILED[path] = address_of(data)
        return self.source_to_code(data, path)


class _ProjectFinder(MetaPathFinder):
    """Finds the modules below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if path is None and fullname in BUILT_IN:
            return None
        entries = [str(self.folder)] if path is None else [str(entry) for entry in path]
        for entry in entries:
            if _below(entry, self.folder):
                spec = _finder(entry).find_spec(fullname)
                if spec is not None and (spec.loader is not None or _is_nowhere_else(fullname)):
                    return spec
        return None


def _finder(entry: str) -> FileFinder:
    return FileFinder(
        entry, (_FromSource, SOURCE_SUFFIXES), (ExtensionFileLoader, EXTENSION_SUFFIXES)
    )


def _is_nowhere_else(name: str) -> bool:
    # a folder without __init__.py counts as a package only if nobody has a real one
    return "." in name or PathFinder.find_spec(name) is None


@contextmanager
def _project_first(folder: Path) -> Iterator[None]:
    if any(isinstance(f, _ProjectFinder) and f.folder == folder for f in sys.meta_path):
        yield
        return
    finder = _ProjectFinder(folder)
    for path in compiled_below(folder):
        _COMPILED.pop(os.path.join(folder, path), None)
    displaced = _forget(_provided(folder)) | _forget_python_own(folder)
    sys.meta_path.insert(0, finder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        _forget(_provided(folder))
        sys.modules.update(displaced)


def _provided(folder: Path) -> set[str]:
    """The top-level module names that the folder offers."""
    return {
        path.name.partition(".")[0]
        for path in folder.iterdir()
        if path.is_dir() or path.suffix in (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)
    }


def _forget(names: set[str]) -> dict[str, ModuleType]:
    """Take modules with these top-level names out of Python's memory, unless installed."""
    forgotten = {
        name: module
        for name, module in sys.modules.copy().items()  # other threads import meanwhile
        if name.partition(".")[0] in names and not _is_installed(module)
    }
    for name in forgotten:
        del sys.modules[name]
    return forgotten


def _forget_python_own(folder: Path) -> dict[str, ModuleType]:
    """Take modules of Python's out of its memory whose names are those of files in a folder."""
    own = {path.stem for path in folder.glob("*.py")}
    own |= {path.parent.name for path in folder.glob("*/__init__.py")}
    taken = (own & sys.stdlib_module_names) - BUILT_IN
    found = {n: m for n, m in sys.modules.copy().items() if n.partition(".")[0] in taken}
    for name in found:
        del sys.modules[name]
    return found


def _is_installed(module: ModuleType) -> bool:
    spec = getattr(module, "__spec__", None)
    if module.__name__ == "__main__" or spec is None or spec.origin in ("built-in", "frozen"):
        return True
    if module.__name__.partition(".")[0] == "cd4ml":
        return True
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or [])
    return all(is_installed_file(Path(place)) for place in places)


def _import(folder: Path, name: str) -> ModuleType:
    try:
        importlib.invalidate_caches()
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise _failed(error, folder, name) from error
        msg = f"no module {name!r} in {folder}"
        raise PipelineError(
            msg, hint="cd4ml.toml names it: correct the name, or put the module there"
        ) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also what is no Exception, such as a panic of Rust's
        raise _failed(error, folder, name) from error


def _failed(error: BaseException, folder: Path, name: str) -> PipelineError:
    where = origin(error, folder) or name
    what = error.msg if isinstance(error, SyntaxError) else str(error)
    msg = f"{where}: importing {name!r} failed: {type(error).__name__}: {what}"
    return PipelineError(msg, hint="correct that line, then run again")


def _below(path: str, folder: Path) -> bool:
    if path.startswith("<"):  # code that no file holds, such as Python's own importer
        return False
    try:
        return Path(path).resolve().is_relative_to(folder)
    except OSError:
        return False
