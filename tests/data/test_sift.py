"""Rows are taken apart: the good ones, and the bad ones with every rule that they broke."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.data.formats import reading_of
from cd4ml.data.rules import Context
from cd4ml.data.sift import Sifted, sift
from cd4ml.data.written import check_files, sift_files
from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Condition, Contract, Field
from tests.data.tables import CSV, FLIGHTS, file, flights


def rules(found: Sifted) -> list[tuple[int, list[str]]]:
    return found.bad.select("broken_row", "broken_rules").rows()  # type: ignore[return-value]


def test_a_whole_table_is_good() -> None:
    found = sift(flights(), FLIGHTS)

    assert found.good.collect().equals(flights())
    assert found.bad.is_empty()
    assert found.bad.columns == ["broken_row", "broken_rules", *flights().columns]
    assert found.bad.schema["broken_rules"] == pl.List(pl.String)
    assert {finding.outcome for finding in found.findings} == {"pass"}


def test_a_bad_row_has_every_rule_it_broke() -> None:
    table = flights(flight=[0, 2, 2], carrier=["??", "UA", "UA"], hour=[99.0, None, 7.5])

    found = sift(table, FLIGHTS)

    assert rules(found) == [
        (1, ["flight at least 1", "carrier is one of AA, UA", "hour at most 23"]),
        (3, ["flight unique"]),
    ]
    assert found.bad.drop("broken_row", "broken_rules").equals(table[[0, 2]])
    assert found.good.collect().equals(table[[1]])


def test_the_findings_name_the_first_row() -> None:
    found = sift(flights(hour=[1.0, 99.0, 98.0]), FLIGHTS)

    (finding,) = [f for f in found.findings if f.outcome != "pass"]
    assert finding.reason == "2 of 3 rows, first in row 2: 99.0"


def test_rules_on_columns_and_on_the_table_have_no_rows() -> None:
    contract = Contract(
        name="c",
        fields=(Field("a", "integer"), Field("b", "string")),
        minimum_rows=9,
        conditions=(Condition(name="high", sql="AVG(a) > 9"),),
    )

    found = sift(pl.DataFrame({"a": [1, 2]}), contract)

    assert found.bad.is_empty()
    assert found.good.collect().height == 2
    assert [f.gate for f in found.findings if f.outcome != "pass"] == [
        "b is there",
        "high",
        "at least 9 rows",
    ]


def test_a_column_with_a_name_that_is_needed_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        sift(pl.DataFrame({"broken_rules": [1]}), FLIGHTS)

    assert str(refused.value) == (
        "a table to be sifted has a column named 'broken_rules'\n"
        "  hint: give the column another name"
    )


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_every_planted_fault_is_reported_by_row_and_rule_and_nothing_else(
    data: st.DataObject,
) -> None:
    n = 120
    places = st.sets(st.integers(0, n - 1), max_size=30)
    nulls, high, strange = data.draw(places), data.draw(places), data.draw(places)
    x = [None if i in nulls else 99 if i in high else 5 for i in range(n)]
    k = ["?" if i in strange else "a" for i in range(n)]
    table = pl.DataFrame({"x": x, "k": k}, schema={"x": pl.Int64, "k": pl.String})
    fields = (Field("x", "integer", maximum=10), Field("k", "string", categories=("a",)))

    found = sift(table, Contract(name="c", fields=fields))

    planted = {(i + 1, "x is never null") for i in nulls}
    planted |= {(i + 1, "x at most 10") for i in high - nulls}
    planted |= {(i + 1, "k is one of a") for i in strange}
    assert {(row, rule) for row, listed in rules(found) for rule in listed} == planted
    assert found.good.collect().height + found.bad.height == n
    again = sift(found.good, Contract(name="c", fields=fields))
    assert again.bad.is_empty()


# --- files, as they are written -------------------------------------------------------------


def from_files(folder: Path, *names: str) -> Sifted:
    paths = [folder / name for name in names]
    return sift_files(paths, reading_of(paths, FLIGHTS), FLIGHTS, Context())


def test_rows_of_a_csv_that_are_of_no_type_are_set_aside_as_they_are_written(
    tmp_path: Path,
) -> None:
    file(tmp_path, "a.csv", CSV + "four,AA,7,true,2013-01-02\n5,,late,no,02.01.2013\n")

    found = from_files(tmp_path, "a.csv")

    assert rules(found) == [
        (4, ["flight is integer"]),
        (5, ["carrier is never null", "hour is number", "is_late is boolean",
             "left_at is datetime"]),
    ]  # fmt: skip
    assert found.bad.rows()[1][2:] == ("5", None, "late", "no", "02.01.2013")
    assert found.good.collect().equals(flights())


def test_keys_that_cannot_be_read_are_not_the_same(tmp_path: Path) -> None:
    file(tmp_path, "a.csv", CSV + "four,AA,7,true,2013-01-02\nfive,AA,7,true,2013-01-02\n")

    found = from_files(tmp_path, "a.csv")

    assert rules(found) == [(4, ["flight is integer"]), (5, ["flight is integer"])]


def test_dates_in_three_formats_leave_those_of_one(tmp_path: Path) -> None:
    days = ["2013-01-02", "02.01.2013", "01/02/2013", "2013-01-03T05:00Z"]
    file(
        tmp_path, "a.csv", CSV + "".join(f"{i},AA,1,true,{day}\n" for i, day in enumerate(days, 4))
    )

    found = from_files(tmp_path, "a.csv")

    assert rules(found) == [(5, ["left_at is datetime"]), (6, ["left_at is datetime"])]
    assert found.good.collect().height == 5


def test_two_types_in_one_column_of_json_are_told_by_row(tmp_path: Path) -> None:
    line = '{{"flight":{},"carrier":"AA","hour":1.5,"is_late":true,"left_at":"2013-01-01"}}\n'
    file(tmp_path, "a.ndjson", "".join(line.format(n) for n in (1, '"two"', 3)))

    found = from_files(tmp_path, "a.ndjson")

    assert rules(found) == [(2, ["flight is integer"])]
    assert found.bad["flight"].to_list() == ["two"]
    assert found.good.collect()["flight"].to_list() == [1, 3]


def test_lines_with_another_separator_are_set_aside(tmp_path: Path) -> None:
    file(tmp_path, "a.csv", CSV + "4;AA;5;true;2013-01-01\n")

    (bad,) = rules(from_files(tmp_path, "a.csv"))

    assert bad[0] == 4
    assert "columns are separated by ','" in bad[1]


def test_with_several_files_a_bad_row_names_its_own(tmp_path: Path) -> None:
    file(tmp_path, "a.csv")
    file(tmp_path, "b.csv", CSV.replace("1,AA", "4,AA").replace("2,UA", "5,??").replace("3,", "6,"))

    found = from_files(tmp_path, "a.csv", "b.csv")

    assert found.bad.select("broken_file", "broken_row", "broken_rules").rows() == [
        (str(tmp_path / "b.csv"), 2, ["carrier is one of AA, UA"])
    ]
    (finding,) = [f for f in found.findings if f.outcome != "pass"]
    assert finding.reason == f"1 of 6 rows, first in row 2 of {tmp_path}/b.csv: '??'"


def test_parquet_is_taken_apart_with_its_own_types(tmp_path: Path) -> None:
    flights(carrier=["AA", "??", "UA"]).write_parquet(tmp_path / "a.parquet")

    found = from_files(tmp_path, "a.parquet")

    assert rules(found) == [(2, ["carrier is one of AA, UA"])]
    assert found.bad.schema["flight"] == pl.Int64


def test_all_that_is_wrong_with_a_file_is_found_at_once(tmp_path: Path) -> None:
    path = file(tmp_path, "a.csv", CSV + "four,??,7,true,2013-01-02\n")

    findings = check_files([path], reading_of([path], FLIGHTS), FLIGHTS)

    assert {f.gate: f.reason for f in findings if f.outcome != "pass"} == {
        "flight is integer": "1 of 4 rows, first in row 4: 'four'",
        "carrier is one of AA, UA": "1 of 4 rows, first in row 4: '??'",
    }


def test_a_file_that_cannot_be_read_as_text_either_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, "a.csv", CSV + "4,AA,7,true,2013-01-02,more\n")

    with pytest.raises(InvalidInput) as refused:
        check_files([path], reading_of([file(tmp_path, "b.csv")], FLIGHTS), FLIGHTS)

    assert refused.value.message == f"{path}: line 5 has 6 columns instead of 5"


numbers = st.one_of(st.integers(-(10**6), 10**6).map(str), st.floats(allow_nan=False).map(repr))


@given(texts=st.lists(st.one_of(numbers, st.sampled_from(["x", " 7", "1e3", "-", "NA", ""]))))
@settings(max_examples=60, deadline=None)
def test_text_is_read_as_polars_reads_the_file(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    contract = Contract(
        name="c", fields=(Field("i", "integer"), Field("x", "number", nullable=True, finite=False))
    )
    path = tmp_path_factory.mktemp("x") / "a.csv"
    path.write_text("i,x\n" + "".join(f"{i},{text}\n" for i, text in enumerate(texts)))
    reading = reading_of([path], contract)

    good = sift_files([path], reading, contract).good.collect()

    kept = "i,x\n" + "".join(f"{i},{texts[i]}\n" for i in good["i"])
    read = pl.read_csv(kept.encode(), schema={"i": pl.Int64, "x": pl.Float64}, null_values=["NA"])
    assert good.equals(read)
    dropped = set(range(len(texts))) - set(good["i"].to_list())
    assert {texts[i] for i in dropped} <= {"x", "-"}


def test_a_big_table_is_taken_apart_in_order() -> None:
    table = pl.DataFrame({"x": np.arange(200_000) % 7})

    found = sift(table, Contract(name="c", fields=(Field("x", "integer", maximum=5),)))

    assert found.bad["broken_row"].to_list() == list(range(7, 200_001, 7))


@pytest.mark.parametrize("keys", [("seven", ""), ("", "seven")])
def test_text_that_is_no_key_is_not_taken_for_a_missing_one(
    tmp_path: Path, keys: tuple[str, str]
) -> None:
    file(tmp_path, "a.csv", CSV + "".join(f"{k},AA,5,true,2013-01-02\n" for k in keys))

    found = rules(from_files(tmp_path, "a.csv"))

    broken = {"seven": ["flight is integer"], "": ["flight is never null"]}
    assert found == [(4, broken[keys[0]]), (5, broken[keys[1]])]
