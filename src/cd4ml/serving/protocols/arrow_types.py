"""The columns of an Arrow stream: how their values lie in bytes, and what Arrow calls them.

Source:
    https://github.com/apache/arrow, format/Schema.fbs
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from cd4ml.serving.protocols.flatbuffers import INT, LONG, SHORT, UBYTE, Damaged, Table
from cd4ml.serving.request import RequestRefused

# "none" is a type that no request can carry: lists, bytes, durations
Form = Literal["null", "bool", "number", "decimal", "moment", "text", "view", "none"]

_MOST = 10_000  # columns
_LONGEST_ZONE = 100  # bytes
_LITTLE = 0
_UNITS = {0: ("s", 1), 1: ("ms", 10**3), 2: ("us", 10**6), 3: ("ns", 10**9)}
_FLOATS = {0: ("halffloat", "<f2"), 1: ("float", "<f4"), 2: ("double", "<f8")}
_DECIMALS = (32, 64, 128, 256)
_BUFFERS: dict[Form, int] = {
    "null": 0, "bool": 2, "number": 2, "decimal": 2, "moment": 2, "text": 3, "view": 2, "none": 0,
}  # fmt: skip
_OTHERS = {
    4: "binary", 9: "time", 11: "interval", 12: "list", 13: "struct", 14: "union", 15: "fixed_size_binary",
    16: "fixed_size_list", 17: "map", 18: "duration", 19: "large_binary", 21: "large_list",
    22: "run_end_encoded", 23: "binary_view", 25: "list_view", 26: "large_list_view",
}  # fmt: skip


class Kind(NamedTuple):
    """A type of values.

    Args:
        name: As Arrow writes it.
        form: How they lie there.
        code: The NumPy type of one of them; of a text, that of its offsets.
        per_second: Of a moment, how many units make a second.
        scale: Of a decimal, how many of its digits stand behind the point.
    """

    name: str
    form: Form
    code: str = ""
    per_second: int = 0
    scale: int = 0

    @property
    def n_buffers(self) -> int:
        """How many buffers a column has; a view has some more."""
        return _BUFFERS[self.form]


class Column(NamedTuple):
    """A column of a stream.

    Args:
        name: Of the column.
        kind: Of its values.
        places: Where they stand in a dictionary, the type of their places there.
        dictionary: The number of that dictionary.
    """

    name: str
    kind: Kind
    places: Kind | None = None
    dictionary: int = 0

    @property
    def stored(self) -> Kind:
        """What stands in a batch: values, or places in a dictionary."""
        return self.places or self.kind


def columns_of(schema: Table) -> list[Column]:
    """The columns that a schema lists.

    Raises:
        Damaged: If it is none that can be read.
        RequestRefused: If it has more columns than any contract has fields.
    """
    if schema.number(0, SHORT) != _LITTLE:
        raise Damaged("its numbers are big-endian, which is not read")
    if (n := schema.length(1)) > _MOST:
        msg = f"the stream has {n} columns, at most {_MOST} are read"
        raise RequestRefused(413, msg, hint="send exactly the fields that GET /contract lists")
    fields = schema.tables(1)
    if sum(field.length(0) for field in fields) > len(schema.data):
        raise Damaged("its names are longer than all of its schema")
    return [_column(field) for field in fields]


def _column(field: Table) -> Column:
    name = field.text(0)
    kind = _kind(field.number(2, UBYTE), field.table(3))
    encoding = field.table(4)
    if encoding is None:
        return Column(name, kind)
    index = encoding.table(1)
    places = Kind("int32", "number", "<i4") if index is None else _integer(index)
    return Column(name, kind, places, encoding.number(0, LONG))


def _kind(number: int, about: Table | None) -> Kind:
    if about is None:
        raise Damaged("a column has no type")
    match number:
        case 1:
            return Kind("null", "null")
        case 2:
            return _integer(about)
        case 3:
            precision = about.number(0, SHORT)
            if precision in _FLOATS:
                return Kind(_FLOATS[precision][0], "number", _FLOATS[precision][1])
        case 5:
            return Kind("utf8", "text", "<i4")
        case 6:
            return Kind("bool", "bool")
        case 7:
            return _decimal(about)
        case 8:
            return _date(about)
        case 10:
            return _timestamp(about)
        case 20:
            return Kind("large_utf8", "text", "<i8")
        case 24:
            return Kind("utf8_view", "view")
    if number not in _OTHERS:
        raise Damaged(f"a column has the unknown type {number}")
    return Kind(_OTHERS[number], "none")


def _integer(about: Table) -> Kind:
    bits, is_signed = about.number(0, INT), about.number(1, UBYTE)
    if bits not in (8, 16, 32, 64):
        raise Damaged(f"a column has integers of {bits} bits")
    sign = "" if is_signed else "u"
    return Kind(f"{sign}int{bits}", "number", f"<{'i' if is_signed else 'u'}{bits // 8}")


def _decimal(about: Table) -> Kind:
    precision, scale, bits = about.number(0, INT), about.number(1, INT), about.number(2, INT, 128)
    if bits not in _DECIMALS or abs(scale) > bits:
        raise Damaged(f"a column has decimals of {bits} bits and the scale {scale}")
    return Kind(f"decimal{bits}({precision}, {scale})", "decimal", f"V{bits // 8}", scale=scale)


def _date(about: Table) -> Kind:
    if about.number(0, SHORT, 1) == 0:
        return Kind("date32", "moment", "<i4")
    return Kind("date64", "moment", "<i8", per_second=1000)


def _timestamp(about: Table) -> Kind:
    unit = about.number(0, SHORT)
    if unit not in _UNITS:
        raise Damaged(f"a column has times of the unknown unit {unit}")
    name, per_second = _UNITS[unit]
    if about.length(1) > _LONGEST_ZONE:
        raise Damaged(f"a time zone has a name of {about.length(1)} bytes")
    zone = about.text(1)
    return Kind(
        f"timestamp[{name}{', ' if zone else ''}{zone}]", "moment", "<i8", per_second=per_second
    )
