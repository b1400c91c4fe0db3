"""What begins with a zero is a name, and keeps its zeros."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data import leading_zeros
from cd4ml.data.formats import reading_of, scan
from cd4ml.data.leading_zeros import with_leading_zeros
from cd4ml.data.suggest import suggest
from cd4ml.records.contract import Contract, Field


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def types(*paths: Path, contract: Contract | None = None) -> dict[str, str]:
    return dict(reading_of(paths, contract).columns)


def test_numbers_with_leading_zeros_are_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id,n,x,zero\n00123,1,0.5,0\n7,20,0.25,0\nNA,NA,NA,NA\n")

    reading = reading_of([path])

    assert dict(reading.columns) == {"id": "String", "n": "Int64", "x": "Float64", "zero": "Int64"}
    assert scan([path], reading).collect()["id"].to_list() == ["00123", "7", None]
    assert suggest(scan([path], reading), "a").contract.fields[0].type == "string"


@pytest.mark.parametrize(
    ("text", "is_number"),
    [
        ("a\n07\n", False),
        ("a\n00\n", False),
        ("a\r\n1\r\n007\r\n", False),
        ("a,b\n1,2\n3,04", True),  # b alone
        ('a\n"007"\n', False),
        ("a\n0\n", True),
        ("a\n10\n100\n", True),
        ("a\n-1\n", True),
        ("a,b\n1,05:00\n", True),
        ("", True),
    ],
)
def test_only_a_zero_before_digits_counts(tmp_path: Path, text: str, is_number: bool) -> None:
    path = written(tmp_path / "a.csv", text)

    assert ("a" not in with_leading_zeros([path], ["a"])) == is_number


def test_files_without_such_texts_are_not_parsed_for_it(tmp_path: Path) -> None:
    days = written(tmp_path / "a.csv", 'a,b,c\n1,05:00,"0.5"\n10,01.02.2013,0\n')
    other = written(tmp_path / "b.csv", "a,b\n1,05:00\n1,007\n")

    assert not leading_zeros._is_anywhere(days)
    assert leading_zeros._is_anywhere(other)


def test_one_file_of_many_is_enough(tmp_path: Path) -> None:
    first = written(tmp_path / "a.csv", "a,b\n1,2\n")
    second = written(tmp_path / "b.csv", "a,b\n01,2\n")

    assert types(first, second) == {"a": "String", "b": "Int64"}
    assert types(first) == {"a": "Int64", "b": "Int64"}


def test_a_contract_decides_what_is_a_number(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "a\n007\n")

    contract = Contract(name="c", fields=(Field("a", "integer"),))

    assert types(path, contract=contract) == {"a": "Int64"}


@given(
    column=st.lists(st.from_regex(r"\A(0|-?[0-9]{1,3}|0\.[0-9])\Z"), min_size=1, max_size=30),
    chunk=st.integers(1, 9),
)
def test_it_is_found_wherever_the_bytes_are_cut(
    tmp_path_factory: pytest.TempPathFactory, column: Sequence[str], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.csv"
    pl.DataFrame({"a": column, "b": column[::-1]}).write_csv(path)
    has_zeros = any(text[0] == "0" and text[1:2].isdigit() for text in column)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leading_zeros, "_CHUNK", chunk)
        found = with_leading_zeros([path], ["a", "b"])

    assert found == (frozenset("ab") if has_zeros else frozenset())
