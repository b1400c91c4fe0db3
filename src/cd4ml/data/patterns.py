"""The regular expression that a column's texts obviously have in common, if any."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_KNOWN = (
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",  # UUID
    r"[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}",
    r"[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}",  # digests
    r"[^@\s]+@[^@\s]+\.[^@\s]+",  # e-mail
    r"https?://\S+",
)
_CLASSES = {"A": "[A-Z]", "a": "[a-z]", "0": "[0-9]"}
_MOST_SHAPES = 50  # lengths of runs that are looked at
_LONGEST = 60  # characters of a text whose shape is looked at


def common_pattern(texts: pl.Series) -> str:
    """A pattern that all of these texts match as a whole; "" if none is obvious.

    Either a known form (UUID, digest, e-mail, URL), or the same runs of capitals, small
    letters, digits and other characters in every text, with their lengths.

    Examples:
        >>> import polars as pl
        >>> common_pattern(pl.Series(["N14228", "N614"]))
        'N[0-9]{3,5}'
        >>> common_pattern(pl.Series(["BQ-7", "X!"]))
        ''
    """
    texts = texts.drop_nulls().unique()
    if texts.is_empty():
        return ""
    for pattern in _KNOWN:
        if texts.str.contains(rf"\A(?:{pattern})\z").all():
            return pattern
    if (texts.str.len_chars() > _LONGEST).any():
        return ""
    shapes = _shapes(texts).unique()
    if len(shapes) > _MOST_SHAPES:
        return ""
    return _combined([_runs(shape) for shape in shapes.to_list()], texts)


def _shapes(texts: pl.Series) -> pl.Series:
    return (
        texts.str.replace_all("[A-Z]", "A")
        .str.replace_all("[a-z]", "a")
        .str.replace_all("[0-9]", "0")
    )


def _runs(shape: str) -> list[tuple[str, int]]:
    return [(kind, len(list(run))) for kind, run in groupby(shape)]


def _combined(shapes: list[list[tuple[str, int]]], texts: pl.Series) -> str:
    kinds = [kind for kind, _ in shapes[0]]
    if not kinds or any([kind for kind, _ in shape] != kinds for shape in shapes):
        return ""
    if not set(kinds) & set(_CLASSES) or len(kinds) > 12:
        return ""
    lengths = [[shape[i][1] for shape in shapes] for i in range(len(kinds))]
    first = _fixed_prefix(kinds, texts)
    parts = [_part(k, min(n), max(n)) for k, n in zip(kinds, lengths, strict=True)]
    return "".join([first, *parts[1:]] if first else parts)


def _fixed_prefix(kinds: list[str], texts: pl.Series) -> str:
    """The letters that all texts begin with, if their first run is always the same."""
    if kinds[0] not in ("A", "a") or len(texts) < 2:
        return ""
    runs = texts.str.extract(r"^([A-Z]+|[a-z]+)").unique()
    return str(runs[0]) if len(runs) == 1 else ""


def _part(kind: str, least: int, most: int) -> str:
    said = _CLASSES.get(kind) or re.escape(kind)
    if (least, most) == (1, 1):
        return said
    return f"{said}{{{least}}}" if least == most else f"{said}{{{least},{most}}}"
