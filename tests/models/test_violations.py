"""A row's violations are named all at once, with the place, what was expected and what came."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.models.contract import CompiledContract
from cd4ml.models.violations import (
    Violation,
    expected_of,
    is_moment,
    keeps,
    moment_of,
    violations_of,
)
from cd4ml.records.contract import Contract, Field
from tests.models.builders import CONTRACT, ROW

COMPILED = CompiledContract(CONTRACT)

EVERY_TYPE = (
    Field("integer", "integer", minimum=-2.5, maximum=7.5),
    Field("any integer", "integer", nullable=True),
    Field("number", "number", minimum=0),
    Field("any number", "number", nullable=True),
    Field("closed", "string", nullable=True, categories=("a", "b")),
    Field("open", "string", categories=("a",), open=True),
    Field("class", "string", nullable=True),
    Field("flag", "boolean"),
)
json_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["a", "b", "c", "", "None", "ä"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=1),
)


@given(st.fixed_dictionaries({field.name: json_values for field in EVERY_TYPE}))
def test_the_compiled_row_takes_exactly_what_the_check_finds_nothing_in(row: Any) -> None:
    compiled = CompiledContract(Contract(name="all", fields=EVERY_TYPE))
    body = msgspec.json.encode(row)

    try:
        msgspec.json.decode(body, type=compiled.row)
    except msgspec.ValidationError:
        assert compiled.check(row)
    else:
        assert not compiled.check(row)


def test_a_row_that_keeps_the_contract_has_none() -> None:
    assert COMPILED.check(ROW) == []
    assert COMPILED.check(ROW | {"temp": None, "dest": None, "wind": 8}) == []


def test_all_are_found_at_once() -> None:
    row = {"carrier": "ZZ", "dest": 5, "temp": math.nan, "wind": -1, "gate": "B12"}

    assert COMPILED.check(row, "$.rows[3]") == [
        Violation("carrier", "$.rows[3].carrier", 'one of "AA", "B6", "UA"', '"ZZ"'),
        Violation(
            "dest", "$.rows[3].dest", "a string of Unicode characters other than NUL, or null", "5"
        ),
        Violation("hour", "$.rows[3].hour", "an integer from 0 to 23", "nothing"),
        Violation("temp", "$.rows[3].temp", "a number from -50 to 130 F, or null", "NaN"),
        Violation("wind", "$.rows[3].wind", "a number of at least 0", "-1"),
        Violation("gate", "$.rows[3].gate", "no such field", '"B12"'),
    ]


@pytest.mark.parametrize("row", [None, 5, "row", [1, 2]])
def test_what_is_no_object_is_one_violation(row: object) -> None:
    (violation,) = COMPILED.check(row)

    assert violation.path == "$"
    assert violation.expected == "an object with the contract's fields"


@pytest.mark.parametrize(
    ("kind", "value", "is_kept"),
    [
        ("integer", True, False),
        ("integer", 5.0, False),
        ("integer", 2**63, False),
        ("number", True, False),
        ("number", "5", False),
        ("number", math.inf, False),
        ("number", 3.5e38, False),
        ("number", 5, True),
        ("boolean", 1, False),
        ("boolean", False, True),
        ("string", "a\0b", False),
        ("string", "ü", True),
        ("datetime", "2013-02-01T05:00:00Z", True),
        ("datetime", "2013-02-01T05:00:00-05:00", True),
        ("datetime", "2013-02-01T05:00:00", False),
        ("datetime", "2013-02-30T05:00:00Z", False),
        ("datetime", "0001-01-01T00:00:00+01:00", False),
        ("datetime", 1359694800, False),
    ],
)
def test_types_are_strict(kind: Any, value: Any, is_kept: bool) -> None:
    assert keeps(Field("x", kind), value) is is_kept


@pytest.mark.parametrize(
    ("field", "value", "got"),
    [
        (
            Field("x", "number"),
            1e308,
            "1e+308, which single precision cannot hold (at most 3.4e38)",
        ),
        (
            Field("x", "integer"),
            2**63,
            "9223372036854775808, which 64 bits cannot hold (at most 9223372036854775807)",
        ),
        (Field("x", "number", maximum=5), 6, "6"),
        (Field("x", "number"), float("inf"), "Infinity"),
        (Field("x", "number"), True, "true"),
    ],
)
def test_a_value_that_is_too_large_for_the_machine_is_told_the_limit(
    field: Field, value: object, got: str
) -> None:
    (violation,) = violations_of((field,), {"x": value})

    assert violation.got == got


def test_long_and_unprintable_values_are_shown_short() -> None:
    found = COMPILED.check(ROW | {"carrier": "x" * 10_000, "dest": ["\ud800"], "\ud800" * 100: 1})

    assert all(len(violation.got) < 100 and len(violation.path) < 100 for violation in found)
    msgspec.json.encode(found)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (Field("a", "number", maximum=59.1234567), "a number of at most 59.1234567"),
        (Field("a", "number", minimum=-0.1, maximum=1e300), "a number from -0.1 to 1e+300"),
        (Field("a", "integer", maximum=1_000_000.0), "an integer of at most 1000000"),
        (Field("a", "integer", minimum=2.0**53), "an integer of at least 9007199254740992"),
        (Field("a", "number", minimum=0, maximum=0.5), "a number from 0 to 0.5"),
        (Field("a", "number", maximum=float("inf")), "a number of at most inf"),
    ],
)
def test_a_limit_is_said_to_its_last_digit(field: Field, expected: str) -> None:
    assert expected_of(field) == expected


@given(st.text(max_size=30))
def test_any_text_may_be_asked_whether_it_is_a_time(text: str) -> None:
    assert is_moment(text) in (True, False)


fractions = st.from_regex(r"(\.[0-9]{1,12})?", fullmatch=True)
zones = st.from_regex(r"([Zz]|[+-][0-2][0-9]:?[0-9]{2})?", fullmatch=True)
days = st.from_regex(r"(0|1|2|9)[0-9]{3}-[01][0-9]-[0-3][0-9]", fullmatch=True)
times = st.from_regex(r"[0-2][0-9]:[0-6][0-9]:[0-6][0-9]", fullmatch=True)


@given(st.builds("{}{}{}{}{}".format, days, st.sampled_from("Tt _"), times, fractions, zones))
def test_times_are_read_as_msgspec_reads_them_cut_to_microseconds(text: str) -> None:
    moment = Annotated[datetime, msgspec.Meta(tz=True)]
    cut = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text)

    try:
        expected = msgspec.convert(cut, moment).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        assert not is_moment(text)
    else:
        assert moment_of(text) == expected


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+01:00", "\uff12013-02-01T05:00:00Z", ""],
)
def test_what_is_no_time_within_the_years_1_to_9999_is_none(text: str) -> None:
    assert not is_moment(text)
