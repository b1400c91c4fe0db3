"""Any record that can be stored, built from what its fields say they hold."""

import types
import typing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

import msgspec
from hypothesis import strategies as st

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
whole = st.integers(-(2**63), 2**63 - 1)
number = st.floats(allow_nan=False, allow_infinity=False)
in_utc = st.datetimes(timezones=st.just(UTC))
elsewhere = st.builds(
    lambda second, hours: datetime.fromtimestamp(second, timezone(timedelta(hours=hours))),
    st.integers(0, 10**10),
    st.integers(-14, 14),
)
moment = in_utc | elsewhere
plain = st.recursive(
    st.none() | st.booleans() | whole | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)

_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: text,
    int: whole,
    float: number,
    bool: st.booleans(),
    bytes: st.binary(max_size=40),
    datetime: moment,
    Any: plain,
    type(None): st.none(),
}


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a field with this annotation."""
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return st.sampled_from(parts)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*(values(part) for part in parts))
    if origin is tuple and Ellipsis not in parts:
        return st.tuples(*(values(part) for part in parts))
    if origin is tuple:
        return st.lists(values(parts[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(values(parts[0]), values(parts[1]), max_size=3)
    return records(annotation)


def records(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Records of a kind."""
    fields = {field.name: values(field.type) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields)
