"""The contract of a model's requests: compiled for serving, and derived.

A model's contract lists the raw columns of a request. All of them must be there but the
optional ones, and no others; what is unknown is sent as null where the field is nullable.
`compatibility` says what a new one means for those who keep the old one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from cd4ml.errors import ContractViolated, InvalidInput
from cd4ml.models.impossible import refuse_impossible, refuse_unsendable
from cd4ml.models.leniency import Warned, is_lenient, mender, warnings_of
from cd4ml.models.violations import (
    Violation,
    is_closed,
    limits_of,
    violations_of,
    whole,
)
from cd4ml.records.contract import Contract, Field

if TYPE_CHECKING:
    import polars as pl

_CATEGORIES = 200  # up to so many different strings a derived contract lists them
_LISTED = 10  # kinds of violations in one message


class CompiledContract:
    """A contract as a msgspec Struct class, so that rows are checked while they are read.

    `row` has one attribute per field, in order (`f0`, `f1`, ...: a field's name need not be
    a Python name). An optional field that a row lacks is `msgspec.UNSET` there. What `check`
    finds no violation in can be read as `row`, also what is forgiven. `mend` makes the values that
    are scored of those that came (None: they are the same). The reverse
    holds except for what the class cannot see: the form of times, the character NUL in
    strings, and a name that stands twice in one object. Immutable, safe to share between
    threads.

    Raises:
        InvalidInput: If no row can keep the contract, or no request can name one of its fields.
    """

    def __init__(self, contract: Contract) -> None:
        refuse_impossible(contract)
        refuse_unsendable(contract)
        self.contract = contract
        self.mend = mender(contract.fields)
        self._lenient = tuple(field for field in contract.fields if is_lenient(field))
        self.row: type[msgspec.Struct] = msgspec.defstruct(
            "Row",
            [
                (f"f{i}", _annotation(forgiving(field)), _slot(field))
                for i, field in enumerate(contract.fields)
            ],
            forbid_unknown_fields=True,
            frozen=True,
            kw_only=True,  # what may be left out may stand before what may not
            gc=False,
        )

    def check(self, row: object, path: str = "$") -> list[Violation]:
        """All violations of a decoded JSON row at once; none if it keeps the contract."""
        return violations_of(self.contract.fields, row, path)

    @property
    def is_lenient(self) -> bool:
        """Whether it forgives anything."""
        return bool(self._lenient)

    def warnings_of(self, rows: Sequence[Mapping[str, Any]]) -> list[Warned]:
        """What is forgiven in decoded rows that are taken."""
        return warnings_of(self._lenient, rows) if self._lenient else []

    def getter(self, names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
        """A function from a `row` to the values of these fields, in this order.

        An optional field that the row lacks is None.

        Raises:
            InvalidInput: If the contract lacks one of them.
        """
        missing = [name for name in names if name not in self.contract.names]
        if missing:
            msg = f"requests of the contract {self.contract.name!r} lack {', '.join(missing)}"
            raise InvalidInput(msg, hint="the versions of one plan must take the same requests")
        attributes = [f"f{self.contract.names.index(name)}" for name in names]
        optional = {field.name for field in self.contract.fields if field.optional}
        get = _tuple_of(attributes)
        return _with_nulls(get) if optional.intersection(names) else get

    def getter_for(self, other: Contract) -> Callable[[Any], tuple[Any, ...]]:
        """A function from a `row` to what a model of another contract takes.

        Optional fields of the other one that are unknown here are None.

        Raises:
            InvalidInput: If a field that it needs is not among the contract's.
        """
        if self.mend is not None and other.fields != self.contract.fields:
            return self._mended_first(other)
        return self._getter_for(other)

    def _mended_first(self, other: Contract) -> Callable[[Any], tuple[Any, ...]]:
        """For a model of another contract requests are first what this one makes of them."""
        every, rest, mend = self.getter(self.contract.names), self._getter_for(other), self.mend
        names, row = self.row.__struct_fields__, self.row
        assert mend is not None

        def values(asked: Any) -> tuple[Any, ...]:
            return rest(row(**dict(zip(names, mend(every(asked)), strict=True))))

        return values

    def _getter_for(self, other: Contract) -> Callable[[Any], tuple[Any, ...]]:
        known = self.contract.names
        unknown = {f.name for f in other.fields if f.optional and f.name not in known}
        if not unknown:
            return self.getter(other.names)
        get = self.getter([name for name in other.names if name not in unknown])
        places = iter(range(len(other.names)))
        taken = [None if name in unknown else next(places) for name in other.names]

        def values(row: Any) -> tuple[Any, ...]:
            given = get(row)
            return tuple(None if place is None else given[place] for place in taken)

        return values

    def refuse_unless_kept(self, rows: list[dict[str, Any]]) -> None:
        """Let no rows through that do not keep the contract.

        Raises:
            ContractViolated: With the kinds of violations, most frequent first.
        """
        try:
            msgspec.convert(rows, list[self.row])  # type: ignore[name-defined]
        except msgspec.ValidationError:
            found = [violation for row in rows for violation in self.check(row)]
            summary = partial(_summary, self.contract, len(rows), found)
            discreet = summary(shows_values=False)
            raise ContractViolated(summary(shows_values=True), discreet=discreet) from None


def strict(contract: Contract) -> Contract:
    """The contract that forgives nothing: what rows keep that teach or judge a model.

    Examples:
        >>> lenient = Contract(name="c", fields=(Field("hour", "integer", on_null="warn"),))
        >>> strict(lenient).fields[0].on_null
        'refuse'
    """
    return msgspec.structs.replace(contract, fields=tuple(map(strict_field, contract.fields)))


def strict_field(field: Field) -> Field:
    """The field that forgives nothing."""
    return msgspec.structs.replace(
        field, on_null="refuse", on_unknown="refuse", on_outside="refuse", default=None
    )


def as_scored(field: Field) -> Field:
    """What a model may be asked in place of a field: what it wants, and what is scored as it is."""
    limits = {} if field.on_outside != "warn" else {"minimum": None, "maximum": None}
    return msgspec.structs.replace(
        field,
        nullable=(field.nullable and field.on_null != "default") or field.on_null == "warn",
        open=field.open or field.on_unknown == "warn",
        **limits,
    )


def forgiving(field: Field) -> Field:
    """A field that wants whatever this one takes, also what it forgives."""
    limits = {} if field.on_outside == "refuse" else {"minimum": None, "maximum": None}
    return msgspec.structs.replace(
        field,
        nullable=field.nullable or field.on_null != "refuse",
        open=field.open or field.on_unknown != "refuse",
        **limits,
    )


def derive(frame: pl.DataFrame, name: str, declared: Contract | None = None) -> Contract:
    """The contract of requests that look like these rows.

    A declared contract is returned as it is, once the rows keep it. Without one, a
    column may be null if it is null somewhere, and strings are listed but left open: rows
    show what is usual, and only people know what is impossible.

    Args:
        frame: Raw columns of requests, one row a request; a declared contract need not
            name all of them.
        name: What a derived contract is called.
        declared: The contract that people wrote.

    Raises:
        ContractViolated: If the rows do not keep the declared contract.
        InvalidInput: If a column is missing or its type cannot be sent as JSON.
    """
    from cd4ml.models.frames import field_of, to_rows

    if declared is not None:
        CompiledContract(strict(declared)).refuse_unless_kept(to_rows(declared, frame))
        return declared
    fields = tuple(field_of(column, _CATEGORIES) for column in frame.iter_columns())
    return Contract(name=name, fields=fields)


def _tuple_of(attributes: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not attributes:
        return lambda row: ()
    if len(attributes) == 1:
        get = attrgetter(attributes[0])
        return lambda row: (get(row),)
    return attrgetter(*attributes)


def _with_nulls(get: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda row: tuple(None if value is msgspec.UNSET else value for value in get(row))


def _slot(field: Field) -> Any:
    if field.optional:
        return msgspec.field(name=field.name, default=msgspec.UNSET)
    return msgspec.field(name=field.name)


def _annotation(field: Field) -> Any:
    annotation = _required_annotation(field)
    if field.optional:
        return annotation | None | msgspec.UnsetType
    return annotation | None if field.nullable else annotation


def _required_annotation(field: Field) -> Any:
    if is_closed(field):
        return Literal[field.categories]
    if field.pattern:
        return Annotated[str, msgspec.Meta(pattern=whole(field.pattern))]
    if field.type in ("string", "datetime"):
        return str
    if field.type == "boolean":
        return bool
    low, high = limits_of(field)
    kind = int if field.type == "integer" else float
    return Annotated[kind, msgspec.Meta(ge=low, le=high)]


def _summary(
    contract: Contract, n_rows: int, found: Sequence[Violation], *, shows_values: bool
) -> str:
    kinds = Counter((violation.field, violation.expected) for violation in found)
    example = {(violation.field, violation.expected): violation.got for violation in found}
    lines = [f"{n_rows} rows do not keep the contract {contract.name!r}"]
    for (field, expected), times in kinds.most_common(_LISTED):
        got = f", got {example[field, expected]}" if shows_values else ""
        lines.append(f"- {field}: expected {expected}{got} ({times} rows)")
    if len(kinds) > _LISTED:
        lines.append(f"- and {len(kinds) - _LISTED} more")
    return "\n  ".join(lines)
