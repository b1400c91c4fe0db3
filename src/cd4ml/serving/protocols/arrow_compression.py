"""Compressed buffers of an Arrow stream, decompressed to the size that they say, and no more.

Polars brings the decompressors, and reads them in streams only. So buffers are put into one that
is written here: nothing but the compressed bytes themselves comes from a stranger.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from cd4ml.serving.protocols.arrow_values import Budget
from cd4ml.serving.protocols.flatbuffers import INT, LONG, Damaged, Table

_AS_IT_IS = -1  # the size of a buffer that compression would have made larger
_COUNT = 4  # bytes before the elements of a vector
_CUT = 16  # bytes of a buffer's offset and length
_END = b"\xff\xff\xff\xff\0\0\0\0"


class _Frame(NamedTuple):
    """A stream of one column of bytes, and where in the message of a batch its numbers stand."""

    schema: bytes
    message: bytes
    n_rows: tuple[int, ...]
    n_bytes: int
    n_body: int


def decompressed(codec: str, buffers: Sequence[memoryview], budget: Budget) -> Sequence[memoryview]:
    """What some buffers of a stream hold.

    Args:
        codec: `lz4` or `zstd`.
        buffers: Each with its size before its bytes, or empty.
        budget: How large they may become.

    Raises:
        Damaged: If one does not hold what it says.
        RequestRefused: If they exceed the budget.
    """
    sizes = [_size(each) for each in buffers]
    packed = [i for i, size in enumerate(sizes) if size > 0]
    for i in packed:
        budget.spend(sizes[i])
    found = [
        each[8:] if size == _AS_IT_IS else each[:0]
        for each, size in zip(buffers, sizes, strict=True)
    ]
    if packed:
        whole = _inflated(codec, [(sizes[i], buffers[i]) for i in packed])
        place = 0
        for i in packed:
            found[i] = whole[place : place + sizes[i]]
            place += sizes[i]
    return found


def _size(buffer: memoryview) -> int:
    if not len(buffer):
        return 0
    if len(buffer) < 8 or (size := LONG.unpack_from(buffer)[0]) < _AS_IT_IS:
        raise Damaged("a compressed buffer does not say its size")
    return int(size)


def _inflated(codec: str, buffers: Sequence[tuple[int, memoryview]]) -> memoryview:
    import polars as pl

    frame = _frame(codec)
    stream = io.BytesIO()
    stream.write(frame.schema)
    for size, buffer in buffers:
        stream.write(_message(frame, size, len(buffer)))
        stream.write(buffer)
        stream.write(bytes(-len(buffer) % 8))
    stream.write(_END)
    stream.seek(0)
    try:
        column = pl.read_ipc_stream(stream).to_series()
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException:  # a panic of Rust is no Exception
        raise Damaged(f"what is compressed in it is no {codec}") from None
    if len(column) != sum(size for size, _ in buffers):
        raise Damaged(f"what is compressed in it is no {codec}")
    return memoryview(column.to_numpy().tobytes())


@cache
def _frame(codec: Any) -> _Frame:
    """What Polars itself writes; its numbers are found as those of any message."""
    import polars as pl

    written = io.BytesIO()
    column = pl.Series("bytes", [0] * 1000, dtype=pl.UInt8)
    pl.DataFrame([column]).write_ipc_stream(written, compression=codec)
    data = written.getvalue()
    schema_end = 8 + INT.unpack_from(data, 4)[0]
    message_end = schema_end + 8 + INT.unpack_from(data, schema_end + 4)[0]
    message = Table(data[:message_end], schema_end + 8 + INT.unpack_from(data, schema_end + 8)[0])
    batch = message.table(2)
    assert batch is not None
    nodes, buffers = batch.pointed(1), batch.pointed(2)
    places = [batch.found(0), nodes, buffers, message.found(3)]
    n_rows, node, cut, n_body = [place - schema_end for place in places if place is not None]
    return _Frame(
        data[:schema_end],
        data[schema_end:message_end],
        (n_rows, node + _COUNT),  # the node's length
        cut + _COUNT + _CUT + 8,  # the length of the buffer behind the one of nulls
        n_body,
    )


def _message(frame: _Frame, size: int, n_bytes: int) -> bytes:
    message = bytearray(frame.message)
    for place in frame.n_rows:
        LONG.pack_into(message, place, size)
    LONG.pack_into(message, frame.n_bytes, n_bytes)
    LONG.pack_into(message, frame.n_body, n_bytes + -n_bytes % 8)
    return bytes(message)
