"""What nothing stands in is no row."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data import blank_lines
from cd4ml.data.blank_lines import has_blank_lines
from cd4ml.data.formats import reading_of, reread, scan, scan_text
from cd4ml.data.manifest import Manifest
from cd4ml.data.written import check_files
from cd4ml.records.contract import Contract, Field
from cd4ml.store.address import canonical

CONTRACT = Contract(name="c", fields=(Field("a", "integer"), Field("b", "string")))


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n\n3,y\n\n\n",
        "a,b\r\n1,x\r\n\r\n3,y\r\n",
        "a,b\n\n1,x\n3,y",
        "\na,b\n1,x\n3,y\n\n",
    ],
)
def test_blank_lines_are_no_rows(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "a.csv", text)
    reading = reading_of([path])

    assert scan([path], reading).collect().rows() == [(1, "x"), (3, "y")]
    assert scan_text([path], reading).collect().rows() == [("1", "x"), ("3", "y")]
    assert scan([path], reading).select(pl.len()).collect().item() == 2
    assert scan([path], reread(reading, CONTRACT)).collect().rows() == [(1, "x"), (3, "y")]
    findings = check_files([path], reading_of([path], CONTRACT), CONTRACT)
    assert {(finding.outcome, finding.n_rows) for finding in findings} == {("pass", 2)}


def test_rows_are_counted_without_them(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "a,b\n1,x\n\nseven,y\n")

    findings = check_files([path], reading_of([path], CONTRACT), CONTRACT)

    assert [f.reason for f in findings if f.outcome != "pass"] == [
        "1 of 2 rows, first in row 2: 'seven'"
    ]


def test_in_a_single_column_they_are_missing_values(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "a\n1\n\n3\n")

    assert scan([path], reading_of([path])).collect()["a"].to_list() == [1, None, 3]


def test_one_file_of_many_may_have_them(tmp_path: Path) -> None:
    paths = [
        written(tmp_path / "1.csv", "a,b\n1,x\n"),
        written(tmp_path / "2.csv", "a,b\n3,y\n\n"),
    ]

    assert scan(paths, reading_of(paths)).collect().rows() == [(1, "x"), (3, "y")]


def test_in_files_without_them_a_row_of_missing_values_is_a_row(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'a,b\n1,"x\n\n\ny"\n,\nNA,NA\n')
    reading = reading_of([path])

    assert scan([path], reading).collect().rows() == [(1, "x\n\n\ny"), (None, None), (None, None)]
    assert b"skips_empty" not in canonical(Manifest(files=(), reading=reading))


@given(
    rows=st.lists(st.sampled_from(["1,x", ",", '2,"y\n\nz"', '3,"""\n"', ""]), max_size=9),
    chunk=st.integers(1, 9),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_they_are_found_wherever_the_bytes_are_cut(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], chunk: int, line_end: str
) -> None:
    text = "".join(f"{row}\n" for row in ["a,b", *rows]).replace("\n", line_end)
    path = written(tmp_path_factory.mktemp("cut") / "a.csv", text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blank_lines, "_CHUNK", chunk)
        found = has_blank_lines(path)

    assert found == ("" in rows)
