"""Contracts that cannot be meant: no row could keep them, or no request name their fields."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import get_args

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.models.violations import is_closed, keeps, limits_of, whole
from cd4ml.records.contract import Contract, Field, FieldType

_ESCAPED = re.compile(r'["\\\x00-\x1f]')  # which msgspec takes in no name


def refuse_wrong_types(contract: Contract) -> None:
    """Let no contract through whose fields do not hold what `Field` says: Python checks nothing.

    Raises:
        InvalidInput: With everything that is wrong with it.
    """
    fields = (*contract.fields, *([contract.output] if contract.output else []))
    if wrong := [text for field in fields if (text := _wrong_type(field))]:
        msg = f"the contract {contract.name!r} cannot be meant: {'; '.join(wrong)}"
        raise InvalidInput(msg, hint="correct it where it is declared")


def _wrong_type(field: Field) -> str:
    known = get_args(FieldType)
    if field.type not in known:
        return f"{field.name!r} has the type {field.type!r}, expected one of {', '.join(known)}"
    try:
        msgspec.convert(msgspec.structs.asdict(field), Field)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`$.", "`")
        return f"{field.name!r}: {reason[:1].lower()}{reason[1:]}"
    return ""


def refuse_impossible(contract: Contract) -> None:
    """Let no contract through that no row can keep.

    Raises:
        InvalidInput: With everything that is wrong with it.
    """
    refuse_wrong_types(contract)
    times = Counter(contract.names)
    wrong = [f"{name!r} stands twice" for name in times if times[name] > 1]
    wrong += [text for field in contract.fields for text in _impossible(field)]
    if not contract.fields:
        wrong.append("it has no fields")
    wrong += _no_times(contract)
    wrong += _impossible_together(contract)
    if wrong:
        msg = f"no row can keep the contract {contract.name!r}: {'; '.join(wrong)}"
        raise InvalidInput(msg, hint="correct it where it is declared")


def refuse_unsendable(contract: Contract) -> None:
    """Let no contract through with a name that JSON would have to write in another way."""
    if odd := [name for name in contract.names if _ESCAPED.search(name)]:
        msg = f"requests cannot have a field called {odd[0]!r}: it has a quote, a backslash or a control character"
        raise InvalidInput(msg, hint="call the column otherwise, in the step that makes the rows")


def is_float(number: float) -> bool:
    """Whether a float is exactly this number, as limits are kept.

    Examples:
        >>> is_float(2**53), is_float(2**53 + 1)
        (True, False)
    """
    try:
        return float(number) == number or number != number
    except OverflowError:
        return False


def _no_times(contract: Contract) -> list[str]:
    """What its `event_time` and `arrival_time` name that is no time."""
    times = {field.name for field in contract.fields if field.type == "datetime"}
    named = {"event_time": contract.event_time, "arrival_time": contract.arrival_time}
    return [
        f"its {role} {name!r} is no field of type datetime"
        for role, name in named.items()
        if name and name not in times
    ]


def _impossible(field: Field) -> list[str]:
    wrong = []
    is_numeric = field.type in ("integer", "number")
    wrong += [
        f"the limit {limit} of {field.name!r} would be kept as another number: beyond 2^53 not"
        " every whole number can be one"
        for limit in (field.minimum, field.maximum)
        if limit is not None and not is_float(limit)
    ]
    low, high = limits_of(field)
    if is_numeric and not low <= high:
        wrong.append(f"{field.name!r} has no value between its minimum and its maximum")
    if not is_numeric and (field.minimum is not None or field.maximum is not None):
        wrong.append(f"{field.name!r} has the type {field.type} and takes no minimum or maximum")
    if field.type != "string" and field.categories:
        wrong.append(f"{field.name!r} has the type {field.type} and takes no categories")
    if field.pattern:
        wrong += _impossible_pattern(field)
    if field.optional and not field.nullable and field.on_null == "refuse":
        wrong.append(f"{field.name!r} is optional, so it has to be nullable")
    return [*wrong, *_impossible_policies(field)]


def _impossible_policies(field: Field) -> Iterator[str]:
    has_limits = field.minimum is not None or field.maximum is not None
    if field.on_outside != "refuse" and not has_limits:
        yield f"{field.name!r} has no limits, and on_outside = {field.on_outside!r}"
    if field.on_unknown != "refuse" and not is_closed(field):
        yield f"{field.name!r} has no closed list, and on_unknown = {field.on_unknown!r}"
    if field.on_null == "warn" and field.nullable:
        yield f"{field.name!r} is nullable, and on_null = 'warn'"
    needs = "default" in (field.on_null, field.on_unknown)
    if needs and (field.default is None or not keeps(field, field.default)):
        said = "none" if field.default is None else repr(field.default)
        yield f"{field.name!r} needs a default that it takes, and has {said}"
    if field.default is not None and not needs:
        yield f"{field.name!r} has a default that nothing is scored as"


def _impossible_pattern(field: Field) -> list[str]:
    if field.type != "string":
        return [f"{field.name!r} has the type {field.type} and takes no pattern"]
    if is_closed(field):
        return [f"{field.name!r} has both a list of categories and a pattern"]
    try:
        re.compile(whole(field.pattern))
    except re.error as error:
        return [f"the pattern of {field.name!r} is no regular expression: {error.msg}"]
    return []


def _impossible_together(contract: Contract) -> list[str]:
    wrong = _undeclared(contract)
    most, hours = contract.maximum_rows, contract.fresh_within_hours
    if most is not None and most < contract.minimum_rows:
        wrong.append(f"it takes at least {contract.minimum_rows:,} rows and at most {most:,}")
    if hours is not None and not contract.event_time:
        wrong.append("fresh_within_hours needs an event_time")
    if hours is not None and not hours > 0:
        wrong.append(f"fresh_within_hours is {hours:g}")
    budgets = {"latency_ms": contract.latency_ms, "size_mb": contract.size_mb}
    wrong += [f"{n} is {b:g}" for n, b in budgets.items() if b is not None and not b > 0]
    if len(set(contract.classes)) < len(contract.classes):
        wrong.append("a class stands twice among its classes")
    named = Counter(condition.name for condition in contract.conditions)
    wrong += [f"the condition {name!r} stands twice" for name in named if named[name] > 1]
    return wrong


def _undeclared(contract: Contract) -> list[str]:
    """What its keys name that it lets no row have."""
    groups = {"key": contract.key, "unique": tuple(n for group in contract.unique for n in group)}
    return [
        f"its {role} names {name!r}, which it does not declare"
        for role, names in groups.items()
        for name in dict.fromkeys(names)
        if name not in contract.names and not contract.open
    ]
