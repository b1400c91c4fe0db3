"""How far two outputs of a step agree: to the byte, within a tolerance, or not."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.records.reproduction import Outcome, Part

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.pipeline.storage import Kind

_MISSING = object()
_SAME = "the same values in other bytes"


class Agreement(NamedTuple):
    """How far two outputs agree, and what differs; the largest difference first."""

    outcome: Outcome
    parts: tuple[Part, ...] = ()
    note: str = ""


def agreement(kind: Kind, recorded: Path, rebuilt: Path, *, tolerance: float) -> Agreement:
    """How far two stored outputs of one kind agree, by their values.

    A model's values are its answers, which only code can give: see `answers_agree`.

    Args:
        kind: How both are stored.
        recorded: A file with the first one's bytes.
        rebuilt: A file with the second one's bytes.
        tolerance: The largest difference that counts as none, see `difference`.
    """
    if recorded.read_bytes() == rebuilt.read_bytes():
        return Agreement("identical")
    if kind == "table":
        return _tables(recorded, rebuilt, tolerance)
    if kind == "array":
        return _arrays(recorded, rebuilt, tolerance)
    if kind in ("metrics", "json"):
        values = json.loads(recorded.read_bytes()), json.loads(rebuilt.read_bytes())
        return judged(list(_unlike(*values)), tolerance)
    sizes = f"{recorded.stat().st_size:,} and {rebuilt.stat().st_size:,} bytes"
    return Agreement("different", note=f"other bytes ({sizes})")


def answers_agree(
    recorded: Any, rebuilt: Any, frame: pl.DataFrame, *, tolerance: float
) -> Agreement:
    """How far two estimators agree in their answers to the rows of a table."""
    from cd4ml.models.estimator import score_frame

    largest = _largest(score_frame(recorded, frame), score_frame(rebuilt, frame))
    note = f"answers to {frame.height:,} rows"
    parts = [Part(name="answers", difference=largest, note=note)] if largest else []
    return judged(parts, tolerance, same=f"the same {note}, other bytes")


def judged(parts: Sequence[Part], tolerance: float, *, same: str = _SAME) -> Agreement:
    """What the differing parts of an output come to; its bytes are known to differ.

    Examples:
        >>> judged([Part(name="auc", difference=1e-9)], 1e-6).outcome
        'within_tolerance'
        >>> judged([Part(name="auc", difference=0.1)], 1e-6).outcome
        'different'
    """
    ordered = tuple(sorted(parts, key=_size, reverse=True))
    if any(part.difference is None or not part.difference <= tolerance for part in ordered):
        return Agreement("different", ordered)
    return Agreement("within_tolerance", ordered, "" if ordered else same)


def difference(recorded: float, rebuilt: float) -> float:
    """The difference of two numbers, relative to the larger one, and absolute below one.

    Two that are not a number are the same; a finite one and one that is not are as far apart
    as can be.

    Examples:
        >>> difference(0.5, 0.25), difference(200.0, 100.0), difference(float("nan"), 1.0)
        (0.25, 0.5, inf)
    """
    if recorded == rebuilt or (math.isnan(recorded) and math.isnan(rebuilt)):
        return 0.0
    if not (math.isfinite(recorded) and math.isfinite(rebuilt)):
        return math.inf
    scale = max(1.0, abs(recorded), abs(rebuilt))
    return abs(recorded / scale - rebuilt / scale)  # divided first: 1e308 has a neighbour too


def _size(part: Part) -> float:
    return math.inf if part.difference is None else part.difference


def _tables(recorded: Path, rebuilt: Path, tolerance: float) -> Agreement:
    import polars as pl

    one, other = (
        pl.read_parquet(path, glob=False, hive_partitioning=False) for path in (recorded, rebuilt)
    )
    if one.schema != other.schema:
        return Agreement("different", tuple(_columns(one, other)))
    if one.height != other.height:
        return Agreement("different", note=f"{other.height:,} rows instead of {one.height:,}")
    parts = [part for name in one.columns if (part := _column(one[name], other[name]))]
    found = judged(parts, tolerance)
    if found.outcome == "different" and _are_same_rows(one, other):
        return found._replace(note="the same rows in another order")
    return found


def _columns(one: pl.DataFrame, other: pl.DataFrame) -> Iterator[Part]:
    for name in dict.fromkeys([*one.columns, *other.columns]):
        before, now = one.schema.get(name), other.schema.get(name)
        if before != now:
            yield Part(name=name, note=f"{now or 'no column'} instead of {before or 'none'}")
    if set(one.columns) == set(other.columns) and one.columns != other.columns:
        yield Part(name=other.columns[0], note="the columns have another order")


def _column(one: pl.Series, other: pl.Series) -> Part | None:
    import polars as pl

    unlike = one.ne_missing(other)
    if not (n := int(unlike.sum())):
        return None
    note = f"{n:,} of {len(one):,} rows"
    if not one.dtype.is_numeric() or one.is_null().ne_missing(other.is_null()).any():
        return Part(name=one.name, note=f"{note} differ")
    pairs = one.filter(unlike).cast(pl.Float64), other.filter(unlike).cast(pl.Float64)
    return Part(name=one.name, difference=_largest(*(pair.to_numpy() for pair in pairs)), note=note)


def _are_same_rows(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    return one.hash_rows().sort().equals(other.hash_rows().sort())


def _arrays(recorded: Path, rebuilt: Path, tolerance: float) -> Agreement:
    import numpy as np

    one, other = (np.load(path, allow_pickle=False) for path in (recorded, rebuilt))
    shapes = f"{other.dtype}{list(other.shape)} instead of {one.dtype}{list(one.shape)}"
    if one.shape != other.shape or one.dtype != other.dtype:
        return Agreement("different", note=shapes)
    if not np.issubdtype(one.dtype, np.number):
        n = int((one != other).sum())
        parts = [Part(name="values", note=f"{n:,} of {one.size:,} differ")] if n else []
        return judged(parts, tolerance)
    largest = _largest(one, other)
    return judged([Part(name="values", difference=largest)] if largest else [], tolerance)


def _largest(one: Any, other: Any) -> float:
    """The largest `difference` between two arrays of one shape; complex ones by their size."""
    import numpy as np

    if np.iscomplexobj(one):
        one, other = np.abs(one), np.abs(other)
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    alike = (one == other) | (np.isnan(one) & np.isnan(other))
    scale = np.maximum(1.0, np.maximum(np.abs(one), np.abs(other)))
    with np.errstate(invalid="ignore"):
        apart = np.abs(one / scale - other / scale)
    apart = np.where(np.isfinite(one) & np.isfinite(other), apart, np.inf)
    return float(np.where(alike, 0.0, apart).max(initial=0.0))


def _unlike(one: Any, other: Any, place: str = "") -> Iterator[Part]:
    """What differs between two values of JSON, by the path to it."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            deeper = f"{place}.{key}" if place else key
            yield from _unlike(one.get(key, _MISSING), other.get(key, _MISSING), deeper)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from _unlike(*pair, f"{place}[{index}]")
    elif _is_number(one) and _is_number(other):
        if apart := difference(float(one), float(other)):
            yield Part(name=place, difference=apart, note=f"{other} instead of {one}")
    elif one is not other and (type(one) is not type(other) or one != other):
        yield Part(name=place, note=f"{_said(other)} instead of {_said(one)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _said(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
