"""The gate between an estimator and its compiled form: same rows, same answers, or not used.

Conversion of `HistGradientBoostingClassifier(categorical_features=...)` and of
`HistGradientBoostingRegressor(loss="poisson")` to ONNX succeeds and answers wrongly; scaled
inputs can cross a tree's threshold in single precision. None of it raises.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cd4ml.models.contract import as_scored
from cd4ml.models.manifest import Parity
from cd4ml.models.violations import is_closed, keeps, limits_of
from cd4ml.records.contract import Contract, Field

TOLERANCE = 1e-5

_BASES = 3  # rows of the sample that are varied
_UNKNOWN = ("cd4ml: never seen", "", "None")
_LONG_AGO, _FAR_AHEAD = "1900-01-01T00:00:00.000000Z", "2100-01-01T00:00:00.000000Z"

Row = dict[str, Any]


def probes(contract: Contract, sample: Sequence[Row]) -> list[Row]:
    """Rows at the edges of the contract, made from rows of the sample.

    Each field in turn is null, an unknown category, each known one, or extreme: at its
    limits, and where it has none one range of the sample beyond it. One more row has null wherever null may be.
    All of them keep the contract, or are scored as they are by what it forgives.
    """
    bases = list(sample[:: max(1, len(sample) // _BASES)][:_BASES])
    varied = [
        {**base, field.name: value}
        for field in contract.fields
        for value in _edges(field, [row[field.name] for row in sample])
        for base in bases
    ]
    nothing = {field.name: None for field in contract.fields if as_scored(field).nullable}
    return varied + [{**base, **nothing} for base in bases]


def compare(
    native: NDArray[np.float64],
    compiled: NDArray[np.float64],
    *,
    n_probes: int,
    are_probabilities: bool,
) -> Parity:
    """The figures of a comparison, with the refusal if the two are not the same model.

    Args:
        native: What the estimator answered, shape (rows,); finite.
        compiled: What its compiled form answered to the same rows.
        n_probes: How many of the rows were made up.
        are_probabilities: Whether one half divides two labels.

    Examples:
        >>> a, b = np.array([0.2, 0.8]), np.array([0.2, 0.4])
        >>> compare(a, b, n_probes=0, are_probabilities=True).refusal
        'answers differ by up to 0.4, more than 1e-05; 1 of 2 labels flip'
    """
    scale = 1.0 if are_probabilities else np.maximum(1.0, np.abs(native))
    difference = float(np.max(np.abs(native - compiled) / scale))
    is_certain = np.abs(native - 0.5) > TOLERANCE
    n_flips = int(np.sum(((native >= 0.5) != (compiled >= 0.5)) & is_certain))
    figures = Parity(
        n_rows=len(native),
        n_probes=n_probes,
        tolerance=TOLERANCE,
        max_difference=difference if math.isfinite(difference) else None,
        n_flips=n_flips if are_probabilities else 0,
    )
    return _judged(figures)


def _judged(figures: Parity) -> Parity:
    if figures.max_difference is None:
        refusal = "it answers with numbers that are not finite"
    elif figures.max_difference < TOLERANCE and figures.n_flips == 0:
        refusal = ""
    else:
        refusal = f"answers differ by up to {figures.max_difference:.2g}, more than {TOLERANCE:g}"
        if figures.n_flips:
            refusal += f"; {figures.n_flips} of {figures.n_rows} labels flip"
    return msgspec.structs.replace(figures, refusal=refusal)


def _edges(field: Field, seen: list[Any]) -> Iterator[Any]:
    asked = as_scored(field)
    candidates = [*_kind_edges(asked, [value for value in seen if value is not None]), None]
    yield from (value for value in candidates if keeps(asked, value))


def _kind_edges(field: Field, seen: list[Any]) -> list[Any]:
    if field.type == "boolean":
        return [True, False]
    if field.type == "datetime":
        return [_LONG_AGO, _FAR_AHEAD]
    if field.type == "string":
        return [*field.categories, *(() if is_closed(field) else _UNKNOWN)]
    low, high = min(seen, default=0), max(seen, default=0)
    beyond = max(high - low, 1)
    smallest, largest = limits_of(field)
    extremes = [
        low - beyond if field.minimum is None else smallest,
        high + beyond if field.maximum is None else largest,
        low,
        high,
        0,
    ]
    return [float(value) for value in extremes] if field.type == "number" else extremes
