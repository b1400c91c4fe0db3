"""What people log, as what can be kept: numbers of any library, parameters of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from cd4ml.errors import InvalidInput
from cd4ml.store.storable import printable

_INTEGERS = range(-(2**63), 2**63)


def number_of(name: str, value: Any) -> float | None:
    """A metric's value as a float; None stays, and so do NaN and infinities.

    Raises:
        InvalidInput: If it is no single real number.

    Examples:
        >>> import numpy as np
        >>> number_of("auc", np.float32(0.5)), number_of("n", True), number_of("gap", None)
        (0.5, 1.0, None)
        >>> number_of("auc", "high")
        Traceback (most recent call last):
        cd4ml.errors.InvalidInput: the metric 'auc' is a number or None, got 'high'
    """
    if value is None or type(value) is float:
        return value
    is_single = hasattr(value, "__float__") and not getattr(value, "ndim", 0)
    if not is_single or isinstance(value, (str, bytes, complex)):
        raise InvalidInput(f"the metric {name!r} is a number or None, got {str(value)[:60]!r}")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"the metric {name!r} is a number or None, got one that is none: {error}"
        raise InvalidInput(msg) from None


def numbers_of(
    values: Mapping[str, Any] | None, named: Mapping[str, Any]
) -> dict[str, float | None]:
    """Metrics given as a mapping, by name, or both.

    Raises:
        InvalidInput: If one is no number, or a name no text.
    """
    found = {**(values or {}), **named}
    for name in found:
        if not isinstance(name, str):
            raise InvalidInput(f"a metric's name is a text, got {name!r}")
    return {name: number_of(name, value) for name, value in found.items()}


def plain(value: Any) -> Any:
    """A parameter as plain data: what JSON cannot hold becomes the text that it prints.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> plain({"rate": np.float64(0.1), "path": Path("a"), "sizes": (3, 4)})
        {'rate': 0.1, 'path': 'a', 'sizes': [3, 4]}
        >>> plain(float("inf")), plain(10**30)
        ('inf', '1000000000000000000000000000000')
    """
    match value:
        case None | bool():
            return value
        case str():
            return printable(str(value))
        case int() if type(value) is int:
            return value if value in _INTEGERS else str(value)
        case float() if type(value) is float:
            return value if isfinite(value) else str(value)
        case Mapping():
            return {printable(str(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    if not getattr(value, "ndim", 1):  # a scalar of NumPy, or an array with one value
        return plain(value.item())
    return printable(str(value))
