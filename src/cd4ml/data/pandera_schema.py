"""Pandera schemas as contracts: their own checks run, on the rows too.

Pandera skips every check of values when it is given a LazyFrame. So the rows are always
read first, and the depth of validation is set here whatever the environment says.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.data.places import Places
from cd4ml.errors import ConfigurationError
from cd4ml.records.contract import Contract, Field, FieldType
from cd4ml.records.finding import Finding

if TYPE_CHECKING:
    import polars as pl

_INSTALL = "pip install 'cd4ml[pandera]'"


class PanderaContract(Contract, frozen=True, kw_only=True, dict=True):
    """A contract whose rules are those of a Pandera schema.

    The fields say of each column what Pandera's schema says in words of a contract.
    `schema_text` is the whole schema, written down, so that a changed check is another
    contract. The schema itself is in `schema`, for as long as the process lives.
    """

    schema_text: str

    @property
    def schema(self) -> Any:
        """The `pandera.polars.DataFrameSchema`."""
        return self.__dict__["schema"]


def is_pandera(thing: object) -> bool:
    """Whether something is a Pandera schema or model; Pandera is not imported to find out."""
    if "pandera" not in sys.modules:
        return False
    kinds = thing.__mro__ if isinstance(thing, type) else type(thing).__mro__
    return any(
        kind.__module__.startswith("pandera.")
        and kind.__name__ in ("DataFrameSchema", "DataFrameModel")
        for kind in kinds
    )


def pandera_contract(thing: Any, name: str) -> PanderaContract:
    """A Pandera schema for Polars, or a model of one, as a contract.

    Args:
        thing: A `DataFrameSchema` or a subclass of `DataFrameModel` of `pandera.polars`.
        name: What to call it if it has no name of its own.

    Raises:
        ConfigurationError: If Pandera is not installed, or it is a schema for other tables.
    """
    try:
        import pandera.polars as pa
    except ImportError:
        msg = "Pandera's schemas for Polars need pandera[polars]"
        raise ConfigurationError(msg, hint=_INSTALL) from None
    schema = thing.to_schema() if hasattr(thing, "to_schema") else thing
    if not isinstance(schema, pa.DataFrameSchema):
        msg = f"{name} is a Pandera schema for other tables than those of Polars"
        raise ConfigurationError(msg, hint="import pandera.polars as pa, and declare it with that")
    found = PanderaContract(
        name=schema.name or name,
        fields=tuple(_fields(schema)),
        description=schema.description or "",
        open=not schema.strict,
        schema_text=_text(schema),
    )
    found.__dict__["schema"] = schema
    return found


class Failure(NamedTuple):
    """What one check of a schema found; `rows` count from 0, none: it is not about rows."""

    gate: str
    column: str
    rows: tuple[int, ...]
    example: str
    is_value: bool = True  # False: `example` is about the column, not a value of it


def failures(table: pl.DataFrame, contract: PanderaContract) -> list[Failure]:
    """Every check that these rows break, with all the rows that break it."""
    import pandera.polars as pa
    from pandera.config import ValidationDepth, config_context

    depth = ValidationDepth.SCHEMA_AND_DATA
    with config_context(validation_enabled=True, validation_depth=depth):
        try:
            contract.schema.validate(table, lazy=True)
        except pa.errors.SchemaErrors as error:
            return [_failure(key, cases) for key, cases in _grouped(error.failure_cases)]
    return []


def pandera_findings(
    table: pl.DataFrame, contract: PanderaContract, places: Places | None = None
) -> tuple[Finding, ...]:
    """A finding per check of the schema, kept or broken."""
    places = places or Places()
    broken = {failure.gate: failure for failure in failures(table, contract)}
    known = dict(_gates(contract.schema))
    columns = known | {failure.gate: failure.column for failure in broken.values()}
    return tuple(
        _finding(gate, column, broken.get(gate), table.height, places)
        for gate, column in columns.items()
    )


def _finding(
    gate: str, column: str, failure: Failure | None, n_rows: int, places: Places
) -> Finding:
    reason, value, example = "", 0.0, ""
    if failure is not None:
        n_broken = len(failure.rows)
        reason, value = failure.example, float(n_broken or n_rows)
        example = failure.example if failure.is_value else ""
        if n_broken:
            first = places.of(failure.rows[0] + 1)
            reason = f"{n_broken:,} of {n_rows:,} rows, first in {first}: {failure.example}"
    is_error = failure is not None and bool(_RAISED.match(failure.example))
    outcome = "error" if is_error else "fail"
    return Finding(
        gate=gate,
        metric="pandera",
        slice=column,
        value=None if is_error else value,
        limit=0.0,
        n_rows=n_rows,
        outcome=outcome if failure else "pass",  # type: ignore[arg-type]
        reason=reason,
        example=example,
    )


_RAISED = re.compile(r"\w+(Error|Exception)\(")
_WORDS = {
    "not_nullable": "is never null",
    "field_uniqueness": "unique",
    "column_in_dataframe": "is there",
    "column_in_schema": "is not there",
}


def _grouped(cases: pl.DataFrame) -> Iterator[tuple[tuple[str, str], pl.DataFrame]]:
    keys = ["schema_context", "column", "check", "check_number"]
    for (context, column, check, _), group in cases.group_by(keys, maintain_order=True):
        # checks of the whole table carry its name where columns have theirs
        is_column = column is not None and context == "Column"
        yield (str(column) if is_column else "", str(check)), group


def _failure(key: tuple[str, str], cases: pl.DataFrame) -> Failure:
    column, check = key
    example = (str(cases["failure_case"][0]).splitlines() or [""])[0]
    is_value = True
    if check in ("column_in_dataframe", "column_in_schema"):
        column, is_value = example, False
        example = "there is no such column" if check == "column_in_dataframe" else "it is unknown"
    if check.startswith("dtype("):
        example, is_value = f"its type is {example}", False
    rows = cases["index"].drop_nulls().unique().sort().to_list()
    return Failure(_gate(column, check), column, tuple(rows), example, is_value)


def _gate(column: str, check: str) -> str:
    words = _WORDS.get(check)
    if check.startswith("dtype("):
        words = f"is {check[len('dtype(') : -1].strip(chr(39))}"
    if words is None:
        return f"{column}: {check}" if column else check
    return f"{column} {words}"


def _gates(schema: Any) -> Iterator[tuple[str, str]]:
    for name, column in schema.columns.items():
        if column.dtype is not None:
            yield _gate(name, f"dtype('{column.dtype}')"), name
        if not column.nullable:
            yield _gate(name, "not_nullable"), name
        if column.unique:
            yield _gate(name, "field_uniqueness"), name
        for check in column.checks:
            yield _gate(name, named(check)), name
    if schema.unique:
        yield _gate("", "multiple_fields_uniqueness"), ""
    for check in schema.checks:
        yield _gate("", named(check)), ""


def named(check: Any) -> str:
    """What Pandera calls a check in its messages."""
    return str(check.error or check.name or "check")


def _fields(schema: Any) -> Iterator[Field]:
    for name, column in schema.columns.items():
        kind = _kind(column.dtype)
        if kind is None or column.regex or not column.required:
            continue
        limits = {key: value for check in column.checks for key, value in _limits(check, kind)}
        yield Field(name, kind, nullable=column.nullable, unique=bool(column.unique), **limits)


def _kind(dtype: Any) -> FieldType | None:
    import polars as pl

    type_ = getattr(dtype, "type", None)
    type_ = type_() if isinstance(type_, type) else type_
    if not isinstance(type_, pl.DataType):
        return None
    if type_.is_integer():
        return "integer"
    if type_.is_numeric():
        return "number"
    if type_ == pl.Boolean:
        return "boolean"
    if type_ in (pl.String, pl.Categorical, pl.Enum):
        return "string"
    return "datetime" if type_ in (pl.Datetime, pl.Date) else None


def _limits(check: Any, kind: FieldType) -> Iterator[tuple[str, Any]]:
    said = check.statistics or {}
    is_numeric = kind in ("integer", "number")
    if is_numeric and check.name in ("greater_than_or_equal_to", "in_range"):
        yield "minimum", float(said["min_value"])
    if is_numeric and check.name in ("less_than_or_equal_to", "in_range"):
        yield "maximum", float(said["max_value"])
    if kind == "string" and check.name == "isin":
        yield "categories", tuple(str(value) for value in said["allowed_values"])


def _text(schema: Any) -> str:
    """The whole schema, also the source of its functions."""
    parts = [repr(schema)]
    for name, column in schema.columns.items():
        facts = (column.nullable, column.unique, column.required, column.coerce, column.regex)
        parts.append(f"{name} {column.dtype} {facts}")
        parts += [_check_text(check) for check in (*column.checks, *column.parsers)]
    parts += [_check_text(check) for check in (*schema.checks, *schema.parsers)]
    return "\n".join(parts)


def _check_text(check: Any) -> str:
    function = getattr(check, "_check_fn", None) or getattr(check, "_parser_fn", None)
    known = getattr(check, "statistics", None)
    said = f"{getattr(check, 'name', '')} {known or ''} {getattr(check, 'error', '') or ''}"
    return said if known or function is None else f"{said} {_source(function)}"


def _source(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return code.co_code.hex() if code else type(function).__qualname__
