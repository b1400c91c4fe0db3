"""Whole numbers that a float cannot hold are never made the same."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data import large_numbers
from cd4ml.data.formats import reading_of, scan
from cd4ml.data.large_numbers import is_inexact, with_inexact
from cd4ml.data.suggest import suggest
from cd4ml.records.contract import Contract, Field


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def values(path: Path, contract: Contract | None = None) -> list[object]:
    """The values of the column `a`."""
    return scan([path], reading_of([path], contract)).collect()["a"].to_list()


def in_csv(folder: Path, numbers: Sequence[str]) -> Path:
    return written(folder / "a.csv", "a,b\n" + "".join(f"{number},x\n" for number in numbers))


def in_json(folder: Path, numbers: Sequence[str]) -> Path:
    return written(folder / "a.ndjson", "".join(f'{{"a": {number}}}\n' for number in numbers))


LARGE = [
    ["18446744073709551617", "18446744073709551618"],
    ["123456789012345678901", "123456789012345678902", "7"],
    ["9223372036854775808", "-1"],
    ["9007199254740993", "9007199254740992", "1.5"],
    ["1.5", "-9007199254740993"],
]


@pytest.mark.parametrize("numbers", LARGE)
def test_they_stay_what_is_written(tmp_path: Path, numbers: list[str]) -> None:
    assert values(in_csv(tmp_path, numbers)) == numbers
    assert values(in_json(tmp_path, numbers)) == numbers


@pytest.mark.parametrize("numbers", LARGE)
def test_they_keep_the_contract_that_they_suggest(tmp_path: Path, numbers: list[str]) -> None:
    for path in (in_csv(tmp_path, numbers), in_json(tmp_path, numbers)):
        contract = suggest(scan([path], reading_of([path])), "a").contract

        assert contract.fields[0].type == "string"
        assert values(path, contract) == numbers


def test_ids_that_are_text_may_all_be_small_in_the_next_file(tmp_path: Path) -> None:
    first = in_json(tmp_path, LARGE[0]).rename(tmp_path / "1.ndjson")
    contract = suggest(scan([first], reading_of([first])), "a").contract

    assert values(in_json(tmp_path, ["7", "9007199254740993"]), contract) == [
        "7",
        "9007199254740993",
    ]


def test_numbers_of_more_than_38_digits_are_texts_in_csv(tmp_path: Path) -> None:
    assert values(in_csv(tmp_path, ["9" * 45, "1"])) == ["9" * 45, "1"]
    assert values(in_csv(tmp_path, ["9" * 45, "1.5"])) == ["9" * 45, "1.5"]


@pytest.mark.parametrize(
    "numbers",
    [
        ["9007199254740992", "1.5"],  # a power of 2
        ["-18014398509481984", "1.5"],
        ["100000000000000000000.000000", "1.5"],
        ["0.1234567890123456789", "1.5"],
        ["12345678.90123456789012345678", "1.5"],
        ["1e30", "1.5"],
        ["123456789012345", "1.5"],
    ],
)
def test_what_a_float_holds_stays_a_number(tmp_path: Path, numbers: list[str]) -> None:
    expected = [float(number) for number in numbers]

    assert values(in_csv(tmp_path, numbers)) == expected
    assert values(in_json(tmp_path, numbers)) == expected


def test_missing_values_among_them_hide_nothing(tmp_path: Path) -> None:
    assert values(in_csv(tmp_path, ["NA", "9007199254740993", "", "1.5"])) == [
        None,
        "9007199254740993",
        None,
        "1.5",
    ]


def test_a_whole_number_with_zeros_after_its_point_is_whole(tmp_path: Path) -> None:
    numbers = ["9007199254740993.0", "1.5"]

    assert values(in_csv(tmp_path, numbers)) == numbers


def test_numbers_of_several_files_are_told_apart(tmp_path: Path) -> None:
    for suffix in ("csv", "ndjson"):
        write = in_csv if suffix == "csv" else in_json
        first = write(tmp_path, ["9007199254740993"]).rename(tmp_path / f"1.{suffix}")
        second = write(tmp_path, ["1.5"]).rename(tmp_path / f"2.{suffix}")

        assert dict(reading_of([second, first]).columns)["a"] == "String"


@pytest.mark.parametrize(("type_", "value"), [("number", 2.0**53), ("string", "9007199254740993")])
def test_a_contract_decides(tmp_path: Path, type_: str, value: object) -> None:
    contract = Contract(name="c", fields=(Field("a", type_),), open=True)  # type: ignore[arg-type]

    assert values(in_csv(tmp_path, ["9007199254740993", "1.5"]), contract)[0] == value


@pytest.mark.parametrize(
    ("text", "is_there"),
    [
        ("a\n1234567890123456\n", True),
        ("1234567890123456", True),
        ("a,b\n1,-1234567890123456", True),
        ('a\n"1234567890123456"\n', True),
        ("a\n 1234567890123456\r\n", True),
        ("a\n123456789012345\n", False),
        ("a\n0.1234567890123456\n", False),
        ("a\nx1234567890123456\n", False),
        ("", False),
    ],
)
def test_files_without_such_texts_are_not_parsed_for_it(
    tmp_path: Path, text: str, is_there: bool
) -> None:
    assert large_numbers._is_anywhere(written(tmp_path / "a.csv", text)) == is_there


@given(
    column=st.lists(
        st.integers(-(10**20), 10**20) | st.integers(-9, 9) | st.floats(-99, 99),
        min_size=1,
        max_size=20,
    ),
    chunk=st.integers(1, 40),
)
def test_they_are_found_wherever_the_bytes_are_cut(
    tmp_path_factory: pytest.TempPathFactory, column: list[int | float], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.csv"
    pl.DataFrame({"a": map(str, column), "b": map(str, reversed(column))}).write_csv(path)
    is_met = any(isinstance(number, int) and is_inexact(number) for number in column)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_numbers, "_CHUNK", chunk)
        found = with_inexact([path], ["a", "b"])

    assert found == (frozenset("ab") if is_met else frozenset())
