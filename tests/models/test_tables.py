"""A table is checked and typed as a request with the same values would be."""

import math
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import InvalidInput
from cd4ml.models.frames import as_requested, to_rows
from cd4ml.models.tables import kept, reasons, typed
from cd4ml.models.violations import is_moment, moment_of, violations_of, with_integers
from cd4ml.records.contract import Contract, Field
from tests.models.builders import CONTRACT, flights

FIELDS = (
    Field("integer", "integer", minimum=-2.5, maximum=7.5),
    Field("any integer", "integer", nullable=True),
    Field("number", "number", nullable=True, minimum=0),
    Field("closed", "string", nullable=True, categories=("a", "b")),
    Field("like", "string", pattern="[ab]+"),
    Field("flag", "boolean"),
    Field("at", "datetime", nullable=True),
)
EVERY = Contract(name="every", fields=FIELDS)
integers = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-3, 8))
numbers = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-3, 8).map(float),
    st.sampled_from([2.0**63, -(2.0**63), 2.0**63 - 1024, math.inf]),
    st.sampled_from([3.4028234663852886e38, 3.5e38]),
)
texts = st.one_of(st.none(), st.sampled_from(["a", "b", "ab", "a\0", "", "2013-02-01T05:00:00Z"]))
booleans = st.one_of(st.none(), st.booleans())
columns = st.one_of(
    st.tuples(st.just(pl.Int64), st.lists(integers, min_size=3, max_size=3)),
    st.tuples(st.just(pl.Float64), st.lists(numbers, min_size=3, max_size=3)),
    st.tuples(st.just(pl.String), st.lists(texts, min_size=3, max_size=3)),
    st.tuples(st.just(pl.Boolean), st.lists(booleans, min_size=3, max_size=3)),
)


@given(st.fixed_dictionaries({field.name: columns for field in FIELDS}))
def test_a_row_of_a_table_keeps_what_the_same_row_of_a_request_does(values: Any) -> None:
    frame = pl.DataFrame([pl.Series(n, v, dtype=kind) for n, (kind, v) in values.items()])
    asked = [with_integers(FIELDS, row) for row in to_rows(EVERY, frame)]
    found = [violations_of(FIELDS, row) for row in asked]

    is_kept = kept(EVERY, frame)

    assert is_kept.to_list() == [not each for each in found]
    good = frame.filter(is_kept)
    assert typed(EVERY, good).equals(as_requested(EVERY, good))


moments = st.builds(
    "{}{}{:%H:%M:%S}{}{}".format,
    st.dates(date(1000, 1, 2), date(9999, 12, 30)),
    st.sampled_from("Tt "),
    st.datetimes(),
    st.from_regex(r"(\.[0-9]{1,12})?", fullmatch=True),
    st.sampled_from(["Z", "z", "+02:00", "-0930", "-00:00"]),
).filter(is_moment)


@given(st.lists(moments, min_size=1, max_size=3))
def test_texts_of_times_are_the_moments_that_requests_with_them_name(texts: list[str]) -> None:
    at = Contract(name="at", fields=(Field("at", "datetime"),))
    frame = pl.DataFrame({"at": texts})

    assert kept(at, frame).all()
    assert typed(at, frame)["at"].to_list() == [moment_of(text) for text in texts]


@given(st.integers(-(10**18), 10**18))
def test_nanoseconds_are_cut_off_in_a_column_as_in_a_text(ns: int) -> None:
    at = Contract(name="at", fields=(Field("at", "datetime"),))
    column = pl.Series("at", [ns]).cast(pl.Datetime("ns", "UTC"))
    text = f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09}Z"

    assert typed(at, column.to_frame())["at"].to_list() == [moment_of(text)]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("hour", [0, 23, 24], dtype=pl.UInt64),
        pl.Series("hour", [-1, 3, None], dtype=pl.Int8),
        pl.Series("hour", [None, None, None], dtype=pl.Null),
    ],
)
def test_narrow_types_are_no_violation(column: pl.Series) -> None:
    contract = Contract(name="c", fields=(Field("hour", "integer", minimum=0, maximum=23),))
    frame = pl.DataFrame([column])

    is_kept = kept(contract, frame)

    expected = [not violations_of(contract.fields, row) for row in to_rows(contract, frame)]
    assert is_kept.to_list() == expected


def test_other_columns_are_let_through_and_missing_ones_are_named() -> None:
    assert kept(CONTRACT, flights().with_columns(id=1)).all()
    with pytest.raises(InvalidInput) as refusal:
        kept(CONTRACT, flights().drop("wind", "hour"))

    assert refusal.value.message == ("the rows lack hour, wind, which the contract 'delay' names")


def test_what_may_be_left_out_is_null() -> None:
    gate = Field("gate", "string", nullable=True, optional=True)
    contract = Contract(name="c", fields=(Field("hour", "integer"), gate))
    frame = pl.DataFrame({"hour": [1, 2]})

    assert kept(contract, frame).all()
    assert typed(contract, frame).rows() == [(1, None), (2, None)]


def test_reasons_are_the_violations_of_an_endpoint() -> None:
    frame = flights().head(2).with_columns(hour=pl.Series([24, 3]), wind=pl.Series([np.nan, 1.0]))

    assert reasons(CONTRACT, frame) == [
        '[{"field":"hour","path":"$.hour","expected":"an integer from 0 to 23","got":"24"},'
        '{"field":"wind","path":"$.wind","expected":"a number of at least 0","got":"null"}]',
        "[]",
    ]


def test_a_float_that_may_have_been_rounded_is_no_integer_in_a_table() -> None:
    contract = Contract(name="c", fields=(Field("n", "integer"),))
    whole = pl.DataFrame({"n": [2.0**53 - 1, 2.0**53, -(2.0**53) + 1, -(2.0**53), 1e300]})

    assert kept(contract, whole).to_list() == [True, False, True, False, False]
    assert reasons(contract, whole)[0] == "[]"
    assert "2^53" in reasons(contract, whole)[1]
