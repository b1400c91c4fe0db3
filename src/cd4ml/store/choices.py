"""What may stand where a TOML file has a word that is none of those allowed."""

from __future__ import annotations

import re

import msgspec
from msgspec import inspect

_WRONG = re.compile(r"invalid enum value (.+?) - at `(?:key in )?(.+)`", re.IGNORECASE | re.DOTALL)
_PART = re.compile(r"\[[^\]]*\]|[^.\[\]]+")


def named_choices(message: str, kind: type[msgspec.Struct]) -> str:
    """A message of msgspec about a wrong word, with the words that are allowed there.

    Args:
        message: As msgspec says it, with or without "$." before the place.
        kind: What was read.

    Examples:
        >>> from cd4ml.records.settings import Settings
        >>> named_choices("Invalid enum value 'link' - at `$.data[...].store`", Settings)
        "expected one of copy, hardlink, reference, got 'link' - at `data[...].store`"
    """
    found = _WRONG.fullmatch(message)
    if found is None:
        return message
    value, place = found[1], found[2].removeprefix("$.")
    # kinds of the same table may have the same key
    words = dict.fromkeys(_words(inspect.type_info(kind), _PART.findall(place)))
    return f"expected one of {', '.join(words)}, got {value} - at `{place}`" if words else message


def _words(type_: inspect.Type, path: list[str]) -> list[str]:
    """The words that are allowed at a place below a type; none if it is no such place."""
    if isinstance(type_, inspect.UnionType):
        return [word for each in type_.types for word in _words(each, path)]
    if not path:
        return [str(value) for value in getattr(type_, "values", ())]
    name, *rest = path
    if isinstance(type_, inspect.StructType):
        fields = {field.encode_name: field.type for field in type_.fields}
        return _words(fields[name], rest) if name in fields else []
    if isinstance(type_, inspect.DictType):
        return _words(type_.value_type, rest)
    if isinstance(type_, inspect.VarTupleType | inspect.ListType):
        return _words(type_.item_type, rest)
    return []
