"""What SQLite and PostgreSQL both keep, and give back as it was.

Each of the two keeps things that the other refuses or changes: PostgreSQL has no NUL in
a text, SQLite no NaN. A record with such a value is refused on both, so that a project
can move from one to the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from math import isfinite
from typing import Any

_INTEGERS = range(-(2**63), 2**63)
_MOST_SHOWN = 60  # characters of a value


def problem(value: Any, path: str = "") -> str:
    """What keeps a value from being stored, and where in it; "" if nothing does.

    Looks into lists and dicts: JSON columns take them.

    Examples:
        >>> problem({"auc": 0.7})
        ''
        >>> problem({"auc": float("nan")}, "details")
        "expected a finite number, got nan - at `details['auc']`"
    """
    match value:
        case dict():
            return _first(
                problem(key, f"a key of {path}") or problem(item, f"{path}[{key!r}]")
                for key, item in value.items()
            )
        case list() | tuple():
            return _first(problem(item, f"{path}[{i}]") for i, item in enumerate(value))
    expected = _expected(value)
    place = f" - at `{path}`" if path else ""
    return f"expected {expected}, got {_shown(value)}{place}" if expected else ""


def printable(text: str) -> str:
    r"""A text that can be stored, whatever it came from (a program's last words).

    Examples:
        >>> printable("cannot read \0\udcff")
        'cannot read ��'
    """
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if _is_unicode(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _expected(value: Any) -> str:
    """What should have come in place of the value; "" if it can be stored."""
    match value:
        case str() if "\0" in value:
            return "text without NUL characters"
        case str() if not _is_unicode(value):
            return "Unicode text"
        case bool():
            return ""
        case int() if value not in _INTEGERS:
            return "a whole number of at most 64 bits"
        case float() if not isfinite(value):
            return "a finite number"
        case datetime() if value.tzinfo is None:
            return "a time with its time zone"
    return ""


def _shown(value: Any) -> str:
    match value:
        case int():
            return f"one of {value.bit_length()}"
        case str():
            return repr(value)[:_MOST_SHOWN]
    return str(value)


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: bytes of a file name, as Python reads it
        return False
    return True


def _first(found: Iterable[str]) -> str:
    return next(filter(None, found), "")
