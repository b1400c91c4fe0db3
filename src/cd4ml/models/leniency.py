"""What a contract forgives: values that are amiss, taken all the same, and said to be so.

It imports nothing but Python's own library and its neighbour: a packaged model
(`serving.packaging`) takes this very file along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cd4ml.models.violations import Kind, expected_of, forgiven, is_closed, limits_of, shown

if TYPE_CHECKING:
    from cd4ml.records.contract import Field

Mend = Callable[[Sequence[Any]], tuple[Any, ...]]

LISTED = 100  # warnings in one answer


class ContractWarning(UserWarning):
    """Values that are amiss were scored: as they are, clipped, or as the contract's default.

    Its text names field and kind, never a value: it may stand in a log.
    """


@dataclass(frozen=True, slots=True)
class Warned:
    """One value of one row that is amiss and was scored nevertheless, as `scored`."""

    row: int
    field: str
    kind: Kind
    expected: str
    got: str
    scored: str


def warnings_of(fields: Sequence[Field], rows: Sequence[Mapping[str, Any]]) -> list[Warned]:
    """Everything that was forgiven in rows that are taken.

    Examples:
        >>> from cd4ml.records.contract import Field
        >>> hour = Field("hour", "integer", minimum=0, maximum=23, on_outside="clip")
        >>> for warned in warnings_of((hour,), [{"hour": 7}, {"hour": 24}]):
        ...     print(warned.row, warned.field, warned.kind, warned.got, "as", warned.scored)
        1 hour outside 24 as 23
    """
    able = [field for field in fields if is_lenient(field)]
    return [
        warned_of(i, field, row.get(field.name), kind)
        for i, row in enumerate(rows if able else ())
        for field in able
        if (kind := forgiven(field, row.get(field.name))) is not None
    ]


def warned_of(row: int, field: Field, value: Any, kind: Kind) -> Warned:
    """The warning about a value that is forgiven."""
    scored = shown(_mended(field, value))
    return Warned(row, field.name, kind, expected_of(field), shown(value), scored)


def said(warned: Warned) -> str:
    """A warning without its values, as `ContractWarning` says it."""
    what = {
        "null": "null",
        "unknown": "an unknown category",
        "outside": "a value beyond the limits",
    }
    instead = "the nearest limit" if warned.kind == "outside" else "the default"
    how = "all the same" if warned.scored == warned.got else f"as {instead}"
    return f"{warned.field}: expected {warned.expected}; {what[warned.kind]} was scored {how}"


def is_lenient(field: Field) -> bool:
    """Whether a field forgives anything."""
    return (
        (field.on_null != "refuse" and not field.nullable)
        or (field.on_unknown != "refuse" and is_closed(field))
        or field.on_outside != "refuse"
    )


def mender(fields: Sequence[Field]) -> Mend | None:
    """What makes values to be scored of those that were asked, in the order of the fields.

    None if nothing is ever changed. Mending twice is mending once.

    Examples:
        >>> from cd4ml.records.contract import Field
        >>> wind = Field(
        ...     "wind", "number", minimum=0, on_outside="clip", on_null="default", default=7.5
        ... )
        >>> mend = mender((Field("hour", "integer"), wind))
        >>> mend((5, -1.0)), mend((5, None)), mender((Field("hour", "integer"),))
        ((5, 0.0), (5, 7.5), None)
    """
    able = [(i, field) for i, field in enumerate(fields) if _changes(field)]
    if not able:
        return None

    def mend(values: Sequence[Any]) -> tuple[Any, ...]:
        mended = list(values)
        for i, field in able:
            mended[i] = _mended(field, mended[i])
        return tuple(mended)

    return mend


def _changes(field: Field) -> bool:
    return field.on_null == "default" or field.on_unknown == "default" or field.on_outside == "clip"


def _mended(field: Field, value: Any) -> Any:
    if value is None:
        return field.default if field.on_null == "default" else None
    if field.on_unknown == "default" and is_closed(field):
        return value if value in field.categories else field.default
    if field.on_outside == "clip":
        low, high = limits_of(field)
        clipped = min(max(value, low), high)
        return int(clipped) if field.type == "integer" else float(clipped)
    return value
