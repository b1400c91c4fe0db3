"""Tables that a process holds ready for the steps that come next."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_LIMIT = 2 * 10**9  # bytes of a process


class NoTables:
    """No table is held ready."""

    def get(self, address: str) -> Any | None:
        """Nothing."""
        return None

    def put(self, address: str, frame: Any) -> None:
        """It is read again by whoever needs it."""

    def drop(self, addresses: tuple[str, ...]) -> None:
        """There is none."""


class HeldTables:
    """The tables that this process holds ready, the latest ones, up to a number of bytes.

    Who gets a table gets one of its own: adding or replacing a column there changes nothing here.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._frames: OrderedDict[str, pl.DataFrame] = OrderedDict()
        self._bytes = 0

    def get(self, address: str) -> pl.DataFrame | None:
        """The table of an address, where it is at hand."""
        frame = self._frames.get(address)
        return None if frame is None else frame.clone()

    def put(self, address: str, frame: pl.DataFrame) -> None:
        """Hold a table ready, if there is room; the oldest ones make it."""
        size = int(frame.estimated_size())
        if address in self._frames or size > self._limit:
            return
        while self._bytes + size > self._limit:
            self._forget(next(iter(self._frames)))
        self._frames[address] = frame.clone()
        self._bytes += size

    def drop(self, addresses: tuple[str, ...]) -> None:
        """Nobody needs them any more."""
        for address in addresses:
            if address in self._frames:
                self._forget(address)

    def _forget(self, address: str) -> None:
        self._bytes -= int(self._frames.pop(address).estimated_size())


class TablesOfTheProcess:
    """The tables of whichever process works with it: what is pickled is only that wish."""

    def get(self, address: str) -> pl.DataFrame | None:
        """The table of an address, where it is at hand."""
        return _HELD.get(address)

    def put(self, address: str, frame: pl.DataFrame) -> None:
        """Hold a table ready, if there is room."""
        _HELD.put(address, frame)

    def drop(self, addresses: tuple[str, ...]) -> None:
        """Nobody needs them any more."""
        _HELD.drop(addresses)


_HELD = HeldTables()


def is_plain(frame: pl.DataFrame) -> bool:
    """Whether a table is sure to be what is read back from Parquet, or comes through Arrow.

    Plain columns of numbers, text, dates and times are; whoever gets one that was held gets
    the same thing as one who reads it a month later.
    """
    import polars as pl

    plain = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Float32, pl.Float64)
    return all(dtype.is_integer() or isinstance(dtype, plain) for dtype in frame.schema.dtypes())
