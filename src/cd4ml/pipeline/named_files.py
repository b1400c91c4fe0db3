"""The files of a project that its code, or a parameter, calls by name.

Files of settings and data that are named outright count in the fingerprint, also before they
are there. Others only may be meant: a part of a path that is put together elsewhere, an
ending that says nothing. They are looked after beside the fingerprint, unless the step itself writes them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from cd4ml.pipeline.code import Statement
from cd4ml.pipeline.file_names import MAGIC

_NAME_LENGTH = 200  # a longer string is no file name

# what code reads from, so that it counts even before it is there
_READ = (".cfg", ".csv", ".ini", ".j2", ".json", ".jsonl", ".ndjson", ".parquet", ".sql", ".toml",
         ".tsv", ".xml", ".yaml", ".yml")  # fmt: skip
# what code writes to beside its results, and code itself
_WRITTEN = (".html", ".jpeg", ".jpg", ".lock", ".log", ".pdf", ".pid", ".png", ".py", ".pyc",
            ".svg", ".tmp")  # fmt: skip
_FILE_NAME = re.compile(r"[\w\-./ ]*[\w\-]\.\w{1,8}(\.\w{1,4})?")
_ENDING = re.compile(r"\.\w{1,8}$")
_STEM = re.compile(r"[\w./ -]*\w")
_ANOTHER_ENDING = frozenset(["with_name", "with_stem", "with_suffix"])
_NOT_OWN = frozenset([".cd4ml", ".git", ".venv", "__pycache__", "node_modules"])


class NamedFiles:
    """The files of one project as they are now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: list[Path] | None = None
        self._known: dict[tuple[str, Path], list[Path]] = {}

    def named(self, text: str, beside: Path) -> list[Path]:
        """The files of settings or data that a string names outright, there or not.

        The name is relative to the project or to the module it stands in.
        """
        if not _is_possible(text) or not text.lower().endswith(_READ):
            return []
        return sorted(path for path in self._direct(text, beside) if self._is_own(path))

    def made_up(self, statement: Statement) -> list[Path]:
        """Those whose names a statement may make up, or find in a folder."""
        found = self._made_up(statement)
        return sorted(path for path in found if path.name.lower().endswith(_READ))

    def perhaps(self, statement: Statement) -> list[Path]:
        """Those that a statement may mean beside; what is named outright also if it is not there."""
        found = {
            path
            for text in statement.strings
            for path in self._perhaps(text, statement.module.path)
        }
        found |= self._made_up(statement)
        return sorted(path for path in found if self._is_own(path) and is_read(path.name))

    def of_value(self, value: Any) -> list[Path]:
        """Those that the value of a parameter names, or may mean."""
        if isinstance(value, str):
            found = {*self.named(value, self.folder / "_"), *self._perhaps(value, self.folder)}
            return sorted(path for path in found if self._is_own(path) and is_read(path.name))
        if isinstance(value, dict):
            value = [*value.keys(), *value.values()]
        inner = value if isinstance(value, list | tuple) else ()
        return sorted({path for each in inner for path in self.of_value(each)})

    def may_appear(self, statement: Statement) -> bool:
        """Whether a file may count because of what it is called, once it is there."""
        return (
            statement.lists_folders
            or bool(statement.attributes & _ANOTHER_ENDING)
            or any(
                _ENDING.search(each) and is_read(each)
                for each in (*statement.patterns, *filter(MAGIC.search, statement.strings))
            )
            or any(
                _FILE_NAME.fullmatch(text)
                and is_read(text)
                and not any(p.is_file() for p in self._direct(text, statement.module.path))
                for text in filter(_is_possible, statement.strings)
            )
        )

    def _direct(self, text: str, beside: Path) -> set[Path]:
        return {(start / text).resolve() for start in (self.folder, beside.parent)}

    def _perhaps(self, text: str, beside: Path) -> list[Path]:
        key = (text, beside.parent)
        if key not in self._known:
            self._known[key] = list(self._meant(text, beside))
        return self._known[key]

    def _meant(self, text: str, beside: Path) -> Iterator[Path]:
        if not _is_possible(text) or not is_read(text):
            return
        is_name = _FILE_NAME.fullmatch(text) is not None
        if not is_name and not any(
            os.path.isfile(at / text) for at in (self.folder, beside.parent)
        ):
            return
        for path in self._direct(text, beside):
            if path.is_file() or (is_name and not path.exists()):
                yield path
        if is_name:
            ending = f"/{text.lstrip('./')}"
            yield from (path for path in self._all() if str(path).endswith(ending))

    def _made_up(self, statement: Statement) -> set[Path]:
        beside = statement.module.path.parent
        found: set[Path] = set()
        for pattern in (*statement.patterns, *filter(MAGIC.search, statement.strings)):
            if _ENDING.search(pattern) and is_read(pattern) and not pattern.startswith("/"):
                for start in (self.folder, beside):
                    found.update(start.glob(pattern))
                if "/" not in pattern:  # below a folder that nobody can tell
                    found.update(path for path in self._all() if fnmatch(path.name, pattern))
        if statement.attributes & _ANOTHER_ENDING:
            for text in filter(_is_possible, statement.strings):
                if _STEM.fullmatch(text) and not text.startswith("/"):
                    for start in (self.folder, beside):
                        found.update(start.glob(f"{Path(text).with_suffix('')}.*"))
        if statement.lists_folders:
            for text in filter(_is_possible, statement.strings):
                for start in (self.folder, beside):
                    if (start / text).is_dir():
                        found.update((start / text).rglob("*"))
        return {path for path in found if path.is_file() and self._is_own(path.resolve())}

    def _all(self) -> list[Path]:
        if self._files is None:
            self._files = list(small_files(self.folder, most=None))
        return self._files

    def _is_own(self, path: Path) -> bool:
        if not path.is_relative_to(self.folder):
            return False
        return _NOT_OWN.isdisjoint(path.relative_to(self.folder).parts)


def small_files(folder: Path, most: int | None) -> Iterator[Path]:
    """The files below a folder of at most so many bytes, without hidden ones and environments."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not path.is_symlink() and not is_left_out(path):
                yield from small_files(path, most)
        elif path.is_file() and (most is None or path.stat().st_size <= most):
            yield path


def is_left_out(folder: Path) -> bool:
    """Whether a folder is none of the project: hidden, of Python's or an environment."""
    if folder.name.startswith(".") or folder.name in ("__pycache__", "node_modules"):
        return True
    return (folder / "pyvenv.cfg").exists()


def _is_possible(text: str) -> bool:
    return 0 < len(text) < _NAME_LENGTH and "\0" not in text


def is_read(name: str) -> bool:
    """Whether code reads from a file of such a name, or pattern, rather than writes to it."""
    return not name.lower().endswith((*_WRITTEN, "*", "/"))
