"""Contracts in TOML: read with a remedy for each mistake, and written so that they come back."""

from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.data.contract_file import contract_from_toml, read_contract, to_toml
from cd4ml.errors import ConfigurationError
from cd4ml.records.contract import Condition, Contract, Field

RIDES = """\
name = "Rides"
version = "1.2.0"
description = "one row a ride"
key = ["ride"]
unique = [["station", "left_at"]]
event_time = "left_at"
fresh_within_hours = 24
minimum_rows = 1
maximum_rows = 1000000

[field.ride]
type = "integer"
minimum = 1

[field.station]
type = "string"
references = "stations.name"

[field."bike number"]
type = "string"
pattern = 'B\\d{4}'
unique = true

[field.minutes]
type = "number"
nullable = true
minimum = 0.5
maximum = 1440
unit = "min"

[field.left_at]
type = "datetime"

[[condition]]
name = "not before it left"
sql = "minutes >= 0"
description = "a ride takes time"
"""


def test_a_contract_is_a_file_that_people_can_read() -> None:
    contract = contract_from_toml(RIDES, "rides.toml")

    assert contract == Contract(
        name="Rides",
        version="1.2.0",
        description="one row a ride",
        fields=(
            Field("ride", "integer", minimum=1),
            Field("station", "string", references="stations.name"),
            Field("bike number", "string", pattern=r"B\d{4}", unique=True),
            Field("minutes", "number", nullable=True, minimum=0.5, maximum=1440, unit="min"),
            Field("left_at", "datetime"),
        ),
        key=("ride",),
        unique=(("station", "left_at"),),
        event_time="left_at",
        fresh_within_hours=24,
        minimum_rows=1,
        maximum_rows=1_000_000,
        conditions=(
            Condition(
                name="not before it left", sql="minutes >= 0", description="a ride takes time"
            ),
        ),
    )


def test_a_file_comes_back_as_it_was() -> None:
    assert to_toml(contract_from_toml(RIDES, "rides.toml")) == RIDES


def test_notes_are_comments() -> None:
    contract = Contract(name="c", fields=(Field("a", "integer"),))

    text = to_toml(contract, {"": "Suggested.\nReview it.", "a": "seen 1 to 3"})

    assert text == (
        '# Suggested.\n# Review it.\nname = "c"\n\n# seen 1 to 3\n[field.a]\ntype = "integer"\n'
    )
    assert contract_from_toml(text, "c.toml") == contract


def test_many_categories_stand_in_lines_of_their_own() -> None:
    names = tuple(f"station number {i}" for i in range(9))
    contract = Contract(name="c", fields=(Field("a", "string", categories=names),))

    text = to_toml(contract)

    assert max(map(len, text.splitlines())) <= 100
    assert contract_from_toml(text, "c.toml") == contract


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ('name = "Rides"\n', "", "object missing required field `name`",
         "docs/contracts.md lists every key"),
        ("minimum_rows = 1\n", "minimum_row = 1\n",
         "object contains unknown field `minimum_row`",
         "did you mean `minimum_rows`? docs/contracts.md lists every key"),
        ("maximum = 1440", 'maximum = "1440"',
         "expected `int | float | null`, got `str` - at `field[...].maximum`",
         "docs/contracts.md lists every key"),
        ("minimum = 1\n", "minimum = 9007199254740993\n",
         "no row can keep the contract 'Rides': the limit 9007199254740993 of 'ride' would be"
         " kept as another number: beyond 2^53 not every whole number can be one",
         "correct it where it is declared"),
        ('type = "number"', 'type = "float"',
         "expected one of boolean, datetime, integer, number, string, got 'float'"
         " - at `field[...].type`",
         "docs/contracts.md lists every key"),
        ("minimum = 0.5", "minimum = 2000",
         "no row can keep the contract 'Rides': 'minutes' has no value between its minimum and"
         " its maximum", "correct it where it is declared"),
        ('sql = "minutes >= 0"', 'sql = "minutes >="',
         "the condition 'not before it left' of the contract 'Rides' is no expression:"
         " unable to parse 'minutes >=' as Expr", 'for example sql = "arrival >= departure"'),
        ('key = ["ride"]', 'key = ["rider"]',
         "no row can keep the contract 'Rides': its key names 'rider', which it does not declare",
         "correct it where it is declared"),
        ('"left_at"]]', '"arrived"]]',
         "no row can keep the contract 'Rides': its unique names 'arrived', which it does not"
         " declare", "correct it where it is declared"),
        ('sql = "minutes >= 0"', 'sql = "hours >= 0"',
         "the condition 'not before it left' of the contract 'Rides' names 'hours', which the"
         " contract does not declare", "declare it, or say open = true"),
        ("stations.name", "stations", "expected a reference DATASET.COLUMN, got 'stations'",
         "for example stations.name, or stations@3.name"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_place_and_remedy(
    tmp_path: Path, old: str, new: str, message: str, hint: str
) -> None:
    path = tmp_path / "rides.toml"
    path.write_text(RIDES.replace(old, new))

    with pytest.raises(ConfigurationError) as refused:
        read_contract(path)

    assert refused.value.message == f"{path}: {message}"
    assert refused.value.hint == hint


def test_an_open_contract_may_ask_for_columns_that_it_does_not_declare() -> None:
    text = RIDES.replace('key = ["ride"]', 'key = ["rider"]\nopen = true')

    contract = contract_from_toml(text.replace("minutes >= 0", "hours >= 0"), "rides.toml")

    assert contract.key == ("rider",)


def test_what_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("name = \n")

    with pytest.raises(ConfigurationError, match=r"a\.toml: invalid value \(at line 1"):
        read_contract(tmp_path / "a.toml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_contract(tmp_path / "a.toml")

    assert str(refused.value) == (
        f"{tmp_path}/a.toml cannot be read: No such file or directory\n"
        "  hint: correct `contract`, or put the file there"
    )


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigurationError, match=r"a\.toml: expected UTF-8 text"):
        read_contract(tmp_path / "a.toml")


def test_an_expression_comes_back() -> None:
    condition = Condition.of("later", pl.col("a") > pl.col("b"))
    contract = Contract(
        name="c", fields=(Field("a", "integer"), Field("b", "integer")), conditions=(condition,)
    )

    assert contract_from_toml(to_toml(contract), "c.toml") == contract


# of each kind of record a value for each field, other than the one it has by default
_TIME = Field("seen_at", "datetime")
CONTRACTS = {
    "name": Contract(name="other", fields=(_TIME,)),
    "version": Contract(name="c", fields=(_TIME,), version="2.0.0"),
    "fields": Contract(name="c", fields=(_TIME, Field("a", "integer"))),
    "key": Contract(name="c", fields=(_TIME,), key=("seen_at",)),
    "event_time": Contract(name="c", fields=(_TIME,), event_time="seen_at"),
    "arrival_time": Contract(name="c", fields=(_TIME,), arrival_time="seen_at"),
    "minimum_rows": Contract(name="c", fields=(_TIME,), minimum_rows=2),
    "output": Contract(name="c", fields=(_TIME,), output=Field("p", "number", unit="%")),
    "description": Contract(name="c", fields=(_TIME,), description="what was seen"),
    "unique": Contract(name="c", fields=(_TIME,), unique=(("seen_at",),)),
    "maximum_rows": Contract(name="c", fields=(_TIME,), maximum_rows=9),
    "fresh_within_hours": Contract(
        name="c", fields=(_TIME,), event_time="seen_at", fresh_within_hours=1.5
    ),
    "conditions": Contract(
        name="c", fields=(_TIME,), conditions=(Condition(name="x", sql="1 < 2"),)
    ),
    "open": Contract(name="c", fields=(_TIME,), open=True),
    "unchecked": Contract(name="c", fields=(_TIME,), unchecked=("looks right",)),
    "classes": Contract(name="c", fields=(_TIME,), classes=("no", "yes")),
    "latency_ms": Contract(name="c", fields=(_TIME,), latency_ms=0.5),
    "size_mb": Contract(name="c", fields=(_TIME,), size_mb=2.5),
}
FIELDS = {
    "name": Field("another", "string"),
    "type": Field("a", "boolean"),
    "nullable": Field("a", "string", nullable=True),
    "minimum": Field("a", "number", minimum=0.5),
    "maximum": Field("a", "number", maximum=0.5),
    "categories": Field("a", "string", categories=("x", "y")),
    "open": Field("a", "string", categories=("x", "y"), open=True),
    "unit": Field("a", "number", unit="mph"),
    "description": Field("a", "string", description="a word"),
    "pattern": Field("a", "string", pattern="N[0-9]+"),
    "unique": Field("a", "string", unique=True),
    "references": Field("a", "string", references="words.a"),
    "finite": Field("a", "number", finite=False),
    "optional": Field("a", "number", nullable=True, optional=True),
    "on_null": Field("a", "number", on_null="warn"),
    "on_unknown": Field("a", "string", categories=("x", "y"), on_unknown="warn"),
    "on_outside": Field("a", "number", maximum=0.5, on_outside="clip"),
    "default": Field("a", "boolean", on_null="default", default=False),
}


def contracts_that_say_everything() -> list[Contract]:
    """For each field of Contract and of Field one contract that says it."""
    fields = (Contract(name="c", fields=(field,)) for field in FIELDS.values())
    return [*CONTRACTS.values(), *fields]


def test_each_field_of_a_contract_is_written_in_a_test() -> None:
    """A field that is new has to be added to the samples, and then to the files."""
    assert set(CONTRACTS) == set(Contract.__struct_fields__)
    assert set(FIELDS) == set(Field.__struct_fields__)
    for record, samples in ((Contract, CONTRACTS), (Field, FIELDS)):
        for known in msgspec.structs.fields(record):
            assert getattr(samples[known.name], known.name) != known.default


@pytest.mark.parametrize("contract", contracts_that_say_everything())
def test_nothing_that_a_contract_says_is_forgotten(contract: Contract) -> None:
    assert contract_from_toml(to_toml(contract), "c.toml") == contract


texts = st.text(max_size=12)
names = st.text(min_size=1, max_size=12)
limits = st.none() | st.integers(-(10**9), 10**9).map(float) | st.floats(-1e9, 1e9)
some_fields = st.one_of(
    st.builds(
        Field, names, st.just("number"), nullable=st.booleans(),
        minimum=limits.filter(lambda x: x is None or x <= 0),
        maximum=limits.filter(lambda x: x is None or x >= 0), unit=texts, finite=st.booleans(),
    ),
    st.builds(
        Field, names, st.just("string"), categories=st.lists(texts, max_size=9).map(tuple),
        open=st.booleans(), description=texts, unique=st.booleans(),
    ).filter(lambda field: field.categories or not field.open),
    st.builds(Field, names, st.just("datetime"), nullable=st.booleans()),
    st.builds(Field, names, st.just("boolean"), nullable=st.just(True), optional=st.booleans()),
)  # fmt: skip


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Contracts that tables can keep."""
    fields = draw(st.lists(some_fields, min_size=1, max_size=3, unique_by=lambda f: f.name))
    known = st.lists(st.sampled_from([f.name for f in fields]), unique=True)
    times = st.sampled_from(["", *(f.name for f in fields if f.type == "datetime")])
    contract = st.builds(
        Contract,
        name=names,
        description=texts,
        fields=st.just(tuple(fields)),
        key=known.map(tuple),
        event_time=times,
        arrival_time=times,
        unique=known.map(lambda group: (tuple(group),) if group else ()),
        minimum_rows=st.integers(0, 99),
        maximum_rows=st.none() | st.integers(100, 10**12),
        conditions=st.just(()) | st.builds(lambda n: (Condition(name=n, sql="1 < 2"),), names),
        open=st.booleans(),
        unchecked=st.lists(names, max_size=2).map(tuple),
        output=st.none() | st.just(Field("p", "number", minimum=0.0, maximum=1.0)),
        classes=st.lists(names, max_size=3, unique=True).map(tuple),
        latency_ms=st.none() | st.floats(0.001, 1e6),
        size_mb=st.none() | st.floats(0.001, 1e6),
    )
    return draw(contract)


@given(contract=contracts())
@settings(max_examples=60, deadline=None)
def test_every_contract_comes_back(contract: Contract) -> None:
    again = contract_from_toml(to_toml(contract), "c.toml")

    assert again == contract
