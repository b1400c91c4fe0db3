"""Contracts are derived from rows, checked for sense, and compared with what callers know."""

from datetime import UTC, date, datetime

import msgspec
import polars as pl
import pytest

from cd4ml.errors import ContractViolated, InvalidInput
from cd4ml.models.compatibility import differences
from cd4ml.models.contract import CompiledContract, derive
from cd4ml.models.frames import to_frame, to_rows
from cd4ml.records.contract import Contract, Field
from tests.models.builders import CONTRACT, ROW, flights

CABLE = datetime(2013, 2, 1, 5, tzinfo=UTC)


def with_field(field: Field) -> Contract:
    fields = tuple(field if field.name == known.name else known for known in CONTRACT.fields)
    return msgspec.structs.replace(CONTRACT, fields=fields)


def test_a_contract_is_derived_from_rows() -> None:
    frame = pl.DataFrame(
        {
            "hour": [1, 2],
            "temp": [40.5, float("nan")],
            "origin": ["JFK", None],
            "is_cargo": [True, False],
            "leaves_at": [CABLE, CABLE],
        }
    )

    derived = derive(frame, "delay")

    assert derived.fields == (
        Field("hour", "integer"),
        Field("temp", "number", nullable=True),
        Field("origin", "string", nullable=True, categories=("JFK",), open=True),
        Field("is_cargo", "boolean"),
        Field("leaves_at", "datetime"),
    )


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (
            Field("a", "int"),  # type: ignore[arg-type]
            "'a' has the type 'int', expected one of integer, number, string, boolean, datetime",
        ),
        (
            Field("a", "integer", minimum="x"),  # type: ignore[arg-type]
            "'a': expected `float | null`, got `str` - at `minimum`",
        ),
        (
            Field("a", "string", categories=(1,)),  # type: ignore[arg-type]
            "'a': expected `str`, got `int` - at `categories[0]`",
        ),
    ],
)
def test_a_field_of_other_types_than_it_says_is_refused(field: Field, reason: str) -> None:
    for contract in (
        Contract(name="delay", fields=(field,)),
        Contract(name="delay", fields=(Field("hour", "integer"),), output=field),
    ):
        with pytest.raises(InvalidInput) as refused:
            CompiledContract(contract)
        assert refused.value.message == f"the contract 'delay' cannot be meant: {reason}"


def test_a_request_keeps_the_pattern_of_its_contract() -> None:
    contract = Contract(name="c", fields=(Field("tail", "string", pattern="N[0-9]+|X"),))
    compiled = CompiledContract(contract)

    for text, is_kept in (("N12", True), ("X", True), ("N12x", False), ("N12\n", False)):
        found = compiled.check({"tail": text})
        assert bool(found) is not is_kept
        try:
            msgspec.convert({"tail": text}, compiled.row)
            assert is_kept
        except msgspec.ValidationError:
            assert not is_kept
    assert compiled.check({"tail": "n"})[0].expected == "a string like N[0-9]+|X"


@pytest.mark.parametrize(
    ("old", "new", "is_a_break"),
    [
        (Field("a", "string"), Field("a", "string", pattern="A+"), True),
        (Field("a", "string", pattern="A+"), Field("a", "string", pattern="A+"), False),
        (Field("a", "string", pattern="A+"), Field("a", "string"), False),
        (Field("a", "string", categories=("A",)), Field("a", "string", pattern="A+"), False),
        (Field("a", "string", categories=("B",)), Field("a", "string", pattern="A+"), True),
    ],
)
def test_a_new_pattern_breaks_what_it_does_not_take(
    old: Field, new: Field, is_a_break: bool
) -> None:
    found = differences(Contract(name="c", fields=(old,)), Contract(name="c", fields=(new,)))

    assert bool(found) is is_a_break


def test_many_different_strings_are_not_listed() -> None:
    frame = pl.DataFrame({"tail": [f"N{i}" for i in range(1000)]})

    assert derive(frame, "delay").fields == (Field("tail", "string"),)


def test_a_column_that_no_request_can_carry_is_refused() -> None:
    with pytest.raises(InvalidInput) as refusal:
        derive(pl.DataFrame({"legs": [[1, 2]]}), "delay")

    assert str(refusal.value) == (
        "the column 'legs' has the type List(Int64), which a request cannot carry\n"
        "  hint: numbers, strings, booleans and times can be sent"
    )


def test_a_declared_contract_that_the_rows_keep_stays_as_it_is() -> None:
    assert derive(flights(), "ignored", CONTRACT) is CONTRACT


def test_rows_that_break_the_declared_contract_are_counted_by_kind() -> None:
    frame = flights().with_columns(hour=24, wind=pl.lit(None).cast(pl.Float64)).head(3)

    with pytest.raises(ContractViolated) as refusal:
        derive(frame, "ignored", CONTRACT)

    assert str(refusal.value) == (
        "3 rows do not keep the contract 'delay'\n"
        "  - hour: expected an integer from 0 to 23, got 24 (3 rows)\n"
        "  - wind: expected a number of at least 0, got null (3 rows)"
    )
    assert refusal.value.discreet == (
        "3 rows do not keep the contract 'delay'\n"
        "  - hour: expected an integer from 0 to 23 (3 rows)\n"
        "  - wind: expected a number of at least 0 (3 rows)"
    )


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InvalidInput) as refusal:
        derive(flights().select("carrier", "hour"), "ignored", CONTRACT)

    assert str(refusal.value) == (
        "the rows lack dest, temp, wind, which the contract 'delay' names\n"
        "  hint: they have: carrier, hour"
    )


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ((), "it has no fields"),
        ((Field("a", "number"), Field("a", "string")), "'a' stands twice"),
        (
            (Field("a", "number", minimum=2, maximum=1),),
            "'a' has no value between its minimum and its maximum",
        ),
        (
            (Field("a", "integer", minimum=0.2, maximum=0.8),),
            "'a' has no value between its minimum and its maximum",
        ),
        (
            (Field("a", "integer", categories=("x",)),),
            "'a' has the type integer and takes no categories",
        ),
        (
            (Field("a", "string", minimum=0),),
            "'a' has the type string and takes no minimum or maximum",
        ),
        (
            (Field("a", "integer", minimum=2**53 + 1),),
            "the limit 9007199254740993 of 'a' would be kept as another number: beyond 2^53 not"
            " every whole number can be one",
        ),
    ],
)
def test_a_contract_that_no_row_can_keep_is_refused(fields: tuple[Field, ...], wrong: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        CompiledContract(Contract(name="odd", fields=fields))

    assert str(refusal.value) == (
        f"no row can keep the contract 'odd': {wrong}\n  hint: correct it where it is declared"
    )


def test_field_names_need_not_be_python_names() -> None:
    contract = Contract(
        name="odd", fields=(Field("class", "integer"), Field("wind speed", "number"))
    )
    compiled = CompiledContract(contract)

    row = msgspec.json.decode(b'{"class": 1, "wind speed": 2}', type=compiled.row)

    assert compiled.getter(("wind speed", "class"))(row) == (2.0, 1)
    assert compiled.getter(("class",))(row) == (1,)
    assert msgspec.json.decode(msgspec.json.encode(row)) == {"class": 1, "wind speed": 2.0}


def test_a_getter_for_a_field_that_requests_lack_is_refused() -> None:
    with pytest.raises(InvalidInput, match="requests of the contract 'delay' lack seats"):
        CompiledContract(CONTRACT).getter(("hour", "seats"))


@pytest.mark.parametrize(
    "field",
    [
        Field("wind", "number"),
        Field("wind", "number", nullable=True, minimum=-1),
        Field("hour", "number"),
        Field("hour", "integer", minimum=0, maximum=24),
        Field("carrier", "string"),
        Field("carrier", "string", categories=("UA", "B6", "AA", "WN")),
    ],
)
def test_a_wider_field_breaks_nobody(field: Field) -> None:
    assert differences(CONTRACT, with_field(field)) == []


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        (
            Field("temp", "number", minimum=-50, maximum=130, unit="F"),
            "'temp' was a number from -50 to 130 F, or null and is a number from -50 to 130 F",
        ),
        (
            Field("wind", "integer", minimum=0),
            "'wind' was a number of at least 0 and is an integer of at least 0",
        ),
        (
            Field("carrier", "string", categories=("AA", "B6")),
            """'carrier' was one of "AA", "B6", "UA" and is one of "AA", "B6\"""",
        ),
        (
            Field("dest", "string", nullable=True, categories=("BOS", "ORD")),
            "'dest' was a string of Unicode characters other than NUL, or null "
            """and is one of "BOS", "ORD", or null""",
        ),
    ],
)
def test_a_narrower_field_breaks_callers(field: Field, sentence: str) -> None:
    assert differences(CONTRACT, with_field(field)) == [sentence]


def test_fields_that_come_and_go_break_callers() -> None:
    fields = (*CONTRACT.fields[1:], Field("seats", "integer"))
    new = msgspec.structs.replace(CONTRACT, fields=fields, output=Field("minutes", "number"))

    assert differences(CONTRACT, new) == [
        "'carrier' is gone: requests with it are refused",
        "'seats' is new: requests without it are refused",
        "the answer was 'late', a number from 0 to 1 and is 'minutes', a number",
    ]


def test_rows_and_frames_are_the_same_thing() -> None:
    frame = flights().select(CONTRACT.names)
    rows = to_rows(CONTRACT, frame)

    assert rows[0].keys() == ROW.keys()
    assert to_frame(CONTRACT, [tuple(row.values()) for row in rows]).equals(frame)


def test_times_travel_as_text_in_utc() -> None:
    frame = pl.DataFrame(
        {
            "naive": [datetime(2013, 2, 1, 5)],  # noqa: DTZ001 - taken for UTC
            "zoned": pl.Series([CABLE]).dt.convert_time_zone("America/New_York"),
            "day": [date(2013, 2, 1)],
        }
    )
    contract = derive(frame, "times")
    (row,) = to_rows(contract, frame)

    assert row == {
        "naive": "2013-02-01T05:00:00.000000Z",
        "zoned": "2013-02-01T05:00:00.000000Z",
        "day": "2013-02-01T00:00:00.000000Z",
    }
    assert to_frame(contract, [tuple(row.values())]).row(0)[:2] == (CABLE, CABLE)
    assert not CompiledContract(contract).check(row)


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\x00"])
def test_a_name_that_no_request_can_have_is_said(name: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        CompiledContract(Contract(name="odd", fields=(Field(name, "integer"),)))

    assert str(refusal.value) == (
        f"requests cannot have a field called {name!r}: it has a quote, a backslash or a control"
        " character\n  hint: call the column otherwise, in the step that makes the rows"
    )


@pytest.mark.parametrize("name", ["a b", "q'u<b>", "\u00e9\U0001f642", "rows", "\x7f"])
def test_other_names_are_read(name: str) -> None:
    compiled = CompiledContract(Contract(name="odd", fields=(Field(name, "integer"),)))

    row = msgspec.json.decode(msgspec.json.encode({name: 7}), type=compiled.row)

    assert compiled.getter([name])(row) == (7,)
