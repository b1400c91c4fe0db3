"""What a process has logged and the database does not have yet: a file beside it.

One line, one write: what was logged is not lost when the process is killed. The lines are
read by `collection`. A process that only logs loads no database for it.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec


class File(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A file that was logged; its bytes are in the blob store."""

    path: str
    address: str
    n_bytes: int


class Data(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Data that was logged."""

    name: str
    digest: str
    context: str = ""
    source: str = ""
    source_type: str = ""
    schema: str = ""
    profile: str = ""
    tags: dict[str, str] = {}


class Entry(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A line: what one call logged. Numbers that JSON has not are words."""

    run: int
    time_ms: int
    by: str = ""
    step: int = 0
    metrics: dict[str, float | str | None] = {}
    parameters: dict[str, Any] = {}
    tags: dict[str, str] = {}
    note: str | None = None
    files: tuple[File, ...] = ()
    data: tuple[Data, ...] = ()


_ENCODER = msgspec.json.Encoder()


def encoded(entry: Entry) -> bytes:
    """The line of an entry, without its end."""
    return _ENCODER.encode(entry)


def in_json(value: float | None) -> float | str | None:
    """A value of a metric as a line has it.

    Examples:
        >>> in_json(float("-inf")), in_json(0.5), in_json(None)
        ('-inf', 0.5, None)
    """
    return value if value is None or isfinite(value) else str(value)
