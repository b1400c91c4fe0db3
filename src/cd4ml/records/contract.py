"""What a table or a request has to look like."""

from __future__ import annotations

from typing import Literal

import msgspec

FieldType = Literal["integer", "number", "string", "boolean", "datetime"]


class Field(msgspec.Struct, frozen=True):
    """One column of a dataset or one field of a request.

    `minimum` and `maximum` are hard limits (inclusive) beyond which a value is a
    mistake, not merely unusual. `categories` lists the allowed strings; with
    `open`, strings outside the list are accepted and counted.
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


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a dataset or of a model's requests, and what its answer means.

    `version` follows semantic versioning. `key` names columns that together are
    unique (datasets only). `event_time` names the column that says when a row
    happened, `arrival_time` the one that says when it became known; a row with the key of
    an earlier arrival corrects it. `output` says what a model's answer is: a name, its
    unit and range.
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

    @property
    def names(self) -> tuple[str, ...]:
        """The field names, in order."""
        return tuple(field.name for field in self.fields)
