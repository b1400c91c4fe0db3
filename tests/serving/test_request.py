"""A body is read quickly if it is right, and explained in full if it is not."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.models.contract import CompiledContract
from cd4ml.records.contract import Contract, Field
from cd4ml.serving.request import RequestReader, RequestRefused
from tests.models.builders import CONTRACT, ROW

READER = RequestReader(CompiledContract(CONTRACT))
TIMES = Contract(
    name="times",
    fields=(Field("leaves:at", "datetime", nullable=True), Field("gate", "string", nullable=True)),
)
TIMES_READER = RequestReader(CompiledContract(TIMES))

texts = st.text(st.sampled_from('ab:"\\\u00e9\n {}'), max_size=8)


def read(body: bytes, reader: RequestReader = READER) -> Any:
    return json.loads(msgspec.json.encode(reader.read(body)))


def refused(body: bytes | str, reader: RequestReader = READER) -> RequestRefused:
    with pytest.raises(RequestRefused) as refusal:
        reader.read(body if isinstance(body, bytes) else body.encode())
    return refusal.value


def listed(body: bytes | str, reader: RequestReader = READER) -> list[tuple[str, str, str]]:
    refusal = refused(body, reader)
    assert refusal.status == 422
    return [(found.path, found.expected, found.got) for found in refusal.violations]


def test_one_row_stands_by_itself_and_many_in_a_list() -> None:
    assert read(json.dumps(ROW).encode()) == [ROW]
    assert read(json.dumps({"rows": [ROW, ROW]}).encode()) == [ROW, ROW]
    assert read(json.dumps({"rows": [ROW]}, indent=2).encode()) == [ROW]


@given(
    st.lists(st.fixed_dictionaries({"leaves:at": st.none(), "gate": st.none() | texts}), min_size=1)
)
def test_colons_and_escapes_in_strings_are_no_violations(rows: list[Any]) -> None:
    body = json.dumps({"rows": rows}).encode()

    assert read(body, TIMES_READER) == rows


def test_times_are_checked_and_kept_as_they_came() -> None:
    row = {"leaves:at": "2013-02-01T05:00:00+01:00", "gate": "B12"}

    assert read(json.dumps(row).encode(), TIMES_READER) == [row]
    assert listed(json.dumps(row | {"leaves:at": "2013-02-01 05:00"}), TIMES_READER) == [
        (
            "$.leaves:at",
            "a time with its zone, such as 2013-02-01T05:00:00Z, or null",
            '"2013-02-01 05:00"',
        )
    ]


def test_an_empty_text_is_no_time_however_it_is_read() -> None:
    row: dict[str, Any] = {"leaves:at": "", "gate": ""}
    expected = "a time with its zone, such as 2013-02-01T05:00:00Z, or null"

    assert listed(json.dumps(row), TIMES_READER) == [("$.leaves:at", expected, '""')]
    assert listed(json.dumps({"rows": [row]}), TIMES_READER) == [
        ("$.rows[0].leaves:at", expected, '""')
    ]
    with pytest.raises(RequestRefused) as refusal:  # as other protocols ask
        TIMES_READER.take([row], "$.inputs")
    assert [each.got for each in refusal.value.violations] == ['""']


@pytest.mark.parametrize("text", ["9007199254740993.5", "9007199254740993.0", "1e18"])
def test_a_float_that_may_have_been_rounded_is_no_integer(text: str) -> None:
    """The nearest float to 9007199254740993.5 is whole, and no number that anybody sent."""
    contract = Contract(name="c", fields=(Field("n", "integer"),))
    reader = RequestReader(CompiledContract(contract))

    ((path, expected, got),) = listed('{"n": ' + text + "}", reader)

    assert (path, expected) == ("$.n", "an integer")
    assert got.endswith(", which may have been rounded (beyond 2^53 write it without a fraction)")
    assert read(b'{"n": 9007199254740993}', reader) == [{"n": 9007199254740993}]
    assert read(b'{"n": 9007199254740991.0}', reader) == [{"n": 9007199254740991}]


def test_a_field_that_may_be_left_out_is_still_not_given_twice() -> None:
    gate = Field("gate:no", "string", nullable=True, optional=True)
    reader = RequestReader(CompiledContract(Contract(name="c", fields=(gate, TIMES.fields[1]))))

    assert read(b'{"gate": "B"}', reader) == [{"gate": "B"}]
    assert read(b'{"rows":[{"gate":"B"},{"gate:no":"4","gate":null}]}', reader) == [
        {"gate": "B"},
        {"gate:no": "4", "gate": None},
    ]
    assert listed(b'{"gate":"B","gate":"C","gate":"D"}', reader) == [
        ("$.gate", "each name once", "it stands more than once")
    ]


@pytest.mark.parametrize("body", ["", "  \n"])
def test_an_empty_body_is_refused(body: str) -> None:
    refusal = refused(body)

    assert refusal.status == 400
    assert str(refusal) == (
        "the request has no body\n"
        '  hint: send {"rows": [{...}]} with the fields that GET /contract lists'
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the body is not JSON: Expecting property name enclosed in double quotes at line 1"),
        (b"rows=1", "the body is not JSON: Expecting value at line 1, column 1"),
        (b'{"rows": []} x', "the body is not JSON: Extra data at line 1, column 14"),
        (b"\xef\xbb\xbf{}", "the body is not JSON: Unexpected UTF-8 BOM"),
        (b'{"rows": "\xff"}', "the body is not UTF-8: byte 10 cannot be read"),
        (b"[" * 100_000, "the body is nested too deeply to be read"),
        (b'{"hour": ' + b"1" * 5000 + b"}", "the body has a number with too many digits"),
    ],
)
def test_what_is_no_json_is_refused(body: bytes, message: str) -> None:
    refusal = refused(body)

    assert refusal.status == 400
    assert refusal.message.startswith(message)
    assert refusal.hint


def test_all_violations_of_all_rows_come_at_once() -> None:
    rows = [ROW | {"hour": "17"}, ROW, {name: ROW[name] for name in ROW if name != "temp"}]

    refusal = refused(json.dumps({"rows": rows, "key": 5}))

    assert str(refusal) == (
        "the request does not keep the contract 'delay': 3 violations\n"
        "  hint: send exactly the fields that GET /contract lists"
    )
    assert [(found.field, found.path, found.got) for found in refusal.violations] == [
        ("key", "$.key", "a field beside rows"),
        ("hour", "$.rows[0].hour", '"17"'),
        ("temp", "$.rows[2].temp", "nothing"),
    ]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(literal: str) -> None:
    body = json.dumps(ROW).replace("40.5", literal)

    (found,) = listed(body)

    assert found[:2] == ("$.temp", "a number from -50 to 130 F, or null")
    assert found[2] in ("NaN", "Infinity", "-Infinity")


@pytest.mark.parametrize("where", ["one", "list", "escaped"])
def test_a_name_that_stands_twice_is_refused(where: str) -> None:
    text = json.dumps(ROW)
    twice = text[:-1] + ', "hour": 3}'
    body = {
        "one": twice,
        "list": f'{{"rows": [{text}, {twice}]}}',
        "escaped": text.replace('"BOS"', '"\\u003a"')[:-1] + ', "\\u0068our": 3}',
    }[where]

    ((path, expected, got),) = listed(body)

    assert path == ("$.rows[1].hour" if where == "list" else "$.hour")
    assert (expected, got) == ("each name once", "it stands more than once")


def test_two_lists_of_rows_are_refused() -> None:
    text = json.dumps(ROW)

    ((path, _, got),) = listed(f'{{"rows": [{text}], "rows": [{text}]}}')

    assert (path, got) == ("$.rows", "it stands more than once")


@pytest.mark.parametrize(
    ("rows", "got"),
    [([], "none"), (5, "a number"), (None, "null"), ("x", "a string"), ({}, "an object")],
)
def test_rows_that_are_no_list_or_empty_are_refused(rows: Any, got: str) -> None:
    assert listed(json.dumps({"rows": rows})) == [("$.rows", "a list of at least one row", got)]


@pytest.mark.parametrize("content", [[], 5, "x", None, [ROW]])
def test_a_body_that_is_no_object_is_refused(content: Any) -> None:
    ((path, expected, _),) = listed(json.dumps(content))

    assert (path, expected) == ("$", "an object with the contract's fields")


def test_too_many_rows_are_refused() -> None:
    refusal = refused(json.dumps({"rows": [ROW] * 1001}))

    assert refusal.status == 413
    assert str(refusal) == (
        "the request has 1001 rows, at most 1000 are answered at once\n"
        "  hint: split it into several requests"
    )


def test_thousands_of_violations_are_cut() -> None:
    refusal = refused(json.dumps({"rows": [ROW | {"hour": 24, "x": 1}] * 500}))

    assert refusal.message.endswith("1000 violations, the first 100 are listed")
    assert len(refusal.violations) == 100


def test_strings_that_nothing_could_store_are_refused() -> None:
    for text in ("\\u0000", "\\ud800"):
        ((path, _, _),) = listed(json.dumps(ROW).replace("BOS", text))
        assert path == "$.dest"


def test_a_field_may_be_called_rows() -> None:
    contract = Contract(name="seats", fields=(Field("rows", "integer"),))
    reader = RequestReader(CompiledContract(contract))

    assert read(b'{"rows": 30}', reader) == [{"rows": 30}]
    assert read(b'{"rows": [{"rows": 30}]}', reader) == [{"rows": 30}]
    assert listed(b'{"rows": "x"}', reader) == [("$.rows", "an integer", '"x"')]


@pytest.mark.parametrize(
    ("said", "taken"), [("17.0", 17), ("1.7e1", 17), ("-0.0", 0), ("9007199254740991.0", 2**53 - 1)]
)
def test_a_whole_float_is_an_integer_where_one_is_wanted(said: str, taken: int) -> None:
    fields = (Field("n", "integer"), Field("x", "number"))
    reader = RequestReader(CompiledContract(Contract(name="c", fields=fields)))
    body = f'{{"n": {said}, "x": 2.0}}'.encode()

    (row,) = reader.read(body)
    assert (row.f0, type(row.f0), row.f1) == (taken, int, 2.0)
    assert reader.read(b'{"rows": [%b, %b]}' % (body, body)) == [row, row]


@pytest.mark.parametrize(
    ("said", "got"),
    [
        ("17.5", "17.5"),
        ("1e300", "1e+300"),
        ("9223372036854775808.0", "9.223372036854776e+18"),
        ("NaN", "NaN"),
        ("true", "true"),
        ('"17"', '"17"'),
    ],
)
def test_what_is_no_whole_number_of_64_bits_is_no_integer(said: str, got: str) -> None:
    reader = RequestReader(CompiledContract(Contract(name="c", fields=(Field("n", "integer"),))))

    assert listed(f'{{"n": {said}}}', reader) == [("$.n", "an integer", got)]


def test_a_whole_float_is_forgiven_and_clipped_as_an_integer_is() -> None:
    hour = Field("hour", "integer", maximum=23, on_outside="clip")
    reader = RequestReader(CompiledContract(Contract(name="c", fields=(hour,))))

    rows = reader.read(b'{"hour": 24.0}')

    assert [(each.kind, each.got, each.scored) for each in reader.warned(rows)] == [
        ("outside", "24", "23")
    ]


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["rows", "hour", "x"]), inner)
        ),
        max_leaves=8,
    ).map(lambda content: json.dumps(content).encode())
)
def test_any_body_is_read_or_refused_with_a_reason(body: bytes) -> None:
    refusal = refused(body)

    assert refusal.status in (400, 422)
    assert refusal.hint
    msgspec.json.encode(refusal.violations)


def test_strings_outside_an_open_list_are_told_by_field() -> None:
    """An optional field that a row lacks, and null, are no categories."""
    fields = (
        Field("dest", "string", nullable=True, categories=("BOS",), open=True),
        Field("gate", "string", nullable=True, optional=True, categories=("A",), open=True),
        Field("tail", "string"),
    )
    reader = RequestReader(CompiledContract(Contract(name="open", fields=fields)))

    rows = reader.read(
        b'{"rows": [{"dest": "ZRH", "tail": "x"}, {"dest": null, "gate": "B", "tail": "y"},'
        b' {"dest": "BOS", "gate": "A", "tail": "z"}, {"dest": "ZRH", "gate": null, "tail": ""}]}'
    )

    assert reader.unknown_categories(rows) == ["dest", "dest", "gate"]
