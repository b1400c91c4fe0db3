"""What an address of the API is: its path, the fields it takes, the use-case that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from cd4ml.api import bodies
from cd4ml.loop import Project


class Reading(NamedTuple):
    """A GET: its path, the fields it takes, and the use-case that answers."""

    path: str
    asks: type[bodies.Asked]
    answer: Callable[[Project, Any], object]
    summary: str
    method: Literal["GET"] = "GET"


class Asking(NamedTuple):
    """A GET whose answer depends on who asks: the header may say so, and need not."""

    path: str
    asks: type[bodies.Asked]
    answer: Callable[[Project, Any, str], object]
    summary: str
    method: Literal["GET"] = "GET"


class Acting(NamedTuple):
    """A POST: like a GET, and somebody does it."""

    path: str
    asks: type[bodies.Asked]
    act: Callable[[Project, Any, str], object]
    summary: str
    method: Literal["POST"] = "POST"


class Minting(NamedTuple):
    """A POST that depends on the secret with which somebody does it; "" where none is shown."""

    path: str
    asks: type[bodies.Asked]
    mint: Callable[[Project, Any, str, str], object]
    summary: str
    method: Literal["POST"] = "POST"


class Received(NamedTuple):
    """A body as it came: its bytes, what it says it is, and what its sender calls it."""

    body: bytes
    content_type: str
    key: str


class Receiving(NamedTuple):
    """A POST of something else than fields, by somebody who shows a token."""

    path: str
    asks: type[bodies.Asked]
    takes: tuple[str, ...]  # content types
    receive: Callable[[Project, Any, Received, str], object]
    summary: str
    method: Literal["POST"] = "POST"


Endpoint = Reading | Asking | Acting | Minting | Receiving
