"""What a text of a CSV stands for, read as its field's type.

It imports nothing but Python's own library and its neighbour: a packaged model
(`serving.packaging`) takes this very file along, so that it reads what an endpoint reads.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from cd4ml.models.violations import LARGEST_INTEGER

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")  # RFC 8259, 6
_DIGITS = re.compile(r"-?[0-9]{1,1000}")
_TRUTH = {"true": True, "false": False}


def value_of(text: str, kind: str | None) -> Any:
    """The value of a text for a field of this type; an empty one is null.

    Numbers are written as JSON writes them, and an integer is exact. What cannot be read so stays a
    text, and is a violation.

    Examples:
        >>> value_of("17", "integer"), value_of("17.0", "integer"), value_of("", "integer")
        (17, 17, None)
        >>> value_of("1_000", "number"), value_of("TRUE", "boolean"), value_of("1", "boolean")
        ('1_000', True, '1')
    """
    if text == "":
        return None
    if kind == "boolean":
        return _TRUTH.get(text.lower(), text)
    if kind not in ("integer", "number"):
        return text
    plain = text.strip(" \t")
    if not _NUMBER.fullmatch(plain):
        return text
    return _integer_of(plain) if kind == "integer" else float(plain)


def _integer_of(text: str) -> Any:
    """A number as the integer that it is; itself, or its text, if it is none."""
    value = float(text)
    if not abs(value) <= LARGEST_INTEGER:
        return int(text) if _DIGITS.fullmatch(text) else value
    exact = Decimal(text) if value else Decimal(0)  # 0e999999999 is 0 at once
    if exact == exact.to_integral_value():
        return int(exact)
    return text if value.is_integer() else value
