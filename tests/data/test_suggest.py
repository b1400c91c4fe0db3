"""A contract that rows suggest: they keep it, and it says what people would say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.data.contract import check
from cd4ml.data.contract_file import contract_from_toml, to_toml
from cd4ml.data.formats import reading_of, scan
from cd4ml.data.patterns import common_pattern
from cd4ml.data.suggest import suggest
from cd4ml.data.values import wrong_values
from cd4ml.records.contract import Contract, Field

START = datetime(2013, 1, 1, tzinfo=UTC)


def table(n: int = 400) -> pl.DataFrame:
    """Flights of a year."""
    random = np.random.default_rng(5)
    return pl.DataFrame(
        {
            "id": range(1, n + 1),
            "carrier": random.choice(["AA", "B6", "UA"], n),
            "tail": [f"N{i:05}" for i in random.permutation(n)],
            "at": [START + timedelta(hours=i) for i in range(n)],
            "distance": random.integers(80, 4900, n),
            "delay": random.normal(5, 30, n).round(1).clip(-40, 400),
            "is_late": random.integers(0, 2, n),
            "wind": [None if i % 7 == 0 else 3.5 for i in range(n)],
            "note": [f"{'ab' * (i % 9)} some text no. {i % 50}" for i in range(n)],
        }
    )


def suggested(frame: pl.DataFrame) -> Contract:
    return suggest(frame.lazy(), "c").contract


def is_kept(frame: pl.DataFrame, contract: Contract) -> bool:
    return all(f.outcome == "pass" for f in check(frame.lazy(), contract))


def test_it_says_what_people_would_say() -> None:
    contract = suggested(table())

    fields = {field.name: field for field in contract.fields}
    assert fields["id"] == Field("id", "integer", minimum=0)  # the next ones are above
    assert fields["carrier"].categories == ("AA", "B6", "UA")
    assert fields["tail"].pattern == "N[0-9]{5}"
    assert fields["distance"].minimum == 0
    assert 4900 < (fields["distance"].maximum or 0) < 10_000
    assert (fields["delay"].minimum or 0) < -40
    assert (fields["is_late"].minimum, fields["is_late"].maximum) == (0, 1)
    assert fields["wind"].nullable
    assert (fields["note"].pattern, fields["note"].categories) == ("", ())
    assert contract.key == ("id",)
    assert contract.event_time == "at"
    assert is_kept(table(), contract)


def test_the_file_explains_itself_and_comes_back() -> None:
    contract, notes = suggest(table().lazy(), "flights", source="flights@1")

    text = to_toml(contract, notes)

    assert text.startswith(
        "# Suggested from 400 rows of flights@1; review every line.\n# tail is unique, too.\n"
    )
    assert '# seen 1 to 400, 400 different values\n[field.id]\ntype = "integer"\n' in text
    assert "# seen 3.5 to 3.5, 2 different values, 58 missing\n[field.wind]\n" in text
    assert contract_from_toml(text, "x.toml") == contract


@pytest.mark.parametrize("ids", [[1, 2], [1, 2, 3]])
def test_numbers_that_count_the_rows_have_no_maximum(ids: list[int]) -> None:
    field = suggested(pl.DataFrame({"id": ids})).fields[0]

    assert field == Field("id", "integer", minimum=0)


def test_limits_of_whole_numbers_are_whole() -> None:
    fields = suggested(pl.DataFrame({"a": [1, 2, 2], "b": [7, 7, 7], "c": [-3, -2, -2]})).fields

    assert [(field.minimum, field.maximum) for field in fields] == [(0, 3), (3, 11), (-4, -1)]


def test_a_column_without_values_says_that_its_type_is_a_guess(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n")

    contract, notes = suggest(scan([path], reading_of([path])), "c")

    assert '# no value was seen, so that the type is a guess\n[field.b]\ntype = "string"\n' in (
        to_toml(contract, notes)
    )
    known = pl.DataFrame({"a": [None, None]}, schema={"a": pl.Int64})
    assert suggest(known.lazy(), "c").notes["a"] == "no value was seen, 2 missing"


def test_times_are_written_in_one_form(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,at\n1,2026-05-01 10:00:00+02:00\n2,2026-05-01T08:30Z\n3,2026-05-02\n")
    texts = scan([path], reading_of([path]))
    contract, notes = suggest(texts, "c")
    times = scan([path], reading_of([path], contract))

    assert notes["at"] == ("seen 2026-05-01T08:00:00Z to 2026-05-02T00:00:00Z, 3 different values")
    assert suggest(times, "c").notes["at"] == notes["at"]


def test_a_pair_of_columns_may_be_the_key() -> None:
    frame = pl.DataFrame({"day": [1, 1, 2, 2], "hour": [1, 2, 1, 2], "x": [0.5, 0.1, 0.2, 0.5]})

    assert suggested(frame).key == ("day", "hour")


def test_rows_that_repeat_have_no_key() -> None:
    assert suggested(pl.DataFrame({"a": [1, 1], "b": ["x", "x"]})).key == ()


def test_texts_that_are_all_times_are_times() -> None:
    frame = pl.DataFrame({"a": ["2013-01-01", "2013-01-01T05:00Z"], "b": ["2013-01-01", "soon"]})

    assert [field.type for field in suggested(frame).fields] == ["datetime", "string"]


def test_columns_that_no_contract_has_a_word_for_are_let_through() -> None:
    frame = pl.DataFrame({"a": [1, 2], "legs": [[1], [2, 3]]})

    contract, notes = suggest(frame.lazy(), "c")

    assert contract.open
    assert notes[""].endswith("legs is List(Int64): not checked.")
    assert is_kept(frame, contract)


values = st.one_of(
    st.lists(st.none() | st.integers(-(2**62), 2**62), min_size=1, max_size=40).map(
        lambda v: pl.Series("a", v, dtype=pl.Int64)
    ),
    st.lists(st.none() | st.floats(width=64), min_size=1, max_size=40).map(
        lambda v: pl.Series("a", v, dtype=pl.Float64)
    ),
    st.lists(st.none() | st.text(max_size=5), min_size=1, max_size=40).map(
        lambda v: pl.Series("a", v, dtype=pl.String)
    ),
    st.lists(st.none() | st.from_regex(r"\A[A-Z]{1,3}-[0-9]{2,4}\Z"), min_size=1, max_size=40).map(
        lambda v: pl.Series("a", v, dtype=pl.String)
    ),
    st.lists(st.none() | st.booleans(), min_size=1).map(
        lambda v: pl.Series("a", v, dtype=pl.Boolean)
    ),
    st.lists(st.datetimes() | st.none(), min_size=1).map(
        lambda v: pl.Series("a", v, dtype=pl.Datetime("us"))
    ),
)


@given(column=values)
@settings(max_examples=200, deadline=None)
def test_every_column_keeps_what_it_suggests(column: pl.Series) -> None:
    frame = column.to_frame()
    contract, notes = suggest(frame.lazy(), "c")
    read = contract_from_toml(to_toml(contract, notes), "c.toml")
    if read.fields[0].type == "datetime" and frame.schema["a"] == pl.String:
        return  # texts are read as times when they come from a file

    assert is_kept(frame, read)


odd = st.sampled_from([
    "", "0", "1", "-1", "0.5", "1e400", "-1e400", "1e308", "-1.7e308", "3.5e38", "inf", "-inf", "NaN",
    "99999999999999999999", "-99999999999999999999", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "00123", "true", "false", "NA", "2013-01-01", "2013-01-01 05:00", "x",
    " 1", "+1", "é",
])  # fmt: skip
few_odd = st.lists(odd, min_size=1, max_size=3, unique=True)
columns = few_odd.flatmap(lambda few: st.lists(st.sampled_from(few), min_size=7, max_size=7))


@given(texts=st.lists(columns, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_every_csv_file_keeps_what_it_suggests(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("odd") / "odd.csv"
    frame = pl.DataFrame({f"c{i}": column for i, column in enumerate(texts)})
    frame.with_columns(last=pl.lit(1)).write_csv(path)

    contract, notes = suggest(scan([path], reading_of([path])), "c")
    read = contract_from_toml(to_toml(contract, notes), "c.toml")

    assert broken_in(path, read) == []


def broken_in(path: Path, contract: Contract) -> list[str]:
    reading = reading_of([path], contract)
    found = (*check(scan([path], reading), contract), *wrong_values([path], reading, contract))
    return [f"{f.gate}: {f.reason}" for f in found if f.outcome != "pass"]


def test_whole_numbers_beyond_64_bits_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_text("n,m\n99999999999999999999,1e400\n10000000000000000000,2\n")

    contract = suggest(scan([path], reading_of([path])), "large").contract

    assert contract.fields == (
        Field("n", "string", pattern="[0-9]{20}"),
        Field("m", "number", minimum=1, finite=False),
    )
    assert broken_in(path, contract) == []


@pytest.mark.parametrize("number", [1e39, -1e39])
def test_numbers_that_no_request_can_hold_suggest_no_limits(number: float) -> None:
    frame = pl.DataFrame({"a": [number, number]})

    assert is_kept(frame, suggested(frame))


def test_an_empty_table_suggests_its_columns() -> None:
    contract = suggested(table().clear())

    assert contract.minimum_rows == 0
    assert is_kept(table().clear(), contract)


@pytest.mark.parametrize(
    ("texts", "pattern"),
    [
        (["N14228", "N24211"], "N[0-9]{5}"),
        (["12:05", "7:30"], "[0-9]{1,2}:[0-9]{2}"),
        (["a@b.org", "x.y@z.com"], r"[^@\s]+@[^@\s]+\.[^@\s]+"),
        (["https://a.b/c", "http://x"], r"https?://\S+"),
        (["00b0c7e2-9d10-4d65-b1a7-ff4a1c3b1a11"],
         "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        (["AA", "A1"], ""),
        (["", "A"], ""),
        (["--", "-"], ""),
        ([None], ""),
        (["é1", "é2"], "é[0-9]"),
        (["a.b", "c.d"], r"[a-z]\.[a-z]"),
    ],
)  # fmt: skip
def test_the_pattern_that_texts_have_in_common(texts: list[str | None], pattern: str) -> None:
    assert common_pattern(pl.Series(texts, dtype=pl.String)) == pattern
