"""The values of an Arrow column, of its bytes: each length and offset is looked at before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.serving.protocols.arrow_types import Kind
from cd4ml.serving.protocols.flatbuffers import Damaged
from cd4ml.serving.request import MAX_BYTES, RequestRefused

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST_S, _END_S = -62_135_596_800, 253_402_300_800  # the years 1 and 10000
_DAY_S = 86_400
_INLINE = 12  # bytes of a text that stand in its view


class Budget:
    """How many bytes a stream may still come to, when what it is short for is written out."""

    def __init__(self) -> None:
        self._left = MAX_BYTES

    def spend(self, n: int) -> None:
        """Take some of it.

        Raises:
            RequestRefused: With 413, if there are no more so many.
        """
        self._left -= n
        if self._left < 0:
            msg = (
                f"the stream holds more than {MAX_BYTES // 2**20} MB, uncompressed and written out"
            )
            raise RequestRefused(413, msg, hint="what compression and dictionaries save counts too")


@dataclass(frozen=True, slots=True)
class Outside:
    """A moment of no year that a text can name; it keeps no contract."""

    kind: str
    number: int

    def __str__(self) -> str:
        """As a violation shows it."""
        return f"{self.kind} {self.number}"


def values_of(kind: Kind, buffers: Sequence[memoryview], n: int, budget: Budget) -> list[Any]:
    """The values of a column of `n` rows, as JSON would have them.

    Raises:
        Damaged: If the buffers do not hold them.
        RequestRefused: If the texts exceed the budget.
    """
    if kind.form == "null":
        return [None] * n
    there = _bits(buffers[0], n) if len(buffers[0]) else None
    is_there = None if there is None or there.all() else there.tolist()
    if kind.form == "text":
        values = _texts(kind, buffers, n, is_there, budget)
    elif kind.form == "view":
        values = _views(buffers, n, is_there, budget)
    else:
        values = _FIXED[kind.form](kind, buffers[1], n)
    if is_there is None:
        return values
    return [value if here else None for value, here in zip(values, is_there, strict=True)]


def _bits(buffer: memoryview, n: int) -> NDArray[np.bool_]:
    if len(buffer) * 8 < n:
        raise Damaged("a column has fewer values than rows")
    return np.unpackbits(np.frombuffer(buffer, "u1"), count=n, bitorder="little").astype(bool)


def _array(code: str, buffer: memoryview, n: int) -> NDArray[Any]:
    size = np.dtype(code).itemsize * n
    if len(buffer) < size:
        raise Damaged("a column has fewer values than rows")
    return np.frombuffer(buffer[:size], code)


def _booleans(kind: Kind, buffer: memoryview, n: int) -> list[Any]:
    found: list[Any] = _bits(buffer, n).tolist()
    return found


def _numbers(kind: Kind, buffer: memoryview, n: int) -> list[Any]:
    found: list[Any] = _array(kind.code, buffer, n).tolist()
    return found


def _decimals(kind: Kind, buffer: memoryview, n: int) -> list[Any]:
    found = _array(kind.code, buffer, n).tolist()
    return [_number_of(int.from_bytes(each, "little", signed=True), kind.scale) for each in found]


def _number_of(digits: int, scale: int) -> float:
    """A whole number as the integer that it is, however large; any other to the nearest float."""
    if scale <= 0:
        return digits * int(10**-scale)
    one = int(10**scale)
    return digits / one if digits % one else digits // one


def _moments(kind: Kind, buffer: memoryview, n: int) -> list[Any]:
    counts = _array(kind.code, buffer, n).astype("i8")
    per_second = kind.per_second
    first, end = (
        (each * per_second if per_second else each // _DAY_S) for each in (_FIRST_S, _END_S)
    )
    fits = (counts >= first) & (counts < end)
    few = np.where(fits, counts, 0)
    if not per_second:
        few = few * (_DAY_S * 10**6)
    elif per_second > 10**6:
        few = few // (per_second // 10**6)
    else:
        few = few * (10**6 // per_second)
    texts: list[Any] = [f"{text}Z" for text in np.datetime_as_string(few.astype("M8[us]")).tolist()]
    for i in np.flatnonzero(~fits).tolist():
        texts[i] = Outside(kind.name, int(counts[i]))
    return texts


_FIXED = {"bool": _booleans, "number": _numbers, "decimal": _decimals, "moment": _moments}


def _texts(
    kind: Kind, buffers: Sequence[memoryview], n: int, is_there: list[bool] | None, budget: Budget
) -> list[Any]:
    if n == 0:
        return []
    offsets = _array(kind.code, buffers[1], n + 1)
    if offsets[0] < 0 or offsets[-1] > len(buffers[2]) or (offsets[1:] < offsets[:-1]).any():
        raise Damaged("a text lies outside of its column")
    first, end = int(offsets[0]), int(offsets[-1])
    budget.spend(end - first)
    data = bytes(buffers[2][first:end])
    places = (offsets - offsets[0]).tolist()
    if data.isascii():
        text = data.decode("ascii")
        return [text[i:j] for i, j in pairwise(places)]
    cuts = zip(places, places[1:], is_there or [True] * n, strict=False)
    return [_text(data[i:j]) if here else None for i, j, here in cuts]


def _views(
    buffers: Sequence[memoryview], n: int, is_there: list[bool] | None, budget: Budget
) -> list[Any]:
    views = _array("<i4", buffers[1], 4 * n).reshape(n, 4).tolist()
    short, more = buffers[1], buffers[2:]
    letters = str(short[: 16 * n], "latin-1")
    texts: list[Any] = []
    for i, (length, _, which, start) in enumerate(views):
        if is_there is not None and not is_there[i]:
            texts.append(None)
        elif 0 <= length <= _INLINE:
            begin = 16 * i + 4
            text = letters[begin : begin + length]
            texts.append(text if text.isascii() else _text(short[begin : begin + length]))
        elif 0 <= which < len(more) and 0 <= start <= len(more[which]) - length < len(more[which]):
            budget.spend(length)
            texts.append(_text(more[which][start : start + length]))
        else:
            raise Damaged("a text lies outside of its column")
    return texts


def _text(data: bytes | memoryview) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise Damaged("a text is not UTF-8") from None
