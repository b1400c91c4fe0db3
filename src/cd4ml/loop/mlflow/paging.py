"""Pages of a list, and the token that leads to the next one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from cd4ml.errors import InvalidInput

T = TypeVar("T")


class Page(NamedTuple):
    """Where a page begins, and how many it has at most."""

    start: int
    size: int

    def of(self, everything: Sequence[T]) -> tuple[list[T], str]:
        """The things on this page, and the token of the next one; "" if this is the last."""
        end = self.start + self.size
        return list(everything[self.start : end]), self.next_token(is_more=end < len(everything))

    def next_token(self, *, is_more: bool) -> str:
        """The token of the page after this one; "" if there is none."""
        return token_of(self.start + self.size) if is_more else ""


def page_of(token: str, asked: int | None, *, usual: int, most: int) -> Page:
    """The page that a client asks for.

    Args:
        token: From the page before; "" for the first.
        asked: How many it wants; None for as many as is usual.
        usual: How many that is.
        most: How many it may want.

    Raises:
        InvalidInput: If it wants none or too many, or the token is none of ours.
    """
    size = usual if asked is None else asked
    if not 1 <= size <= most:
        msg = f"expected max_results from 1 to {most:,}, got {size:,}"
        raise InvalidInput(msg, hint="ask for the next page with the token of this one")
    return Page(_start(token) if token else 0, size)


def token_of(start: int) -> str:
    """The token of the page that begins here.

    Examples:
        >>> _start(token_of(1000))
        1000
    """
    return base64.urlsafe_b64encode(f"from {start}".encode()).decode()


def _start(token: str) -> int:
    try:
        word, _, number = base64.urlsafe_b64decode(token).decode().partition(" ")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        word, number = "", ""
    if word != "from" or not (number.isascii() and number.isdigit()) or len(number) > 18:
        msg = f"expected a page_token that came with a page, got {token[:80]!r}"
        raise InvalidInput(msg, hint="leave it out for the first page")
    return int(number)
