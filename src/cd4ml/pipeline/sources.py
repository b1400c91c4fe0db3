"""The modules of one project, found by name below its folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from cd4ml.pipeline import signs
from cd4ml.pipeline.code import Import, Module, Statement
from cd4ml.pipeline.module import BUILT_IN, is_installed_file
from cd4ml.pipeline.named_files import NamedFiles, is_left_out, small_files
from cd4ml.store.address import address_of_file

_NAME_LENGTH = 200  # a longer string is no file name
_SEARCHED = {("sys", "path"), ("sys", "meta_path"), ("sys", "path_hooks"), ("site", "addsitedir")}
_LARGEST = 1 << 20  # bytes; larger files are data


class Sources:
    """A project's Python files as they are on disk now, parsed when they are first asked for."""

    def __init__(self, folder: Path, start: str) -> None:
        self.folder = folder.resolve()
        self.start = start
        self._parsed: dict[str, Module | None] = {}
        self._read: dict[Path, tuple[tuple[int, ...], str]] = {}
        self.named_files = NamedFiles(self.folder)
        self._has: dict[str, bool] = {}
        self._optional: set[str] | None = None
        self.seen: dict[str, str] = {}  # what `state` said last

    def module(self, name: str) -> Module | None:
        """The project's module of this name; None if it has none, or only a compiled one."""
        if name not in self._parsed:
            self._parsed[name] = self._parse(name)
        return self._parsed[name]

    def parsed(self) -> list[Module]:
        """The modules that were parsed so far."""
        return [module for module in self._parsed.values() if module is not None]

    def digest(self, path: Path) -> str:
        """The address of a file's bytes, read once as long as it stays the same."""
        stamp = signs.stamp_of(str(path))
        known = self._read.get(path)
        if known is None or known[0] != stamp:
            known = self._read[path] = (stamp, address_of_file(path))
        return known[1]

    def digest_now(self, path: Path) -> str:
        """The same, "" if there is no such file."""
        return self.digest(path) if path.is_file() else ""

    def is_as_read(self, path: Path) -> bool:
        """Whether a file still is what `digest` said when it was asked for it first."""
        if path not in self._read:
            return True
        stamp, digest = self._read[path]
        now = signs.stamp_of(str(path))
        return now == stamp or (bool(now) and address_of_file(path) == digest)

    def has(self, top_level: str) -> bool:
        """Whether a top-level name is the project's own."""
        if top_level not in self._has:
            self._has[top_level] = self._find(top_level)
        return self._has[top_level]

    def _find(self, top_level: str) -> bool:
        if top_level in BUILT_IN:
            return False
        if top_level in sys.stdlib_module_names:
            return bool(self._path(top_level))  # the project's comes first, as for Python itself
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
        possible = (word for word in words if 0 < len(word) < _NAME_LENGTH and "\0" not in word)
        found = ((self.folder / word).resolve() for word in possible)
        return [path for path in found if self._is_own(path) and path.is_file()]

    def matching(self, patterns: Iterable[str]) -> list[Path]:
        """The project's files that these patterns name; those of a folder, if that is named."""
        found: set[Path] = set()
        for pattern in patterns:
            for path in self.folder.glob(pattern):
                found.update(small_files(path, most=None) if path.is_dir() else [path])
        return sorted(path for path in found if path.is_file())

    def everything(self) -> list[Path]:
        """Every file of the project that is small enough to be code."""
        return sorted(small_files(self.folder, most=_LARGEST))

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
        return sorted(path for path in self.named_anywhere() if not path.is_file())

    def state(self) -> dict[str, str]:
        """Path -> address of every file that importing the pipeline may read, to the byte."""
        own = {*self.files(), *self.named_anywhere()}
        foreign: set[Path] = set()
        for module in self.modules():
            for name in module.modules:
                own.update(self.compiled(name))
                foreign.update(self.elsewhere(name.partition(".")[0]))
        self.seen = {
            str(path): self.digest(path) for path in sorted(own | foreign) if path.is_file()
        }
        return self.seen

    def named_anywhere(self) -> set[Path]:
        """The files of settings or data that any code names, there or not."""
        return {
            path
            for each in self._statements()
            for path in (
                *(
                    p
                    for text in each.strings
                    for p in self.named_files.named(text, each.module.path)
                ),
                *self.named_files.made_up(each),
            )
        }

    def meant_anywhere(self) -> set[Path]:
        """The files that any code names, or may mean."""
        meant = (path for each in self._statements() for path in self.named_files.perhaps(each))
        return {*self.named_anywhere(), *meant}

    def compiled(self, name: str) -> list[Path]:
        """The project's compiled modules of this name."""
        stem = self.folder.joinpath(*name.split("."))
        found = (stem.with_name(stem.name + suffix) for suffix in EXTENSION_SUFFIXES)
        return [path for path in found if path.is_file()]

    def may_appear(self) -> bool:
        """Whether a file may count because of what it is called, once it is there."""
        return any(map(self.named_files.may_appear, self._statements()))

    def _statements(self) -> list[Statement]:
        return [each for module in self.modules() for each in module.statements]

    def is_known(self, name: str) -> bool:
        """Whether a foreign top-level module is there to be imported."""
        return name in sys.stdlib_module_names or name == "cd4ml" or bool(_places(name))

    def does_without(self, name: str) -> bool:
        """Whether the project's code tries to import a module, and nothing would find it now."""
        if self._optional is None:
            statements = self._statements()
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
        if self.has(name) or name in sys.stdlib_module_names or name == "cd4ml":
            return []
        return [place for place in _places(name) if not is_installed_file(place)]

    def _parse(self, name: str) -> Module | None:
        path = self._path(name)
        if path is None:
            return None
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


def _python_files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_file() and path.suffix == ".py":
            yield path
        elif path.is_dir() and not path.is_symlink() and not is_left_out(path):
            yield from _python_files(path)


def _python_folders(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink() and not is_left_out(path):
            yield path
            yield from _python_folders(path)


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
