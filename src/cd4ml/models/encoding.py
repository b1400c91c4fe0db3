"""From the values of a request to the numbers that a tree ensemble reads, without scikit-learn.

A column transformer spends milliseconds on one row. What it does to a category or a number is
written down here once, as plain data, and applied with dictionaries and arrays. A packaged model
(`serving.packaging`) takes this file along, to apply it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract

Category = str | bool | float


class Number(msgspec.Struct, frozen=True, tag="number", kw_only=True):
    """A number that goes into a column as `(value - shift) / scale`; null is NaN or `fill`."""

    field: str
    column: int
    fill: float | None = None
    shift: float = 0.0
    scale: float = 1.0


class Codes(msgspec.Struct, frozen=True, tag="codes", kw_only=True):
    """Categories that go into a column as numbers; a code of None is NaN."""

    field: str
    column: int
    values: tuple[Category, ...]
    codes: tuple[float | None, ...]
    missing: float | None
    unknown: float | None


class Indicators(msgspec.Struct, frozen=True, tag="indicators", kw_only=True):
    """Categories that have a column each, with 1 in that of the value and 0 in the others."""

    field: str
    values: tuple[Category, ...]
    columns: tuple[int, ...]
    missing: int | None  # column of null; None: it has none


Entry = Number | Codes | Indicators


class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """What the columns of an ensemble are made of.

    `is_single` says that the ensemble compares in single precision, as scikit-learn's forests do.
    """

    n_columns: int
    entries: tuple[Entry, ...]
    is_single: bool = False


def encoder(
    encoding: Encoding, names: Sequence[str]
) -> Callable[[Sequence[Sequence[Any]]], NDArray[np.float64]]:
    """A function from rows, in the order of the contract's fields, to the ensemble's columns."""
    fills = [_filling(entry, list(names).index(entry.field)) for entry in encoding.entries]
    n_columns, is_single = encoding.n_columns, encoding.is_single

    def encode(rows: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
        matrix = np.zeros((len(rows), n_columns))
        for fill in fills:
            fill(rows, matrix)
        return matrix.astype(np.float32).astype(np.float64) if is_single else matrix

    return encode


def fields_of(encoding: Encoding, names: Sequence[str]) -> NDArray[np.float64]:
    """Which column comes from which of these fields, shape (columns, fields), as 1 and 0."""
    found = np.zeros((encoding.n_columns, len(names)))
    for entry in encoding.entries:
        place = list(names).index(entry.field)
        if isinstance(entry, Indicators):
            columns = [*entry.columns, *([] if entry.missing is None else [entry.missing])]
            found[columns, place] = 1
        else:
            found[entry.column, place] = 1
    return found


_Fill = Callable[[Sequence[Sequence[Any]], NDArray[np.float64]], None]


def _filling(entry: Entry, place: int) -> _Fill:
    if isinstance(entry, Number):
        return _number(entry, place)
    if isinstance(entry, Codes):
        return _codes(entry, place)
    return _indicators(entry, place)


def _number(entry: Number, place: int) -> _Fill:
    column, fill, shift, scale = entry.column, entry.fill, entry.shift, entry.scale
    is_plain = (fill, shift, scale) == (None, 0.0, 1.0)

    def write(rows: Sequence[Sequence[Any]], matrix: NDArray[np.float64]) -> None:
        values = np.array([row[place] for row in rows], np.float64)  # None becomes NaN
        if is_plain:
            matrix[:, column] = values
            return
        if fill is not None:
            values[np.isnan(values)] = fill
        matrix[:, column] = (values - shift) / scale

    return write


def _codes(entry: Codes, place: int) -> _Fill:
    code_of: dict[Any, float] = dict(zip(entry.values, map(_or_nan, entry.codes), strict=True))
    code_of[None] = _or_nan(entry.missing)
    column, get, unknown = entry.column, code_of.get, _or_nan(entry.unknown)

    def write(rows: Sequence[Sequence[Any]], matrix: NDArray[np.float64]) -> None:
        matrix[:, column] = [get(row[place], unknown) for row in rows]

    return write


def _indicators(entry: Indicators, place: int) -> _Fill:
    column_of: dict[Any, int] = dict(zip(entry.values, entry.columns, strict=True))
    if entry.missing is not None:
        column_of[None] = entry.missing
    get = column_of.get

    def write(rows: Sequence[Sequence[Any]], matrix: NDArray[np.float64]) -> None:
        for i, row in enumerate(rows):
            column = get(row[place])
            if column is not None:
                matrix[i, column] = 1.0

    return write


def _or_nan(code: float | None) -> float:
    return math.nan if code is None else code


def encoding_of(steps: Sequence[Any], contract: Contract, names: Sequence[str]) -> Encoding:
    """What a pipeline's steps before the estimator do to the columns, as data.

    Args:
        steps: Fitted: none, one column transformer of one-hot and ordinal encoders, imputers,
            scalers and columns passed through, or one or several of these of all columns.
        contract: Whose fields the columns are.
        names: The columns that the steps were fitted on, in their order.

    Raises:
        InvalidInput: If a step does something else.
    """
    if len(steps) > 1 and any(hasattr(step, "transformers_") for step in steps):
        kinds = ", ".join(type(step).__name__ for step in steps)
        raise _unknown(kinds, "one ColumnTransformer")
    entries: list[Entry] = []
    width = 0
    for several, columns in _parts(steps, names):
        for entry in _part(several, columns, width):
            entries.append(entry)
            width += _width(entry)
    unknown = [entry.field for entry in entries if entry.field not in contract.names]
    if unknown:
        raise _unknown(f"the column {unknown[0]!r}", "the contract's fields")
    return Encoding(n_columns=width, entries=tuple(entries))


def only_known(encoding: Encoding, transformer: Any) -> Encoding:
    """The encoding with NaN for categories that histogram gradient boosting has not seen.

    Its own encoder does so; treelite reads the categories themselves, and would take an unknown
    one for a number.

    Args:
        encoding: Up to the estimator.
        transformer: Its `_preprocessor`.

    Raises:
        InvalidInput: If a category is no plain column.
    """
    _, step, mask = transformer.transformers_[0]
    places = np.arange(encoding.n_columns)[mask].tolist()
    known = dict(zip(places, step.categories_, strict=True))
    entries = tuple(_only_known(entry, known) for entry in encoding.entries)
    return msgspec.structs.replace(encoding, entries=entries)


def _only_known(entry: Entry, known: dict[int, Any]) -> Entry:
    if isinstance(entry, Indicators):
        if known.keys() & {*entry.columns, entry.missing}:
            raise _unknown("a category that is spread over columns", "a column of codes")
        return entry
    if entry.column not in known:
        return entry
    codes = {float(code) for code in known[entry.column].tolist() if not math.isnan(code)}
    if isinstance(entry, Number):
        return _as_codes(entry, tuple(sorted(codes)))

    def only(code: float | None) -> float | None:
        return code if code in codes else None

    return msgspec.structs.replace(
        entry,
        codes=tuple(map(only, entry.codes)),
        missing=only(entry.missing),
        unknown=only(entry.unknown),
    )


def _as_codes(entry: Number, codes: tuple[float, ...]) -> Codes:
    if not _is_unset([entry]):
        raise _unknown("a scaled category", "a column of codes")
    return Codes(
        field=entry.field,
        column=entry.column,
        values=codes,
        codes=codes,
        missing=None,
        unknown=None,
    )


def _width(entry: Entry) -> int:
    if isinstance(entry, Indicators):
        return len(entry.columns) + (entry.missing is not None)
    return 1


def _parts(steps: Sequence[Any], names: Sequence[str]) -> list[tuple[Sequence[Any], list[str]]]:
    """Which steps are applied to which columns, in the order of what comes out."""
    if not steps or not hasattr(steps[0], "transformers_"):
        return [(steps, list(names))]
    return [
        # a pipeline's own `steps`; "passthrough" is a text before a transformer was made of it
        (
            [inner for _, inner in step.steps] if hasattr(step, "steps") else [step],
            _named(columns, names),
        )
        for _, step, columns in steps[0].transformers_
        if step != "drop"
    ]


def _part(steps: Sequence[Any], columns: list[str], begin: int) -> Iterable[Entry]:
    kind = type(steps[0]).__name__ if len(steps) == 1 else ""
    if kind == "OneHotEncoder":
        return _one_hot(steps[0], columns, begin)
    if kind == "OrdinalEncoder":
        return [_codes_of(steps[0], j, name, begin + j) for j, name in enumerate(columns)]
    plain = [Number(field=name, column=begin + j) for j, name in enumerate(columns)]
    for step in steps:
        plain = _changed(step, plain)
    return plain


def _changed(step: Any, entries: list[Number]) -> list[Number]:
    kind = type(step).__name__
    is_identity = kind == "FunctionTransformer" and step.func is None and step.inverse_func is None
    if step == "passthrough" or (is_identity and step.feature_names_out == "one-to-one"):
        return entries
    if kind == "SimpleImputer" and not step.add_indicator and _is_unset(entries):
        fills = [float(value) for value in step.statistics_]
        if not any(map(math.isnan, fills)):
            return [
                msgspec.structs.replace(entry, fill=fill)
                for entry, fill in zip(entries, fills, strict=True)
            ]
    if kind == "StandardScaler" and all((e.shift, e.scale) == (0.0, 1.0) for e in entries):
        n = len(entries)
        shifts = [0.0] * n if step.mean_ is None else step.mean_.tolist()
        scales = [1.0] * n if step.scale_ is None else step.scale_.tolist()
        return [
            msgspec.structs.replace(entry, shift=shift, scale=scale)
            for entry, shift, scale in zip(entries, shifts, scales, strict=True)
        ]
    raise _unknown(kind, "encoders, imputers, scalers and what passes through")


def _is_unset(entries: list[Number]) -> bool:
    return all((e.fill, e.shift, e.scale) == (None, 0.0, 1.0) for e in entries)


def _one_hot(step: Any, columns: list[str], begin: int) -> Iterable[Entry]:
    if step.drop is not None or step.min_frequency is not None or step.max_categories is not None:
        raise _unknown("OneHotEncoder that drops or joins categories", "a column a category")
    for name, categories in zip(columns, step.categories_, strict=True):
        values = [_plain(value) for value in categories]
        places = [(value, begin + i) for i, value in enumerate(values) if value is not None]
        nulls = [begin + i for i, value in enumerate(values) if value is None]
        yield Indicators(
            field=name,
            values=tuple(value for value, _ in places),
            columns=tuple(place for _, place in places),
            missing=nulls[0] if nulls else None,
        )
        begin += len(values)


def _codes_of(step: Any, j: int, name: str, column: int) -> Codes:
    if step.min_frequency is not None or step.max_categories is not None:
        raise _unknown("OrdinalEncoder that joins categories", "a code a category")
    values = [_plain(value) for value in step.categories_[j]]
    unknown = _or_none(step.unknown_value)
    known = [(value, float(code)) for code, value in enumerate(values) if value is not None]
    nulls = [
        (code, value) for code, value in enumerate(step.categories_[j]) if values[code] is None
    ]
    return Codes(
        field=name,
        column=column,
        values=tuple(value for value, _ in known),
        codes=tuple(code for _, code in known),
        missing=_missing_code(step, nulls[0]) if nulls else unknown,
        unknown=unknown,
    )


def _missing_code(step: Any, null: tuple[int, Any]) -> float | None:
    code, category = null
    # scikit-learn 1.9 takes NaN for missing there; None it takes for one category more
    return float(code) if category is None else _or_none(step.encoded_missing_value)


def _plain(value: Any) -> Category | None:
    """A category as JSON has it; None if it stands for a missing one."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or (isinstance(plain, float) and math.isnan(plain)):
        return None
    return plain if isinstance(plain, bool | str) else float(plain)


def _or_none(code: Any) -> float | None:
    return None if code is None or math.isnan(code) else float(code)


def _named(columns: Any, names: Sequence[str]) -> list[str]:
    if isinstance(columns, str):
        return [columns]
    picked = list(columns) if not isinstance(columns, slice) else list(names[columns])
    return [name if isinstance(name, str) else names[int(name)] for name in picked]


def _unknown(what: str, expected: str) -> InvalidInput:
    msg = f"{what} cannot be written down as an encoding, expected {expected}"
    return InvalidInput(msg, hint="it is served another way")
