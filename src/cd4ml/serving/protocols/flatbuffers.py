"""Tables of a FlatBuffer that a stranger wrote: no offset is followed out of its bytes.

Source:
    https://flatbuffers.dev/internals/, "Tables" and "Vectors"
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")

UBYTE = struct.Struct("<B")
SHORT = struct.Struct("<h")
INT = struct.Struct("<i")
LONG = struct.Struct("<q")


class Damaged(ValueError):
    """Bytes that are not what they say."""


class Table(NamedTuple):
    """One table: its fields are asked for by their slot, as the schema numbers them."""

    data: bytes
    place: int

    @classmethod
    def root(cls, data: bytes) -> Self:
        """The table that a buffer is about.

        Raises:
            Damaged: If there is none.
        """
        (place,) = _read(_U32, data, 0)
        return cls(data, place)

    def number(self, slot: int, form: struct.Struct, default: int = 0) -> int:
        """A scalar; what a table lacks is its default.

        Raises:
            Damaged: If it lies outside.
        """
        place = self.found(slot)
        return default if place is None else int(_read(form, self.data, place)[0])

    def text(self, slot: int) -> str:
        """A string; "" where there is none.

        Raises:
            Damaged: If it lies outside, or is not UTF-8.
        """
        place = self.pointed(slot)
        if place is None:
            return ""
        (length,) = _read(_U32, self.data, place)
        if place + 4 + length > len(self.data):
            raise Damaged("a name is cut off")
        try:
            return self.data[place + 4 : place + 4 + length].decode()
        except UnicodeDecodeError:
            raise Damaged("a name is not UTF-8") from None

    def table(self, slot: int) -> Table | None:
        """Another table.

        Raises:
            Damaged: If it lies outside.
        """
        place = self.pointed(slot)
        return None if place is None else Table(self.data, place)

    def length(self, slot: int) -> int:
        """How many elements a vector says it has.

        Raises:
            Damaged: If it lies outside.
        """
        place = self.pointed(slot)
        return 0 if place is None else int(_read(_U32, self.data, place)[0])

    def tables(self, slot: int) -> list[Table]:
        """A vector of tables; the caller has looked at its length.

        Raises:
            Damaged: If it lies outside.
        """
        places = self.vector(slot, _U32)
        first = (self.pointed(slot) or 0) + 4
        return [Table(self.data, first + 4 * i + offset) for i, (offset,) in enumerate(places)]

    def vector(self, slot: int, form: struct.Struct) -> Sequence[tuple[Any, ...]]:
        """A vector of scalars or structs.

        Raises:
            Damaged: If it lies outside.
        """
        place = self.pointed(slot)
        if place is None:
            return []
        (n,) = _read(_U32, self.data, place)
        end = place + 4 + n * form.size
        if end > len(self.data):
            raise Damaged("a list is cut off")
        return list(form.iter_unpack(self.data[place + 4 : end]))

    def pointed(self, slot: int) -> int | None:
        """Where that is at which a field points; None if the table lacks it.

        Raises:
            Damaged: If it lies outside.
        """
        place = self.found(slot)
        return None if place is None else place + int(_read(_U32, self.data, place)[0])

    def found(self, slot: int) -> int | None:
        """Where a field is; None if the table lacks it.

        Raises:
            Damaged: If it lies outside.
        """
        (back,) = _read(_I32, self.data, self.place)
        names = self.place - back
        (size,) = _read(_U16, self.data, names)
        if 4 + 2 * slot + 2 > size:
            return None
        (offset,) = _read(_U16, self.data, names + 4 + 2 * slot)
        return self.place + offset if offset else None


def _read(form: struct.Struct, data: bytes, place: int) -> tuple[Any, ...]:
    if not 0 <= place <= len(data) - form.size:
        raise Damaged("an offset points outside of its message")
    return form.unpack_from(data, place)
