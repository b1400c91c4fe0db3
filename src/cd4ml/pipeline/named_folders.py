"""Folders that code hands to a reader of tables, which looks through them unseen.

`pl.scan_csv("parts")`, or `"parts/*.csv"`, lists a folder in Rust: Python reports nothing of
it. Such a folder counts with all that it holds: names and contents.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from cd4ml.pipeline.file_names import MAGIC
from cd4ml.pipeline.named_files import is_read, small_files
from cd4ml.store.address import address_of_file, address_of_record

_NAME_LENGTH = 200  # a longer string is no folder's name


def folders_named(folder: Path, text: str, beside: Path) -> list[str]:
    """The project's folders that a text names, or looks through by a pattern, as "parts/".

    Args:
        folder: The project's.
        text: What stands in the code, or is the value of a parameter.
        beside: The folder of the module that it stands in.
    """
    if not 0 < len(text) < _NAME_LENGTH or "\0" in text:
        return []
    parts = PurePosixPath(text).parts
    fixed = next((n for n, part in enumerate(parts) if MAGIC.search(part)), len(parts))
    found = {(start / Path(*parts[:fixed])).resolve() for start in (folder, beside)}
    names = (path.relative_to(folder) for path in found if path.is_relative_to(folder))
    return sorted(
        f"{name}/"
        for name in names
        if name.parts
        and not any(part.startswith(".") for part in name.parts)
        and (folder / name).is_dir()
    )


def folders_of_value(folder: Path, value: Any) -> set[str]:
    """Those that the value of a parameter names."""
    if isinstance(value, str):
        return set(folders_named(folder, value, folder))
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    inner = value if isinstance(value, list | tuple) else ()
    return {name for each in inner for name in folders_of_value(folder, each)}


def is_folder(name: str) -> bool:
    """Whether what is meant is a folder with all that it holds, rather than a file."""
    return name.endswith("/")


def files_in_folder(path: Path) -> list[Path]:
    """The files below a folder that count: not pictures, logs and the like."""
    return sorted(file for file in small_files(path, most=None) if is_read(file.name))


def digest_of_folder(path: Path) -> str:
    """What stands for all that a folder holds; "" if there is none.

    Raises:
        OSError: If something in it cannot be read.
    """
    if not path.is_dir():
        return ""
    return address_of_record(
        {str(file.relative_to(path)): address_of_file(file) for file in files_in_folder(path)}
    )
