"""A CSV file's columns have the names that its first line says."""

from pathlib import Path

import pytest

from cd4ml.data.csv_scan import header_of, names_of, scan_csv_texts
from cd4ml.data.formats import reading_of, scan, scan_text
from cd4ml.records.contract import Contract, Field


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("first", "names"),
    [
        ('"say ""hi""",b', ['say "hi"', "b"]),
        ('"""",b', ['"', "b"]),
        ('"a,""b""","c\nd"', ['a,"b"', "c\nd"]),
        ('\n\n"say ""hi""",b', ['say "hi"', "b"]),
        ("a,b", ["a", "b"]),
        ('\ufeff"a""",b', ['a"', "b"]),
    ],
)
def test_a_doubled_quote_in_a_name_is_one(tmp_path: Path, first: str, names: list[str]) -> None:
    path = written(tmp_path / "a.csv", f"{first}\n1,007\n2,NA\n")

    reading = reading_of([path])

    assert names_of(path) == header_of(path) == names
    assert reading.columns == ((names[0], "Int64"), (names[1], "String"))
    found = scan([path], reading).collect()
    assert found.columns == names
    assert found.rows() == [(1, "007"), (2, None)]
    assert scan_text([path], reading).collect().rows() == [("1", "007"), ("2", None)]
    assert scan_csv_texts(path).collect().rows() == [("1", "007"), ("2", "NA")]


def test_files_with_such_names_are_one_table_under_a_contract(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{i}.csv", f'"say ""hi""",b\n{i},x\n') for i in range(2)]
    contract = Contract(name="c", fields=(Field('say "hi"', "number"), Field("b", "string")))

    found = scan(paths, reading_of(paths, contract)).collect()

    assert found.rows() == [(0.0, "x"), (1.0, "x")]
