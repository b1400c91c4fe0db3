"""Rows of a program as JSON would have them: what NumPy computed, and names that are no texts.

It imports NumPy only: a packaged model (`serving.packaging`) takes this very file along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(row: Any) -> Any:
    """The row with Python's own numbers for NumPy's; what is no row stays what it is.

    A name that is no text is no field's: it becomes a text that none has.

    Examples:
        >>> plain({"hour": np.int64(17), "is_late": np.bool_(True), "dest": "BOS"})
        {'hour': 17, 'is_late': True, 'dest': 'BOS'}
        >>> plain({1: 2}), plain(5)
        ({'1 (int)': 2}, 5)
    """
    if not isinstance(row, Mapping):
        return row
    is_plain = all(isinstance(name, str) for name in row) and not any(
        isinstance(value, np.generic) for value in row.values()
    )
    return row if is_plain else {_name(name): _value(value) for name, value in row.items()}


def _name(name: Any) -> str:
    return name if isinstance(name, str) else f"{name!r} ({type(name).__name__})"


def _value(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
