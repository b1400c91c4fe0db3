"""Changes of the environment that threads of libraries may read meanwhile.

`setenv` may move the list of variables and free the old one, and a thread in `getenv` then reads
freed memory. Tests change variables all the time, and Polars and Delta read some on threads of
their own: that has crashed whole test runs. Here every change makes a new list, and no list is
ever freed, not even when the interpreter ends: those threads live a moment longer.
"""

import ctypes
import os

Text = str | bytes | os.PathLike[str] | os.PathLike[bytes]  # as `os.putenv` takes it

_libc = ctypes.CDLL(None)
_environ = ctypes.c_void_p.in_dll(_libc, "environ")


def change_safely() -> None:
    """Let `os.environ` change the environment of this process so, from now on."""
    os.putenv = _put
    os.unsetenv = _unset


def _put(name: Text, value: Text) -> None:
    named = os.fsencode(name)
    _replace([*_without(named), named + b"=" + os.fsencode(value)])


def _unset(name: Text) -> None:
    _replace(_without(os.fsencode(name)))


def _without(name: bytes) -> list[bytes]:
    present = ctypes.cast(_environ.value or 0, ctypes.POINTER(ctypes.c_char_p))
    found = []
    place = 0
    while present and (entry := present[place]) is not None:
        place += 1
        if not entry.startswith(name + b"="):
            found.append(entry)
    return found


def _replace(entries: list[bytes]) -> None:
    fresh = (ctypes.c_char_p * (len(entries) + 1))(*entries, None)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(fresh))
    _environ.value = ctypes.addressof(fresh)
