"""The messages of an Arrow stream: a schema, dictionaries and batches, each with its bytes.

A stream ends with a mark. One without it was cut off, wherever it ends.

Source:
    https://arrow.apache.org/docs/format/Columnar.html, "IPC Streaming Format"; format/Message.fbs
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cd4ml.serving.protocols.arrow_types import Column, columns_of
from cd4ml.serving.protocols.flatbuffers import LONG, SHORT, UBYTE, Damaged, Table
from cd4ml.serving.request import MAX_ROWS, RequestRefused

_MARK = b"\xff\xff\xff\xff"
_SIZE = struct.Struct("<i")
_PAIR = struct.Struct("<qq")
_MOST = 4 * MAX_ROWS  # messages: a batch and some dictionaries for each row
_MOST_BUFFERS = 100_000
_VERSIONS = (3, 4)  # V4 and V5, which are all since Arrow 0.8
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_CODECS = {0: "lz4", 1: "zstd"}


class Batch(NamedTuple):
    """Some rows of all columns, or the values of a dictionary.

    Args:
        n_rows: How many.
        n_null: How many of each column's values are null.
        cuts: Where its buffers lie in the body, from byte to byte.
        n_more: How many buffers more each view has.
        codec: How they are compressed, "" if not.
        body: The bytes.
    """

    n_rows: int
    n_null: Sequence[int]
    cuts: Sequence[tuple[int, int]]
    n_more: Sequence[int]
    codec: str
    body: memoryview


class Dictionary(NamedTuple):
    """Values that columns point at; `is_more` if they come after those that are there."""

    number: int
    is_more: bool
    values: Batch


class Stream(NamedTuple):
    """What a stream says, in its order; no value of it was looked at."""

    columns: list[Column]
    parts: list[Batch | Dictionary]

    @property
    def n_rows(self) -> int:
        """Of all of its batches."""
        return sum(each.n_rows for each in self.parts if isinstance(each, Batch))


def read_messages(data: bytes) -> Stream:
    """The messages of a stream; its columns alone, where one is of a type that is not read.

    Raises:
        Damaged: If it is none, or none that is whole.
        RequestRefused: If it has more of anything than a request may.
    """
    messages = _messages(data)
    number, header, _ = next(messages, (0, None, None))
    if number != _SCHEMA or header is None:
        raise Damaged("it does not begin with a schema")
    columns = columns_of(header)
    if any(column.kind.form == "none" for column in columns):
        return Stream(columns, [])
    parts: list[Batch | Dictionary] = []
    n_buffers = 0
    for number, header, body in messages:
        if number == _BATCH:
            parts.append(_batch(header, body, len(columns)))
        elif number == _DICTIONARY:
            parts.append(_dictionary(header, body))
        else:
            raise Damaged(f"it has a message of the kind {number}, expected a batch or dictionary")
        n_buffers += len(_batch_in(parts[-1]).cuts)
        if len(parts) > _MOST or n_buffers > _MOST_BUFFERS:
            msg = f"the stream has more than {_MOST} batches or {_MOST_BUFFERS} buffers"
            raise RequestRefused(413, msg, hint="write it in one batch, without other columns")
    return Stream(columns, parts)


def _batch_in(part: Batch | Dictionary) -> Batch:
    """The batch itself, or that of a dictionary's values."""
    return part.values if isinstance(part, Dictionary) else part


def _messages(data: bytes) -> Iterator[tuple[int, Table, memoryview]]:
    whole, place = memoryview(data), 0
    while True:
        if data[place : place + 4] != _MARK:
            raise Damaged(_unmarked(data, place))
        if len(data) < place + 8:
            raise Damaged("it is cut off: the mark of its end is missing")
        (size,) = _SIZE.unpack_from(data, place + 4)
        place += 8
        if size == 0:
            break
        if not 0 < size <= len(data) - place:
            raise Damaged("it is cut off within a message, or a length in it is wrong")
        message = Table.root(data[place : place + size])
        place += size
        length = message.number(3, LONG)
        if not 0 <= length <= len(data) - place:
            raise Damaged("it is cut off within a batch, or a length in it is wrong")
        header = message.table(2)
        if message.number(0, SHORT) not in _VERSIONS or header is None:
            raise Damaged("it has a message of no version that is read (V4 and V5)")
        yield message.number(1, UBYTE), header, whole[place : place + length]
        place += length
    if place != len(data):
        raise Damaged(f"{len(data) - place} bytes stand behind the mark of its end")


def _unmarked(data: bytes, place: int) -> str:
    if place == len(data) and place:
        return "it is cut off: the mark of its end, FFFFFFFF 00000000, is missing"
    if place:
        return f"it is cut off, or has no message at byte {place}"
    return "it does not begin with FFFFFFFF and the length of a schema"


def _batch(header: Table, body: memoryview, n_columns: int) -> Batch:
    n_rows = header.number(0, LONG)
    columns = list(header.vector(1, _PAIR)) if header.length(1) == n_columns else []
    if len(columns) != n_columns or any(n != n_rows for n, _ in columns):
        raise Damaged("a batch has not one length for each column")
    if header.length(2) > _MOST_BUFFERS or header.length(4) > n_columns:
        raise Damaged("a batch has not the buffers that its columns need")
    cuts = [(start, start + length) for start, length in header.vector(2, _PAIR)]
    if n_rows < 0 or not all(0 <= start <= end <= len(body) for start, end in cuts):
        raise Damaged("a batch has bytes outside of the stream")
    return Batch(
        n_rows,
        [n for _, n in columns],
        cuts,
        [n for (n,) in header.vector(4, LONG)],
        _codec(header.table(3)),
        body,
    )


def _codec(compression: Table | None) -> str:
    if compression is None:
        return ""
    codec, method = compression.number(0, UBYTE), compression.number(1, UBYTE)
    if codec not in _CODECS or method:
        raise Damaged(f"it is compressed in the unknown way {codec}")
    return _CODECS[codec]


def _dictionary(header: Table, body: memoryview) -> Dictionary:
    values = header.table(1)
    if values is None:
        raise Damaged("a dictionary has no values")
    return Dictionary(
        header.number(0, LONG), bool(header.number(2, UBYTE)), _batch(values, body, 1)
    )
