"""What files of settings say: texts that may name what a step reads unseen."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LINES = (".cfg", ".ini", ".yaml", ".yml")
_LARGEST = 1 << 20  # bytes; larger files are data
_VALUE = re.compile(r"""^[^\n#:=]*[:=-][ \t]+["']?([^"'#\n]+?)["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


def texts_said_in(path: Path) -> list[str]:
    """The texts that stand as values in a file of settings; none where it is no such file.

    JSON and TOML are read as such, of YAML and INI the values that stand on one line.
    """
    suffix = path.suffix.lower()
    if suffix not in (".json", ".toml", *_LINES):
        return []
    try:
        if path.stat().st_size > _LARGEST:
            return []
        text = path.read_text("utf-8")
        if suffix in _LINES:
            return _VALUE.findall(text)
        return list(texts_in(json.loads(text) if suffix == ".json" else tomllib.loads(text)))
    except (OSError, ValueError, RecursionError):
        return []  # whoever reads it says what is wrong with it


def texts_in(value: Any) -> Iterator[str]:
    """The texts in plain data, without the keys of its tables.

    Examples:
        >>> list(texts_in({"path": "data/a.csv", "also": ["b", 3]}))
        ['data/a.csv', 'b']
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_in(each)
