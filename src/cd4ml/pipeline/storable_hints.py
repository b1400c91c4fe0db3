"""Return hints of which it is certain that no step's output can be stored so."""

from __future__ import annotations

import collections.abc
import datetime
import inspect
import types
import typing
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

STORABLE = (
    "return a polars DataFrame, a numpy array, a fitted estimator, metrics, a Path, or plain data"
)

_NEVER: tuple[type, ...] = (
    set,
    frozenset,
    bytes,
    bytearray,
    memoryview,
    complex,
    range,
    types.ModuleType,
    types.FunctionType,
    datetime.date,
    datetime.time,
    datetime.timedelta,
)
_NEVER_ABSTRACT = (
    collections.abc.Callable,
    collections.abc.Generator,
    collections.abc.Iterator,
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterator,
    collections.abc.Awaitable,
    collections.abc.Coroutine,
    collections.abc.Set,
    collections.abc.MutableSet,
)
_PLAIN: tuple[type, ...] = (bool, int, float, str, list, tuple, dict, PurePath, type(None))
_ESTIMATOR = ("fit", "predict", "predict_proba", "predict_one")


def returned_by(function: Callable[..., Any]) -> Any:
    """The return hint of a function, as a type where the hint is text that can be evaluated."""
    try:
        return inspect.signature(function, eval_str=True).return_annotation
    except Exception:  # names that only a type checker knows
        return inspect.signature(function).return_annotation


def unstorable(hint: Any) -> str:
    """What of a return hint can surely not be stored, as it is written; "" if it may be.

    What is not known is let through: what comes is looked at when it is stored.

    Examples:
        >>> unstorable(set[int]), unstorable(int | bytes), unstorable(dict[str, float])
        ('set[int]', 'bytes', '')
    """
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return next((what for part in typing.get_args(hint) if (what := unstorable(part))), "")
    if origin is typing.Annotated or isinstance(hint, str):
        return ""
    kind = origin or hint
    is_wrong = kind in _NEVER_ABSTRACT or (isinstance(kind, type) and _is_never(kind))
    return inspect.formatannotation(hint) if is_wrong else ""


def _is_never(kind: type) -> bool:
    if issubclass(kind, _NEVER):
        return True
    if kind in (object, Any) or issubclass(kind, _PLAIN) or inspect.isabstract(kind):
        return False
    home = kind.__module__.partition(".")[0]
    if home == "polars":
        return kind.__name__ not in ("DataFrame", "LazyFrame")
    if home in ("pandas", "pyarrow"):
        return True
    is_record = hasattr(kind, "__dataclass_fields__") or hasattr(kind, "__struct_fields__")
    return is_record and not any(hasattr(kind, name) for name in _ESTIMATOR)
