"""What is wrong with one row, all of it at once.

It imports nothing but Python's own library: a packaged model (`serving.packaging`) takes this
very file along, so that it says what an endpoint says.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cd4ml.records.contract import Field

Kind = Literal["null", "unknown", "outside"]

# A compiled model computes in single precision; what does not fit would silently be infinite.
LARGEST_NUMBER = 3.4028234663852886e38
LARGEST_INTEGER = 2**63 - 1
LARGEST_EXACT = 2**53 - 1  # beyond it a float may stand for several integers, or for a fraction

# PostgreSQL and C strings end at NUL; half a surrogate pair is no UTF-8
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

_SHOWN = 80  # characters of an offending value
_UNKNOWN = 100  # fields outside the contract that are listed
_LISTED = 10  # categories of an expectation

_MOMENT = re.compile(  # RFC 3339, as msgspec reads it
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:?\d\d)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of one row that does not keep the contract."""

    field: str
    path: str  # where in the request: `$.rows[0].hour`
    expected: str
    got: str


def violations_of(fields: tuple[Field, ...], row: object, path: str = "$") -> list[Violation]:
    """Every violation of a decoded JSON row, in the order of the fields; then unknown ones.

    Examples:
        >>> from cd4ml.records.contract import Field
        >>> hour = Field("hour", "integer", minimum=0, maximum=23)
        >>> for violation in violations_of((hour,), {"hour": 24, "day": 1}):
        ...     print(violation.path, violation.expected, "/", violation.got)
        $.hour an integer from 0 to 23 / 24
        $.day no such field / 1
    """
    if not isinstance(row, Mapping):
        return [Violation("", path, "an object with the contract's fields", shown(row))]
    found = []
    for field in fields:
        if takes(field, row[field.name]) if field.name in row else field.optional:
            continue
        got = _got(field, row[field.name]) if field.name in row else "nothing"
        found.append(Violation(field.name, f"{path}.{field.name}", expected_of(field), got))
    known = {field.name for field in fields}
    unknown = ((printable(name), value) for name, value in row.items() if name not in known)
    found += [
        Violation(name, f"{path}.{name}", "no such field", shown(value))
        for name, value in islice(unknown, _UNKNOWN)
    ]
    return found


def integers_in(fields: Iterable[Field], row: object) -> dict[str, int]:
    """What stands for each whole float of a decoded JSON row where an integer is wanted.

    Many who send whole numbers have floats only: a table with a null in the column, JavaScript's
    arithmetic. So 17.0 is 17, in every protocol; 17.5 is no integer, nor is a float beyond 2^53,
    which may be the nearest one to another number.

    Examples:
        >>> from cd4ml.records.contract import Field
        >>> hour, wind = Field("hour", "integer"), Field("wind", "number")
        >>> integers_in((hour, wind), {"hour": 17.0, "wind": 8.0})
        {'hour': 17}
        >>> integers_in((hour, wind), {"hour": 17.5, "wind": 8.0})
        {}
    """
    if not isinstance(row, Mapping):
        return {}
    found = {}
    for field in fields:
        if field.type == "integer" and isinstance(value := row.get(field.name), float):
            number = as_integer(value)
            if isinstance(number, int):
                found[field.name] = number
    return found


def as_integer(value: float) -> float:
    """A whole float that can stand for one integer only as that; any other as it came.

    Examples:
        >>> as_integer(17.0), as_integer(17.5), as_integer(2.0**53)
        (17, 17.5, 9007199254740992.0)
    """
    is_exact = -LARGEST_EXACT <= value <= LARGEST_EXACT
    return int(value) if is_exact and value.is_integer() else value


def with_integers(fields: Iterable[Field], row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row with `integers_in` it; itself, if there are none."""
    found = integers_in(fields, row)
    return {**row, **found} if found else row


def expected_of(field: Field) -> str:
    """What a field wants, in words; what it forgives is not among them.

    Examples:
        >>> from cd4ml.records.contract import Field
        >>> expected_of(Field("wind", "number", nullable=True, minimum=0, unit="mph"))
        'a number of at least 0 mph, or null'
        >>> expected_of(Field("origin", "string", categories=("EWR", "JFK")))
        'one of "EWR", "JFK"'
    """
    return f"{_kind_of(field)}, or null" if field.nullable else _kind_of(field)


def limits_of(field: Field) -> tuple[float, float]:
    """The smallest and the largest value of a numeric field: its own limits, else its type's."""
    largest = LARGEST_INTEGER if field.type == "integer" else LARGEST_NUMBER
    smallest = -LARGEST_INTEGER - 1 if field.type == "integer" else -LARGEST_NUMBER
    low = smallest if field.minimum is None else max(smallest, field.minimum)
    high = largest if field.maximum is None else min(largest, field.maximum)
    if field.type == "integer":
        return math.ceil(low), math.floor(high)
    return low, high


def is_closed(field: Field) -> bool:
    """Whether a field takes the strings of its list and no others."""
    return bool(field.categories) and not field.open


def whole(pattern: str) -> str:
    r"""The pattern of a whole string, for `re.search`.

    Examples:
        >>> whole("a|b")
        '\\A(?:a|b)\\Z'
    """
    return rf"\A(?:{pattern})\Z"


def shown(value: object) -> str:
    """An offending value as people would write it in JSON, cut when it is long."""
    return printable(json.dumps(value, ensure_ascii=False, default=str))


def _got(field: Field, value: object) -> str:
    """The value, and the limit that it broke where the field's words do not name that."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if field.type == "number" and is_number and LARGEST_NUMBER < abs(value) < math.inf:  # type: ignore[arg-type]
        return f"{shown(value)}, which single precision cannot hold (at most 3.4e38)"
    if field.type == "integer" and _may_be_rounded(value):
        return (
            f"{shown(value)}, which may have been rounded (beyond 2^53 write it without a fraction)"
        )
    if field.type == "integer" and isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return f"{shown(value)}, which 64 bits cannot hold (at most {LARGEST_INTEGER})"
    return shown(value)


def _may_be_rounded(value: object) -> bool:
    """Whether a float is a whole number that 64 bits hold, and perhaps not the one that was meant."""
    return isinstance(value, float) and LARGEST_EXACT < abs(value) < LARGEST_INTEGER


def printable(text: str) -> str:
    """A name or value of a request as it can be sent back: cut, without half of a surrogate pair."""
    text = text[: _SHOWN + 1].encode(errors="replace").decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _kind_of(field: Field) -> str:
    if is_closed(field):
        listed = ", ".join(f'"{name}"' for name in field.categories[:_LISTED])
        more = len(field.categories) - _LISTED
        return f"one of {listed}" + (f" and {more} more" if more > 0 else "")
    if field.pattern:
        return f"a string like {field.pattern}"
    if field.type == "string":
        return "a string of Unicode characters other than NUL"
    if field.type == "boolean":
        return "true or false"
    if field.type == "datetime":
        return "a time with its zone, such as 2013-02-01T05:00:00Z"
    article = "an" if field.type == "integer" else "a"
    unit = f" {field.unit}" if field.unit else ""
    return f"{article} {field.type}{_range_of(field)}{unit}"


def _range_of(field: Field) -> str:
    low, high = field.minimum, field.maximum
    if low is not None and high is not None:
        return f" from {_limit(low)} to {_limit(high)}"
    if low is not None:
        return f" of at least {_limit(low)}"
    return "" if high is None else f" of at most {_limit(high)}"


def _limit(value: float) -> str:
    """A limit to its last digit, so that what lies beyond it is not called the same."""
    is_whole = float(value).is_integer() and abs(value) <= LARGEST_INTEGER
    return str(int(value)) if is_whole else repr(float(value))


def takes(field: Field, value: Any) -> bool:
    """Whether a decoded JSON value is what the field wants, or is forgiven."""
    return keeps(field, value) or forgiven(field, value) is not None


def forgiven(field: Field, value: Any) -> Kind | None:
    """In what way a value is amiss that is taken all the same; None if it is not amiss, or not taken.

    Examples:
        >>> from cd4ml.records.contract import Field
        >>> hour = Field("hour", "integer", maximum=23, on_outside="clip")
        >>> forgiven(hour, 24), forgiven(hour, 23), forgiven(hour, None)
        ('outside', None, None)
    """
    if value is None:
        return "null" if field.on_null != "refuse" and not field.nullable else None
    if isinstance(value, str):
        is_listed = not is_closed(field) or value in field.categories
        return (
            None
            if field.on_unknown == "refuse" or is_listed or _UNSTORABLE.search(value)
            else "unknown"
        )
    if field.on_outside == "refuse" or not _is_number(field, value):
        return None
    low, high = limits_of(field)
    return None if low <= value <= high or not _fits(field, value) else "outside"


def keeps(field: Field, value: Any) -> bool:
    """Whether a decoded JSON value is what the field wants."""
    if value is None:
        return field.nullable
    if field.type == "boolean":
        return isinstance(value, bool)
    if field.type == "string":
        return _keeps_text(field, value)
    if field.type == "datetime":
        return is_moment(value)
    low, high = limits_of(field)
    return _is_number(field, value) and low <= value <= high  # False for NaN


def _is_number(field: Field, value: object) -> bool:
    kinds = {"integer": int, "number": int | float}
    return (
        field.type in kinds and isinstance(value, kinds[field.type]) and not isinstance(value, bool)
    )


def _fits(field: Field, value: float) -> bool:
    """Whether the type holds it, whatever the field's own limits; False for NaN."""
    if field.type == "integer":
        return -LARGEST_INTEGER - 1 <= value <= LARGEST_INTEGER
    return -LARGEST_NUMBER <= value <= LARGEST_NUMBER


def _keeps_text(field: Field, value: object) -> bool:
    if not isinstance(value, str) or _UNSTORABLE.search(value):
        return False
    if field.pattern and not re.search(whole(field.pattern), value):
        return False
    return not is_closed(field) or value in field.categories


def is_moment(value: object) -> bool:
    """Whether a value is an ISO 8601 time (RFC 3339) that says its zone."""
    if not isinstance(value, str):
        return False
    try:
        moment_of(value)
    except (ValueError, OverflowError):
        return False
    return True


def moment_of(text: str) -> datetime:
    """The moment that an ISO 8601 text names, in UTC; what is finer than microseconds is cut off.

    So Polars, pandas and Arrow have it, and with them tables that teach a model or are scored.

    Raises:
        ValueError: If it is no such text, or says no zone.
        OverflowError: If it lies outside the years 1 to 9999 in UTC.

    Examples:
        >>> moment_of("2013-02-01T05:00:00.25+01:00").isoformat()
        '2013-02-01T04:00:00.250000+00:00'
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        msg = f"expected a time such as 2013-02-01T05:00:00Z, got {shown(text)}"
        raise ValueError(msg)
    day, time, fraction, zone = found.groups()
    if time[:2] == "24" or "59" < zone[-2:] < "A":  # which later Pythons read
        msg = f"expected hours below 24 and minutes below 60, got {shown(text)}"
        raise ValueError(msg)
    moment = datetime.fromisoformat(f"{day}T{time}{zone.upper()}")
    if fraction:
        moment += timedelta(microseconds=int(fraction[:6].ljust(6, "0")))
    return moment.astimezone(UTC)
