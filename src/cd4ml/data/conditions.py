"""Conditions that people state themselves: Polars SQL text, or a Polars expression."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Condition, Contract

if TYPE_CHECKING:
    import polars as pl

# Python functions travel pickled inside an expression; loading one runs what it says
_RUNS_CODE = ("AnonymousFunction", "AnonymousStreamingFunction", "PythonUdf", "OpaquePython")


class Compiled(NamedTuple):
    """A condition for a table; without an expression, `wrong` says why it has none."""

    columns: tuple[str, ...]
    expression: pl.Expr | None = None
    is_of_table: bool = False  # computes one value for all rows
    wrong: str = ""


def compiled(
    contract: Contract, condition: Condition, schema: Mapping[str, pl.DataType]
) -> Compiled:
    """A condition as an expression on a table with these columns.

    Raises:
        InvalidInput: If it is no expression, is not true or false, or runs Python code.
    """
    import polars as pl

    expression = parsed(condition, contract.name)
    columns = tuple(dict.fromkeys(expression.meta.root_names()))
    missing = [name for name in columns if name not in schema]
    if missing:
        return Compiled(columns, wrong=f"there is no column {missing[0]!r}")
    # two rows of nulls tell whether it computes a value a row or one for all of them
    table = pl.DataFrame({name: [None, None] for name in schema}, schema=dict(schema))
    try:
        found = table.select(kept=expression)
    except pl.exceptions.PolarsError as error:
        raise _refusal(
            condition, contract.name, f"cannot be computed: {first_line(error)}"
        ) from None
    if found.schema["kept"] not in (pl.Boolean, pl.Null):
        raise _refusal(condition, contract.name, f"is {found.schema['kept']}, not true or false")
    return Compiled(columns, expression, is_of_table=found.height == 1)


def parsed(condition: Condition, contract: str) -> pl.Expr:
    """The expression that a condition states.

    Raises:
        InvalidInput: If it states none, two, or one that runs Python code.
    """
    import polars as pl

    if bool(condition.sql) == bool(condition.polars):
        raise _refusal(condition, contract, "needs either `sql` or a Polars expression")
    try:
        if condition.sql:
            return pl.sql_expr(condition.sql)
        _refuse_code(condition, contract)
        return pl.Expr.deserialize(io.StringIO(condition.polars), format="json")
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise _refusal(condition, contract, f"is no expression: {first_line(error)}") from None


def refuse_undeclared(condition: Condition, contract: Contract) -> None:
    """Let no condition through that names a column which no row of the contract can have.

    Raises:
        InvalidInput: If it does, or is no expression.
    """
    expression = parsed(condition, contract.name)
    for name in [] if contract.open else expression.meta.root_names():
        if name not in contract.names:
            what = f"names {name!r}, which the contract does not declare"
            raise _refusal(condition, contract.name, what, "declare it, or say open = true")


def first_line(error: Exception) -> str:
    """What Polars says, without the plan that it appends."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _refuse_code(condition: Condition, contract: str) -> None:
    if any(name in _RUNS_CODE for name in _names(json.loads(condition.polars))):
        raise _refusal(condition, contract, "runs a Python function")


def _names(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [*node, *(name for value in node.values() for name in _names(value))]
    if isinstance(node, list):
        return [name for value in node for name in _names(value)]
    return [node] if isinstance(node, str) else []


def _refusal(condition: Condition, contract: str, what: str, hint: str = "") -> InvalidInput:
    msg = f"the condition {condition.name!r} of the contract {contract!r} {what}"
    return InvalidInput(msg, hint=hint or 'for example sql = "arrival >= departure"')
