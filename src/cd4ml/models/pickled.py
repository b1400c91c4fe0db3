"""Pickles that say the same in the same bytes, whatever their process has done before."""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
from types import FunctionType
from typing import Any

PROTOCOL = 5

_STATE = 2  # where a reduced object has its state


def dumps(value: Any) -> bytes:
    """A pickle of a value in which equal names of attributes are one.

    Pickle writes a text a second time unless it is the very same object. The names of an
    instance's attributes are those that its class met first in this process: one that
    was unpickled brings names of its own, one that was constructed those of the code. The
    same estimator then has other bytes. Here all of them are interned first.

    Raises:
        pickle.PicklingError, AttributeError, TypeError: If it holds what cannot be pickled.

    Examples:
        >>> pickle.loads(dumps({"a": [1, 2]}))
        {'a': [1, 2]}
    """
    buffer = io.BytesIO()
    _Pickler(buffer, PROTOCOL).dump(value)
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Interns the names and texts in the state of each instance."""

    def reducer_override(self, value: Any) -> Any:
        """How pickle would reduce an object, with its state's names made one."""
        if isinstance(value, type | FunctionType) or type(value) in copyreg.dispatch_table:
            return NotImplemented
        reduced = value.__reduce_ex__(PROTOCOL)
        if not isinstance(reduced, tuple) or len(reduced) <= _STATE:
            return NotImplemented if isinstance(reduced, str) else reduced
        state = _interned(reduced[_STATE])
        return (*reduced[:_STATE], state, *reduced[_STATE + 1 :])


def _interned(state: Any) -> Any:
    if type(state) is dict:
        return {_one(name): _one(value) for name, value in state.items()}
    if type(state) is tuple:  # of an object with slots
        return tuple(_interned(part) if type(part) is dict else part for part in state)
    return state


def _one(value: Any) -> Any:
    return sys.intern(value) if type(value) is str else value
