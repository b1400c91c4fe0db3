"""Arrow streams that are read, and what strangers make of them."""

import io
import random
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl

from tests.models.builders import ROW

Codec = Literal["uncompressed", "lz4", "zstd"]

CODECS: tuple[Codec, ...] = ("uncompressed", "lz4", "zstd")
END = b"\xff\xff\xff\xff\0\0\0\0"
_EXTREMES = [
    b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0", b"\1\0\0\0",
    b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"\0" * 7 + b"\x80", b"\0\0\0\1\0\0\0\0",
]  # fmt: skip


def stream(frame: pl.DataFrame, codec: Codec = "uncompressed", *, views: bool = False) -> bytes:
    """A frame as a stream of one batch; `views`: with texts as views."""
    written = io.BytesIO()
    level = pl.CompatLevel.newest() if views else pl.CompatLevel.oldest()
    frame.write_ipc_stream(written, compression=codec, compat_level=level)
    return written.getvalue()


def batches(*frames: pl.DataFrame, codec: Codec = "uncompressed", views: bool = False) -> bytes:
    """Frames with the same columns as the batches of one stream."""
    parts = [stream(frame, codec, views=views) for frame in frames]
    behind_schema = 8 + int.from_bytes(parts[0][4:8], "little")
    more = (part[behind_schema : -len(END)] for part in parts)
    return parts[0][:behind_schema] + b"".join(more) + END


def rows_and_more() -> pl.DataFrame:
    """Rows of the tests' contract, with columns of the other types."""
    row: dict[str, Any] = ROW | {
        "at": datetime(2013, 2, 1, 5, tzinfo=UTC), "name": "ein längerer Text als in einer Ansicht steht", "is": True,
    }  # fmt: skip
    rows = [row, row | dict.fromkeys(("temp", "dest", "at", "name", "is"))]
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(
        kind=pl.Series(["a", None], dtype=pl.Categorical),
        paid=pl.Series(["1.5", "2"]).cast(pl.Decimal(10, 2)),
        none=pl.lit(None),
        on=pl.col("at").cast(pl.Date),
    )


_BATCHES = (rows_and_more(), rows_and_more().head(1))
GOOD = [
    *(batches(*_BATCHES, codec=codec, views=views) for codec in CODECS for views in (True, False)),
    *(stream(pl.DataFrame([ROW] * 9), codec) for codec in CODECS),
]


def mutated(dice: random.Random) -> bytes:
    """A good stream with some bytes turned, cut out, put in, or made extreme."""
    data = bytearray(dice.choice(GOOD))
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(data) or 1)
        aligned = place - place % 4
        match dice.randrange(6):
            case 0:
                data[place : place + 1] = bytes(
                    [(data[place] if data else 0) ^ 1 << dice.randrange(8)]
                )
            case 1:
                data[place : place + 1] = bytes([dice.randrange(256)])
            case 2:
                extreme = dice.choice(_EXTREMES)
                data[aligned : aligned + len(extreme)] = extreme
            case 3:
                del data[place : place + dice.choice([1, 4, 8, 64, 10**6])]
            case 4:
                other = dice.choice(GOOD)
                start = dice.randrange(len(other))
                data[place:place] = other[start : start + dice.choice([8, 64, 500])]
            case _:
                number = int.from_bytes(data[aligned : aligned + 4], "little")
                moved = (number + dice.choice([-8, -1, 1, 4, 8, 16])) % 2**32
                data[aligned : aligned + 4] = moved.to_bytes(4, "little")
    return bytes(data)
