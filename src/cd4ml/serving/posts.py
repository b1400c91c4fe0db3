"""What a worker is told by the supervisor that starts it, and tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

import msgspec

from cd4ml.serving.board import Board


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker has to know; descriptors are among those that it was started with."""

    project: str  # its folder
    environment: str
    url: str
    needs_token: bool
    number: int  # from 0
    n_workers: int
    listening: int
    control: int
    board: int


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker tells: that it accepts connections, or why it never will."""

    is_ready: bool = False
    error: str = ""
    hint: str = ""


class Post(NamedTuple):
    """A worker's place among those of one endpoint; the board has one slot more, the supervisor's."""

    number: int
    n_workers: int
    board: Board
    when_ready: Callable[[], None]

    @classmethod
    def taken(cls, orders: Orders, when_ready: Callable[[], None]) -> Self:
        """The place that was given."""
        board = Board(orders.n_workers + 1, orders.board)
        return cls(orders.number, orders.n_workers, board, when_ready)
