"""A contract forgives what it says, in every form in which rows come, and nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.errors import ContractViolated, InvalidInput
from cd4ml.models.compatibility import changes
from cd4ml.models.contract import CompiledContract, as_scored, strict
from cd4ml.models.frames import to_frame
from cd4ml.models.leniency import Warned, mender, said, warnings_of
from cd4ml.models.parity import probes
from cd4ml.models.tables import forgiven, kept, mended, typed
from cd4ml.models.violations import expected_of, keeps, takes, violations_of
from cd4ml.records.contract import Contract, Field
from cd4ml.store.blobs import open_blobs
from tests.models.builders import AMISS, CONTRACT, LENIENT, MENDED, ROW, boosted, flights, packaged

COMPILED = CompiledContract(LENIENT)
NAMES = LENIENT.names


def values(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in NAMES)


def test_what_is_forgiven_is_no_violation_and_is_said() -> None:
    assert COMPILED.check(AMISS) == []
    assert COMPILED.warnings_of([ROW, AMISS]) == [
        Warned(1, "carrier", "unknown", 'one of "AA", "B6", "UA"', '"ZZ"', '"ZZ"'),
        Warned(1, "dest", "unknown", 'one of "BOS", "ORD", or null', '"LAX"', '"ORD"'),
        Warned(1, "hour", "outside", "an integer from 0 to 23", "24", "23"),
        Warned(1, "temp", "outside", "a number from -50 to 130, or null", "-60.5", "-60.5"),
        Warned(1, "wind", "null", "a number of at least 0", "null", "7.5"),
    ]
    assert COMPILED.mend is not None
    assert COMPILED.mend(values(AMISS)) == values(MENDED)


def test_a_warning_in_a_log_shows_no_value() -> None:
    words = [said(each) for each in COMPILED.warnings_of([AMISS])]

    assert words[2] == (
        "hour: expected an integer from 0 to 23; a value beyond the limits was scored as the "
        "nearest limit"
    )
    assert words[3].endswith("a value beyond the limits was scored all the same")
    assert words[4].endswith("null was scored as the default")
    assert not any("ZZ" in each or "60.5" in each for each in words)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hour", None),  # nobody forgives null there
        ("hour", 24.0),
        ("hour", True),
        ("hour", 2**63),
        ("temp", 1e39),
        ("temp", float("nan")),
        ("temp", float("inf")),
        ("carrier", 5),
        ("carrier", "a\0b"),
        ("wind", "8"),
    ],
)
def test_only_what_is_named_is_forgiven(field: str, value: Any) -> None:
    (violation,) = COMPILED.check(ROW | {field: value})

    assert violation.field == field
    assert violation.expected == expected_of(LENIENT.fields[NAMES.index(field)])


def test_a_nullable_field_with_a_default_is_scored_as_it_without_a_word() -> None:
    wind = Field("wind", "number", nullable=True, optional=True, on_null="default", default=3)
    mend = mender((wind,))

    assert mend is not None
    assert mend((None,)) == (3,)
    assert violations_of((wind,), {}) == []
    assert warnings_of((wind,), [{}, {"wind": None}]) == []
    assert not as_scored(wind).nullable


def test_what_teaches_a_model_is_not_forgiven() -> None:
    blobs_rows = flights().select(CONTRACT.names).head(3).with_columns(hour=pl.lit(24))

    with pytest.raises(ContractViolated, match="hour: expected an integer from 0 to 23, got 24"):
        CompiledContract(strict(LENIENT)).refuse_unless_kept(blobs_rows.to_dicts())


WRONG = {
    "'a' has no limits, and on_outside = 'clip'": Field("a", "number", on_outside="clip"),
    "'a' has no closed list, and on_unknown = 'warn'": Field("a", "string", on_unknown="warn"),
    "'a' is nullable, and on_null = 'warn'": Field("a", "number", nullable=True, on_null="warn"),
    "'a' needs a default that it takes, and has none": Field("a", "number", on_null="default"),
    "'a' needs a default that it takes, and has 'x'": Field(
        "a", "number", on_null="default", default="x"
    ),
    "'a' has a default that nothing is scored as": Field("a", "number", default=1),
    "'a' is optional, so it has to be nullable": Field("a", "number", optional=True),
}


@pytest.mark.parametrize("said", WRONG)
def test_a_policy_that_cannot_be_meant_is_refused(said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        CompiledContract(Contract(name="c", fields=(WRONG[said],)))

    assert refused.value.message == f"no row can keep the contract 'c': {said}"


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(["AA", "BOS", "ORD", "ZZ", "a\0"]),
)
rows = st.fixed_dictionaries(dict.fromkeys(NAMES, anything)) | st.builds(
    lambda changed: ROW | changed,
    st.dictionaries(st.sampled_from(NAMES), anything, max_size=2),
)


@settings(deadline=None)
@given(rows)
def test_whatever_is_taken_is_scored_as_something_the_model_was_tried_with(
    row: dict[str, Any],
) -> None:
    if COMPILED.check(row):
        return
    assert COMPILED.mend is not None
    once = COMPILED.mend(values(row))

    assert COMPILED.mend(once) == once
    for field, value in zip(LENIENT.fields, once, strict=True):
        assert keeps(as_scored(field), value)
    is_amiss = {field.name for field in LENIENT.fields if not keeps(field, row[field.name])}
    assert {each.field for each in COMPILED.warnings_of([row])} == is_amiss
    msgspec.convert(row, COMPILED.row)


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=5))
def test_tables_are_forgiven_as_rows_are(made: list[dict[str, Any]]) -> None:
    taken = [row for row in made if not COMPILED.check(row)]
    frame = to_frame(LENIENT, [values(row) for row in taken])
    assert COMPILED.mend is not None

    assert kept(LENIENT, frame).all()
    again = mended(LENIENT.fields, typed(LENIENT, frame))
    assert again.equals(to_frame(LENIENT, [COMPILED.mend(values(row)) for row in taken]))
    counted = [(w.field, w.kind) for w in COMPILED.warnings_of(taken)]
    assert forgiven(LENIENT, frame) == {
        name: {kind: counted.count((name, kind)) for _, kind in sorted(set(counted)) if _ == name}
        for name in NAMES
        if any(field == name for field, _ in counted)
    }


def test_a_table_that_is_not_taken_is_not_kept() -> None:
    frame = pl.DataFrame({**AMISS, "hour": [None]}, schema_overrides={"wind": pl.Float64})

    assert kept(LENIENT, frame).to_list() == [False]


def test_a_time_may_have_a_default() -> None:
    at = Field("at", "datetime", on_null="default", default="2013-02-01T05:00:00Z")
    frame = typed(
        Contract(name="c", fields=(at,)), pl.DataFrame({"at": [None, "2020-01-01T00:00:00Z"]})
    )

    assert [str(each) for each in mended([at], frame)["at"]] == [
        "2013-02-01 05:00:00+00:00",
        "2020-01-01 00:00:00+00:00",
    ]


def test_a_model_is_tried_with_what_it_will_be_asked() -> None:
    made = probes(LENIENT, [ROW])

    assert {"cd4ml: never seen", "AA"} < {row["carrier"] for row in made}
    assert {row["dest"] for row in made} == {"BOS", "ORD", None}
    assert {row["hour"] for row in made} == {0, 17, 23}
    assert {row["temp"] for row in made} > {-50.0 + 90.5 - 1, None}  # one range beyond, no limit
    assert not any(row["wind"] is None for row in made)


def test_a_packaged_model_scores_rows_and_tables_as_its_contract_mends_them(tmp_path: Path) -> None:
    runtime = packaged(tmp_path, boosted(), contract=LENIENT).load()

    assert runtime.score([AMISS]) == runtime.score([MENDED])
    frame = typed(
        LENIENT, pl.DataFrame([AMISS | {"wind": None}], schema_overrides={"wind": pl.Float64})
    )
    assert runtime.score_frame(frame).tolist() == pytest.approx(runtime.score([MENDED]))


def bumps(old: Field, new: Field) -> list[tuple[str, str]]:
    found = changes(Contract(name="c", fields=(old,)), Contract(name="c", fields=(new,)))
    return [(change.bump, change.words) for change in found]


HOUR = Field("hour", "integer", minimum=0, maximum=23)
CLIPPED = msgspec.structs.replace(HOUR, on_outside="clip")
WARNED = msgspec.structs.replace(HOUR, on_outside="warn")
WIND = Field("wind", "number")
FILLED = msgspec.structs.replace(WIND, on_null="default", default=7.5)
CODE = Field("code", "string", categories=("a", "b"))
OPEN = msgspec.structs.replace(CODE, open=True)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            HOUR,
            CLIPPED,
            [("minor", "'hour': what is beyond its limits was refused and is clipped")],
        ),
        (
            CLIPPED,
            HOUR,
            [("major", "'hour': what is beyond its limits was clipped and is refused")],
        ),
        (
            CLIPPED,
            WARNED,
            [("minor", "'hour': what is beyond its limits was clipped and is scored as it is")],
        ),
        (WIND, FILLED, [("minor", "'wind': null was refused and is taken for 7.5")]),
        (FILLED, WIND, [("major", "'wind': null was taken for 7.5 and is refused")]),
        (
            FILLED,
            msgspec.structs.replace(FILLED, default=0.0),
            [("major", "'wind': null was taken for 7.5 and is taken for 0.0")],
        ),
        (
            OPEN,
            msgspec.structs.replace(CODE, on_unknown="warn"),
            [
                (
                    "minor",
                    "'code' was a string of Unicode characters other than NUL and is one of"
                    ' "a", "b"',
                )
            ],
        ),
        (
            msgspec.structs.replace(WIND, nullable=True),
            FILLED,
            [("major", "'wind' was a number, or null and is a number")],
        ),
        (
            HOUR,
            msgspec.structs.replace(WARNED, maximum=20),
            [
                ("minor", "'hour' was an integer from 0 to 23 and is an integer from 0 to 20"),
                ("minor", "'hour': what is beyond its limits was refused and is scored as it is"),
            ],
        ),
        (
            HOUR,
            msgspec.structs.replace(CLIPPED, maximum=20),
            [
                ("major", "'hour' was an integer from 0 to 23 and is an integer from 0 to 20"),
                ("minor", "'hour': what is beyond its limits was refused and is clipped"),
            ],
        ),
        (
            WARNED,
            msgspec.structs.replace(HOUR, minimum=None, maximum=None),
            [
                ("minor", "'hour' was an integer from 0 to 23 and is an integer"),
                ("minor", "'hour': what is beyond its limits was scored as it is and is refused"),
            ],
        ),
    ],
)
def test_what_is_forgiven_counts_as_what_is_taken(
    old: Field, new: Field, expected: Sequence[tuple[str, str]]
) -> None:
    assert bumps(old, new) == list(expected)


@given(st.sampled_from([HOUR, CLIPPED, WARNED, WIND, FILLED]), anything)
def test_forgiveness_only_adds(field: Field, value: Any) -> None:
    assert takes(field, value) or not keeps(field, value)


def test_blobs_of_contracts_from_before_are_read(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path))
    old = blobs.put(b'{"name":"c","fields":[{"name":"a","type":"number"}]}')

    assert blobs.get_record(old, Contract).fields[0].on_null == "refuse"
