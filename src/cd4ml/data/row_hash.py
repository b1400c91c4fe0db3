"""A number from 0 to 1 for what a row holds: the same for ever, everywhere.

The hash of Polars may change with its version. This one is BLAKE3 over a text that is
written down here, so that any program in any language finds the same number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

_BETWEEN = "\x1f"  # unit separator
_NULL = "\x00"
_WHOLE = 2.0**53  # below it a float without a fraction is that whole number


def row_shares(keys: pl.DataFrame, seed: str = "") -> NDArray[np.float64]:
    """The rows' places between 0 and 1, evenly spread over what they hold.

    The text of a row is `seed`, then each value with the character U+001F before it, in UTF-8:

    - whole numbers in decimal digits, also those of a float column: 1.0 is "1";
    - other floats as "f" and the 16 hexadecimal digits of their IEEE 754 bits; NaN as "nan";
    - times as the microseconds since 1970-01-01 00:00 (UTC, if they have a zone), dates as the
      days, durations as microseconds, times of day as the nanoseconds since midnight;
    - booleans as "true" and "false", texts, categories and decimals as they are written, bytes
      as hexadecimal digits;
    - null as the character U+0000.

    The number is the first 8 bytes of the text's BLAKE3, big-endian, over 2**64.

    Args:
        keys: The columns that matter, in their order; names do not.
        seed: Another word is another number.

    Returns:
        One number a row.

    Raises:
        InvalidInput: If a column holds lists or objects.

    Examples:
        >>> import polars as pl
        >>> row_shares(pl.DataFrame({"patient": [1, 2, 1]})).round(4).tolist()
        [0.4836, 0.9222, 0.4836]
    """
    import numpy as np
    import polars as pl
    from blake3 import blake3

    values = [pl.lit(_plain(keys[name])).fill_null(_NULL) for name in keys.columns]
    row = pl.concat_str([pl.lit(seed), *values], separator=_BETWEEN).alias("text")
    texts = keys.select(row)
    distinct = texts["text"].unique()  # keys repeat: each is hashed once
    numbers = np.frombuffer(
        b"".join(blake3(text.encode()).digest(8) for text in distinct), dtype=">u8"
    )
    shares = pl.DataFrame({"text": distinct, "share": numbers.astype(np.float64) / 2.0**64})
    found = texts.join(shares, on="text", how="left", maintain_order="left")
    return found["share"].to_numpy()


def _plain(column: pl.Series) -> pl.Series:
    """A column's values as text; null stays null."""
    import polars as pl

    type_ = column.dtype
    if type_.is_float():
        return _float(column.cast(pl.Float64))
    if type_ in (pl.Datetime, pl.Duration):
        return column.dt.cast_time_unit("us").to_physical().cast(pl.String)
    if type_ == pl.Binary:
        return column.bin.encode("hex")
    if type_.is_nested() or type_ == pl.Object:
        msg = f"the column {column.name!r} holds {type_}, which has no one text to be hashed"
        raise InvalidInput(msg, hint="name columns of plain values: by=...")
    if type_ in (pl.Date, pl.Time):
        return column.to_physical().cast(pl.String)
    return column.cast(pl.String)  # text, categories, booleans, whole numbers, decimals


def _float(column: pl.Series) -> pl.Series:
    import polars as pl

    bits = column.fill_null(0.0).to_numpy().astype(">f8").tobytes().hex()
    digits = pl.Series([f"f{bits[i : i + 16]}" for i in range(0, len(bits), 16)], dtype=pl.String)
    value = pl.lit(column)
    is_whole = (value == value.floor()) & (value.abs() < _WHOLE)
    return pl.select(
        pl.when(value.is_nan())
        .then(pl.lit("nan"))
        .when(is_whole)
        .then(value.cast(pl.Int64, strict=False).cast(pl.String))
        .when(value.is_not_null())
        .then(pl.lit(digits))
    ).to_series()
