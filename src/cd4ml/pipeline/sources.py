"""The modules of one project, found by name below its folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from cd4ml.pipeline.code import Import, Module, Statement
from cd4ml.pipeline.file_names import MAGIC
from cd4ml.pipeline.module import is_installed_file
from cd4ml.store.address import address_of_file

_NAME_LENGTH = 200  # a longer string is no file name
_SEARCHED = {("sys", "path"), ("sys", "meta_path"), ("sys", "path_hooks"), ("site", "addsitedir")}
_LARGEST = 1 << 20  # bytes; larger files are data

# what programs read; what they write beside their results (logs, pictures) is left out
_READ = (".cfg", ".csv", ".ini", ".j2", ".json", ".jsonl", ".ndjson", ".parquet", ".sql", ".toml",
         ".tsv", ".xml", ".yaml", ".yml")  # fmt: skip


class Sources:
    """A project's Python files as they are on disk now, parsed when they are first asked for."""

    def __init__(self, folder: Path, start: str) -> None:
        self.folder = folder.resolve()
        self.start = start
        self._parsed: dict[str, Module | None] = {}
        self._stamps: dict[Path, tuple[int, ...]] = {}
        self._optional: set[str] | None = None
        self.seen: dict[str, str] = {}  # what `state` said last

    def module(self, name: str) -> Module | None:
        """The project's module of this name; None if it has none, or only a compiled one."""
        if name not in self._parsed:
            self._parsed[name] = self._parse(name)
        return self._parsed[name]

    def edited(self) -> list[Path]:
        """The files that have changed, or gone, since they were parsed."""
        return sorted(path for path, stamp in self._stamps.items() if _stamp(path) != stamp)

    def has(self, top_level: str) -> bool:
        """Whether a top-level name is the project's own."""
        if top_level in sys.stdlib_module_names:
            return False
        return bool(self._path(top_level) or self.compiled(top_level) or self._is_folder(top_level))

    def resolve(self, path: tuple[str, ...], known: int) -> tuple[Module | None, tuple[str, ...]]:
        """The module that a dotted name leads into, and what is left of the name.

        Args:
            path: The dotted name.
            known: How many of its parts are a module for sure.
        """
        module = self.module(".".join(path[:known]))
        length = known
        while length < len(path):
            if module is not None and _is_bound_in(module, path[length]):
                break
            deeper = ".".join(path[: length + 1])
            if not (self._path(deeper) or self._is_folder(deeper)):
                break
            module = self.module(deeper)
            length += 1
        return module, path[length:]

    def modules(self) -> list[Module]:
        """Every module that can be reached by imports from the pipeline's, in order of name."""
        found: dict[str, Module] = {}
        waiting = [self.start]
        while waiting:
            name = waiting.pop()
            parents = [name.rsplit(".", n)[0] for n in range(name.count(".") + 1)]
            for each in (name, *parents):
                module = self.module(each)
                if module is not None and each not in found:
                    found[each] = module
                    waiting.extend(module.modules)
        return [found[name] for name in sorted(found)]

    def files(self) -> list[Path]:
        """Every Python file below the folder, hidden folders and environments left out."""
        return sorted(_python_files(self.folder))

    def files_in(self, words: Iterable[str]) -> list[Path]:
        """The project's files that these words name."""
        found = ((self.folder / word).resolve() for word in words if len(word) < _NAME_LENGTH)
        return [path for path in found if self._is_own(path) and path.is_file()]

    def matching(self, patterns: Iterable[str]) -> list[Path]:
        """The project's files that these patterns name; those of a folder, if that is named."""
        found: set[Path] = set()
        for pattern in patterns:
            for path in self.folder.glob(pattern):
                found.update(_small_files(path, most=None) if path.is_dir() else [path])
        return sorted(path for path in found if path.is_file())

    def everything(self) -> list[Path]:
        """Every file of the project that is small enough to be code."""
        return sorted(_small_files(self.folder, most=_LARGEST))

    def folders(self) -> list[Path]:
        """Every folder that is looked through for Python files, here and elsewhere."""
        own = [self.folder, *_python_folders(self.folder)]
        names = {name.partition(".")[0] for module in self.modules() for name in module.modules}
        places = (place for name in sorted(names) for place in self._outside(name))
        return own + [
            folder
            for place in places
            for folder in ([place, *_python_folders(place)] if place.is_dir() else [place.parent])
        ]

    def absent(self) -> list[Path]:
        """The files that the code names and that are not there."""
        return sorted(path for path in self._named() if not path.is_file())

    def state(self) -> dict[str, str]:
        """Path -> address of every file that importing the pipeline may read, to the byte."""
        own = {*self.files(), *self._named()}
        foreign: set[Path] = set()
        for module in self.modules():
            for name in module.modules:
                own.update(self.compiled(name))
                foreign.update(self.elsewhere(name.partition(".")[0]))
        self.seen = {
            str(path): address_of_file(path) for path in sorted(own | foreign) if path.is_file()
        }
        return self.seen

    def _named(self) -> set[Path]:
        return {
            path
            for module in self.modules()
            for statement in module.statements
            for path in (
                *(path for text in statement.strings for path in self.named(text, module.path)),
                *self.made_up(statement),
            )
        }

    def compiled(self, name: str) -> list[Path]:
        """The project's compiled modules of this name."""
        stem = self.folder.joinpath(*name.split("."))
        found = (stem.with_name(stem.name + suffix) for suffix in EXTENSION_SUFFIXES)
        return [path for path in found if path.is_file()]

    def named(self, text: str, beside: Path) -> list[Path]:
        """The project's files of settings or data that a string may name, there or not.

        The name is relative to the project or to the module it stands in.
        """
        if len(text) > _NAME_LENGTH or not text.lower().endswith(_READ) or "\0" in text:
            return []
        found = {(start / text).resolve() for start in (self.folder, beside.parent)}
        return sorted(path for path in found if self._is_own(path))

    def made_up(self, statement: Statement) -> list[Path]:
        """The project's files whose names a statement may make up, or find in a folder."""
        beside = statement.module.path.parent
        found: set[Path] = set()
        for pattern in (*statement.patterns, *filter(MAGIC.search, statement.strings)):
            if pattern.lower().endswith(_READ) and not pattern.startswith("/"):
                for start in (self.folder, beside):
                    found.update(start.glob(pattern))
                if "/" not in pattern:  # below a folder that nobody can tell
                    every = _small_files(self.folder, most=None)
                    found.update(path for path in every if fnmatch(path.name, pattern))
        if statement.lists_folders:
            for text in statement.strings:
                for start in (self.folder, beside):
                    found.update(_read_in(start, text))
        return sorted(path for path in found if path.is_file() and self._is_own(path.resolve()))

    def makes_up(self) -> bool:
        """Whether a file may count because of what it is called, once it is there."""
        return any(
            statement.lists_folders or any(p.lower().endswith(_READ) for p in statement.patterns)
            for module in self.modules()
            for statement in module.statements
        )

    def is_known(self, name: str) -> bool:
        """Whether a foreign top-level module is there to be imported."""
        return name in sys.stdlib_module_names or name == "cd4ml" or bool(_places(name))

    def does_without(self, name: str) -> bool:
        """Whether the project's code tries to import a module, and nothing would find it now."""
        if self._optional is None:
            statements = [each for module in self.modules() for each in module.statements]
            tried = set[str]().union(*(each.optional for each in statements))
            # whoever changes where modules are found may find it after all
            is_open = any(chain[:2] in _SEARCHED for each in statements for chain in each.chains)
            self._optional = set() if is_open else tried
        return name in self._optional

    def elsewhere(self, name: str) -> list[Path]:
        """The files of a foreign module that is neither installed nor Python's own."""
        return [
            file
            for place in self._outside(name)
            for file in ([place] if place.is_file() else sorted(_python_files(place)))
        ]

    def _outside(self, name: str) -> list[Path]:
        if name in sys.stdlib_module_names or name == "cd4ml" or self.has(name):
            return []
        return [place for place in _places(name) if not is_installed_file(place)]

    def _parse(self, name: str) -> Module | None:
        path = self._path(name)
        if path is None:
            return None
        self._stamps[path] = _stamp(path)
        try:
            return Module(name, path, is_package=path.name == "__init__.py")
        except (SyntaxError, ValueError, RecursionError):
            return None  # importing it says what is wrong with it

    def _path(self, name: str) -> Path | None:
        stem = self.folder.joinpath(*name.split("."))
        for path in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
            if path.is_file():
                return path
        return None

    def _is_folder(self, name: str) -> bool:
        path = self.folder.joinpath(*name.split("."))
        return path.is_dir() and any(path.rglob("*.py"))

    def _is_own(self, path: Path) -> bool:
        if not path.is_relative_to(self.folder):
            return False
        return not any(part.startswith(".") for part in path.relative_to(self.folder).parts)


def _is_bound_in(module: Module, name: str) -> bool:
    """Whether a name means something in a module; its own submodule is that submodule."""
    submodule = Import(module.name, name)
    return name in module.bound or any(i != submodule for i in module.imports.get(name, []))


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file is written to or replaced; () if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _python_files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_file() and path.suffix == ".py":
            yield path
        elif path.is_dir() and not path.is_symlink() and not _is_left_out(path):
            yield from _python_files(path)


def _read_in(start: Path, text: str) -> Iterator[Path]:
    if 0 < len(text) < _NAME_LENGTH and "\0" not in text and (start / text).is_dir():
        for path in (start / text).rglob("*"):
            if path.suffix.lower() in _READ:
                yield path


def _small_files(folder: Path, most: int | None) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not path.is_symlink() and not _is_left_out(path):
                yield from _small_files(path, most)
        elif path.is_file() and (most is None or path.stat().st_size <= most):
            yield path


def _python_folders(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink() and not _is_left_out(path):
            yield path
            yield from _python_folders(path)


def _is_left_out(folder: Path) -> bool:
    if folder.name.startswith(".") or folder.name in ("__pycache__", "node_modules"):
        return True
    return (folder / "pyvenv.cfg").exists()


@cache
def _places(name: str) -> tuple[Path, ...]:
    """Where a top-level module would be imported from: files, or folders of packages."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return ()
    if spec is None:
        return ()
    if spec.submodule_search_locations:
        return tuple(Path(place) for place in spec.submodule_search_locations)
    return (Path(spec.origin),) if spec.origin and spec.has_location else ()
