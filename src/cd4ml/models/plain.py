"""Rows of a program as JSON would have them: NumPy's numbers, times, and names that are no texts.

It imports NumPy only: a packaged model (`serving.packaging`) takes this very file along.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

_OTHERS = (np.generic, datetime)


def plain(row: Any) -> Any:
    """The row with Python's own numbers for NumPy's, and a text for a time; what is no row stays so.

    A time without a zone stays what it is, and is none that a contract takes. A name that is no text
    is no field's: it becomes a text that none has.

    Examples:
        >>> from datetime import UTC
        >>> plain({"hour": np.int64(17), "is_late": np.bool_(True), "dest": "BOS"})
        {'hour': 17, 'is_late': True, 'dest': 'BOS'}
        >>> plain({"at": datetime(2013, 2, 1, 5, tzinfo=UTC)})
        {'at': '2013-02-01T05:00:00+00:00'}
        >>> plain({1: 2}), plain(5)
        ({'1 (int)': 2}, 5)
    """
    if not isinstance(row, Mapping):
        return row
    is_plain = all(isinstance(name, str) for name in row) and not any(
        isinstance(value, _OTHERS) for value in row.values()
    )
    return row if is_plain else {_name(name): _value(value) for name, value in row.items()}


def _name(name: Any) -> str:
    return name if isinstance(name, str) else f"{name!r} ({type(name).__name__})"


def _value(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value
