r"""Names of files as text that every database, JSON and screen can hold, and back.

A name in a folder is a row of bytes. Almost always it is UTF-8 text; where it is not, each
byte that does not belong is written `\\xff`, and a backslash is written twice.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath

from cd4ml.errors import Corrupted

_BYTE = re.compile(r"\\(\\|x[0-9a-f]{2})")


def written(name: str) -> str:
    r"""A name as the system gives it, as text.

    Examples:
        >>> written("New York/a b.png"), written(os.fsdecode(b"caf\\xe9")), written("a\\\\b")
        ('New York/a b.png', 'caf\\\\xe9', 'a\\\\\\\\b')
    """
    if name.isascii() and "\\" not in name:
        return name
    escaped = name.replace("\\", "\\\\")
    return "".join(
        rf"\x{os.fsencode(letter)[0]:02x}" if "\udc80" <= letter <= "\udcff" else letter
        for letter in escaped
    )


def spoken(text: str) -> str:
    r"""The name that was written so, as the system takes it.

    Examples:
        >>> os.fsencode(spoken("caf\\\\xe9")), spoken("a\\\\\\\\b")
        (b'caf\\xe9', 'a\\\\b')
    """
    return _BYTE.sub(_byte, text) if "\\" in text else text


def inside(text: str) -> str:
    """The name that was written so, if it leads nowhere out of the folder it is put in.

    Raises:
        Corrupted: If it does; no file that was added has such a name.
    """
    name = spoken(text)
    path = PurePosixPath(name)
    parts = name.split("/")
    if not name or "\0" in name or path.is_absolute() or {"", ".", ".."} & set(parts):
        msg = f"expected the name of a file below its folder, got {text!r}"
        raise Corrupted(msg, hint="the manifest was not written by cd4ml: trust nothing of it")
    return name


def _byte(found: re.Match[str]) -> str:
    what = found[1]
    return "\\" if what == "\\" else os.fsdecode(bytes.fromhex(what[1:]))
