"""A contract that the rows of a version suggest, for people to review."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cd4ml.data.bins import type_name
from cd4ml.data.contract import check
from cd4ml.data.formats import utc
from cd4ml.data.patterns import common_pattern
from cd4ml.data.rules import of_type
from cd4ml.models.violations import LARGEST_INTEGER, LARGEST_NUMBER, limits_of
from cd4ml.records.contract import Contract, Field, FieldType
from cd4ml.records.finding import Finding

if TYPE_CHECKING:
    import polars as pl

_CATEGORIES = 30  # at most so many are listed,
_ROWS_EACH = 5  # if there are on average so many rows of each
_MARGIN = 0.5  # of the range that was seen, on either side
_KEY_COLUMNS = 8  # are tried in pairs
# what a field no longer says when the rows it was made from break it
_WIDER: dict[str, dict[str, Any]] = {
    "nulls": {"nullable": True},
    "not finite": {"finite": False},
    "below minimum": {"minimum": None},
    "above maximum": {"maximum": None},
    "unknown category": {"categories": ()},
    "wrong pattern": {"pattern": ""},
}
_TYPES: tuple[FieldType, ...] = ("boolean", "integer", "number", "datetime", "string")


class Suggestion(NamedTuple):
    """A contract, and for each field what was seen that led to it ("": about all of it)."""

    contract: Contract
    notes: dict[str, str]


def suggest(frame: pl.LazyFrame, name: str, *, source: str = "") -> Suggestion:
    """The contract that these rows suggest; they keep it.

    Columns are null where some are null. Numbers may lie half of the seen range beyond it, and
    do not change their sign by that; whole numbers that number the rows have no maximum.
    Few texts are categories, others have a pattern if one is obvious. Texts that are all
    times are times. Columns that identify rows are the key, or else a pair of them.

    Args:
        frame: The rows; they are read once.
        name: Of the contract.
        source: What the rows are, for the comment: "flights@1".
    """
    table = frame.collect()
    kinds = {column.name: _kind(column) for column in table.iter_columns()}
    fields, notes = [], {}
    for column in table.iter_columns():
        kind = kinds[column.name]
        if kind is not None:
            fields.append(_field(column, kind))
            notes[column.name] = _seen(column, kind)
    key, others = _keys(table, fields)
    strange = [column for column, kind in kinds.items() if kind is None]
    about = [f"Suggested from {table.height:,} rows of {source or name}; review every line."]
    about += [f"{', '.join(names)} is unique, too." for names in others]
    about += [f"{column} is {type_name(table.schema[column])}: not checked." for column in strange]
    contract = Contract(
        name=name,
        fields=tuple(fields),
        key=key,
        event_time=_event_time(fields),
        minimum_rows=min(1, table.height),
        open=bool(strange),
    )
    return Suggestion(_kept(table, contract), {"": "\n".join(about), **notes})


def _kept(table: pl.DataFrame, contract: Contract) -> Contract:
    """The contract without what these rows break: how a limit was rounded, for instance."""
    if not contract.fields:
        return contract
    broken = [f for f in check(table.lazy(), contract) if f.outcome != "pass"]
    wider = _widened(contract, broken)
    return contract if wider == contract else _kept(table, wider)


def _widened(contract: Contract, broken: list[Finding]) -> Contract:
    said: dict[str, dict[str, Any]] = {}
    for finding in broken:
        said.setdefault(finding.slice, {}).update(_WIDER.get(finding.metric, {}))
    fields = tuple(
        msgspec.structs.replace(field, **said.get(field.name, {})) for field in contract.fields
    )
    is_repeated = any(finding.metric == "duplicates" for finding in broken)
    key = () if is_repeated else contract.key
    return msgspec.structs.replace(contract, fields=fields, key=key)


def _kind(column: pl.Series) -> FieldType | None:
    found = next((kind for kind in _TYPES if of_type(column.dtype, Field("", kind))), None)
    if found == "integer" and not _fits_64_bits(column):
        return "number"
    return "datetime" if found == "string" and _is_time(column) else found


def _fits_64_bits(column: pl.Series) -> bool:
    """Whether all of a column are what a contract calls an integer."""
    seen = [value for value in (column.min(), column.max()) if isinstance(value, int)]
    return all(-LARGEST_INTEGER - 1 <= value <= LARGEST_INTEGER for value in seen)


def _is_time(column: pl.Series) -> bool:
    import polars as pl

    if column.dtype != pl.String or column.null_count() == len(column):
        return False
    texts = column.drop_nulls()
    few = texts.head(100).to_frame("text").select(utc(pl.col("text"))).to_series()
    if few.null_count():
        return False
    return texts.to_frame("text").select(utc(pl.col("text"))).to_series().null_count() == 0


def _field(column: pl.Series, kind: FieldType) -> Field:
    limits: dict[str, Any] = {}
    if kind in ("integer", "number"):
        limits = _range(column, kind)
    elif kind == "string":
        limits = _texts(column)
    field = Field(column.name, kind, nullable=column.null_count() > 0, **limits)
    least, most = limits_of(field)
    # what lies beyond single precision on one side would leave no number between both
    return field if least <= most else msgspec.structs.replace(field, minimum=None, maximum=None)


def _range(column: pl.Series, kind: FieldType) -> dict[str, Any]:
    import polars as pl

    numbers = column.cast(pl.Float64).drop_nulls()
    finite = numbers.filter(numbers.is_finite())
    limits: dict[str, Any] = {} if len(finite) == len(numbers) else {"finite": False}
    if finite.is_empty():
        return limits
    low, high = float(finite.min()), float(finite.max())  # type: ignore[arg-type]
    least, most = _below(low, high), _above(low, high)
    if kind == "integer":
        least, most = float(math.floor(least)), float(math.ceil(most))
    if kind == "integer" and {low, high} <= {0.0, 1.0}:
        least, most = 0.0, 1.0
    has_lowest = not (numbers == float("-inf")).any()
    has_highest = not (numbers == float("inf")).any()
    if has_lowest and least < LARGEST_NUMBER:
        limits["minimum"] = least
    is_counting = kind == "integer" and _numbers_rows(column)
    if has_highest and most > -LARGEST_NUMBER and not is_counting:
        limits["maximum"] = most
    return limits


def _below(low: float, high: float) -> float:
    """A limit below what was seen, on the same side of zero.

    Examples:
        >>> _below(3.0, 23.0), _below(-5.0, 40.0)
        (0.0, -28.0)
    """
    limit = low - _MARGIN * (high - low or abs(low) or 1.0)
    return 0.0 if low >= 0 > limit else _rounded(limit, math.floor)


def _above(low: float, high: float) -> float:
    limit = high + _MARGIN * (high - low or abs(high) or 1.0)
    return 0.0 if high <= 0 < limit else _rounded(limit, math.ceil)


def _rounded(value: float, direction: Any) -> float:
    """Two digits, in one direction."""
    if value == 0 or not math.isfinite(value):
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    rounded = direction(value / step) * step
    # what computing in floats adds must not bring the limit inside of what was seen
    return float(f"{rounded:.12g}")


def _numbers_rows(column: pl.Series) -> bool:
    """Whether a column counts rows, so that the next ones are above all that were seen."""
    return len(column) > 1 and column.null_count() == 0 and column.n_unique() == len(column)


def _texts(column: pl.Series) -> dict[str, Any]:
    import polars as pl

    texts = column.cast(pl.String).drop_nulls()
    different = texts.unique()
    if 0 < len(different) <= _CATEGORIES and len(texts) >= _ROWS_EACH * len(different):
        return {"categories": tuple(sorted(different.to_list()))}
    pattern = common_pattern(texts) if len(different) > 1 else ""
    return {"pattern": pattern} if pattern else {}


def _keys(
    table: pl.DataFrame, fields: list[Field]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The columns that identify a row, and other single ones that would."""
    if table.height < 2:
        return (), []
    usable = [f.name for f in fields if f.type in ("integer", "string") and not f.nullable]
    single: list[tuple[str, ...]] = [
        (name,) for name in usable if table[name].n_unique() == table.height
    ]
    if single:
        return single[0], single[1:]
    usable = [f.name for f in fields if f.type != "number" and not f.nullable][:_KEY_COLUMNS]
    for size in (2, 3):
        for names in combinations(usable, size):
            sample = table.head(10_000).select(names)
            if sample.is_unique().all() and table.select(names).is_unique().all():
                return names, []
    return (), []


def _event_time(fields: list[Field]) -> str:
    times = [field.name for field in fields if field.type == "datetime"]
    return times[0] if len(times) == 1 else next((n for n in times if n.startswith("event")), "")


def _seen(column: pl.Series, kind: FieldType) -> str:
    import polars as pl

    n_null, n_unique = column.null_count(), column.n_unique()
    said = [f"{n_unique:,} different values"]
    if n_null == len(column):
        is_guess = column.dtype == pl.String
        said = [f"no value was seen{', so that the type is a guess' if is_guess else ''}"]
    elif kind in ("integer", "number", "datetime"):
        least, most = _extremes(column, kind)
        said = [f"seen {least} to {most}", *said]
    if n_null:
        said.append(f"{n_null:,} missing")
    return ", ".join(said)


def _extremes(column: pl.Series, kind: FieldType) -> tuple[str, str]:
    import polars as pl

    if kind == "datetime" and column.dtype == pl.String:
        column = column.to_frame("at").select(utc(pl.col("at"))).to_series()
    return _short(column.min()), _short(column.max())


def _short(value: object) -> str:
    """A number, or a time in UTC, as people write it.

    Examples:
        >>> from datetime import UTC, datetime
        >>> _short(datetime(2026, 5, 1, 8, tzinfo=UTC)), _short(0.25)
        ('2026-05-01T08:00:00Z', '0.25')
    """
    if isinstance(value, datetime):
        at = value.astimezone(UTC) if value.tzinfo else value
        return at.isoformat().replace("+00:00", "Z")
    return f"{value:g}" if isinstance(value, int | float) else str(value)
