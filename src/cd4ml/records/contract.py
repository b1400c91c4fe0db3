"""What a table or a request has to look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    import polars as pl

FieldType = Literal["integer", "number", "string", "boolean", "datetime"]
Forgiven = Literal["null", "unknown", "outside"]  # in what way a value is amiss, and taken


class Field(msgspec.Struct, frozen=True):
    """One column of a dataset or one field of a request.

    `minimum` and `maximum` are hard limits (inclusive) beyond which a value is a
    mistake, not merely unusual. `categories` lists the allowed strings; with
    `open`, strings outside the list are accepted and counted. `pattern` is a regular
    expression that a whole string matches. `optional`: a request, or a table, may lack it
    altogether, which is the same as null; only where null is taken.

    What requests may do beyond that, and are told so each time: `on_null` takes null where the
    field is not nullable ("warn": it is scored as null; "default": as `default`), `on_unknown` a
    string outside the list ("warn": as it is; "default"), `on_outside` a number beyond the
    limits ("warn": as it is; "clip": as the nearest limit). A nullable field with
    `on_null = "default"` is scored as `default` without a word.

    The rest is asked of datasets only. `unique`: no value stands in two rows.
    `references`: its values exist in another dataset, "stations.name" (the newest
    version) or "stations@3.name". `finite`: NaN and infinity are mistakes.
    """

    name: str
    type: FieldType
    nullable: bool = msgspec.field(default=False)
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()
    open: bool = False
    unit: str = ""
    description: str = ""
    pattern: str = ""
    unique: bool = False
    references: str = ""
    finite: bool = True
    optional: bool = False
    on_null: Literal["refuse", "warn", "default"] = "refuse"
    on_unknown: Literal["refuse", "warn", "default"] = "refuse"
    on_outside: Literal["refuse", "warn", "clip"] = "refuse"
    default: str | bool | int | float | None = None


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that every row keeps, or (if it computes one value) the whole table.

    Either `sql`, a Polars SQL expression on the columns ("arrival >= departure"), or
    `polars`, a serialised Polars expression (`Condition.of`). A row for which it is null
    keeps it, as with CHECK in SQL: what is missing contradicts nothing.
    """

    name: str
    sql: str = ""
    polars: str = ""
    description: str = ""

    @classmethod
    def of(cls, name: str, expression: pl.Expr, *, description: str = "") -> Condition:
        """The condition that a Polars expression states.

        Examples:
            >>> import polars as pl
            >>> Condition.of("lands later", pl.col("arrival") >= pl.col("departure")).polars
            '{"BinaryExpr":{"left":{"Column":"arrival"},"op":"GtEq","right":{"Column":"departure"}}}'
        """
        text = expression.meta.serialize(format="json")
        return cls(name=name, polars=text, description=description)


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a dataset or of a model's requests, and what its answer means.

    `version` follows semantic versioning. `output` says what a model's answer is: a
    name, its unit and range. `classes` are what it tells apart, in the model's order: a
    probability is that of the last one. `latency_ms` is what 99 of 100 single answers stay
    below, `size_mb` (megabytes of 1,000,000 bytes) what the packaged model does.

    The rest is asked of datasets only. `key` names columns that together are unique and
    identify a row; `unique` lists further columns, or groups of them, in which no two rows
    are the same (rows with a null there are not compared). `event_time` names the column
    that says when a row happened; the newest one is at most `fresh_within_hours` old.
    `arrival_time` names the one that says when it became known; a row with the key of an
    earlier arrival corrects it.
    With `open`, columns that are not declared are let through. `unchecked` lists rules
    that came with an imported contract and that cd4ml cannot check.
    """

    name: str
    version: str = "1.0.0"
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    event_time: str = ""
    arrival_time: str = ""
    minimum_rows: int = 0
    output: Field | None = None
    description: str = ""
    unique: tuple[tuple[str, ...], ...] = ()
    maximum_rows: int | None = None
    fresh_within_hours: float | None = None
    conditions: tuple[Condition, ...] = ()
    open: bool = False
    unchecked: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    latency_ms: float | None = None
    size_mb: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The field names, in order."""
        return tuple(field.name for field in self.fields)
