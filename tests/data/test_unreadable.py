"""A file that is no table is refused with its name, its line and what is wrong there."""

from pathlib import Path

import polars as pl
import pytest

from cd4ml.data.formats import reading_of, scan
from cd4ml.data.measuring import TableFiles, rows_of
from cd4ml.data.suggest import suggest
from cd4ml.data.unreadable import unreadable
from cd4ml.data.written import check_files
from cd4ml.errors import InvalidInput

QUOTE = "has a quote that is not closed, or stands inside of a text"


def refusal(path: Path, text: bytes) -> InvalidInput:
    """How a file is refused that Polars cannot read, without the folder it lies in."""
    path.write_bytes(text)
    with pytest.raises(InvalidInput) as refused:
        rows_of(TableFiles([path], [], str(path)))
    return refused.value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a,b,c\n1,x,2\n1,x,2,3\n", "line 3 has 4 columns instead of 3"),
        (b'a,b,c\n1,"x,2\n3,y,4\n', f"line 2 {QUOTE}"),
        (b'a,b,c\n1,"x\n y",2\n3,"y" z,4\n', f"line 4 {QUOTE}"),
        (b'a,b,c\n1,x"y,2\n3,z,4\n', f"line 2 {QUOTE}"),
        (b'a,b\r\n1,"x""y"\r\n2,"x\r\n\r\ny"\r\n3,"', f"line 6 {QUOTE}"),
        (b"a,b\n1,x\n1,\xff\n", "line 3 is no text in UTF-8"),
    ],
)
def test_a_csv_file_is_refused_with_the_line(tmp_path: Path, text: bytes, said: str) -> None:
    error = refusal(tmp_path / "a.csv", text)

    assert error.message == f"{tmp_path}/a.csv: {said}"
    assert error.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            b'{"a":1}\n\n{"a":2,}\n',
            "expected a JSON object in line 3: JSON is malformed: trailing comma in object (byte 7)",
        ),
        (b'{"a":1}\n{"a":1', "expected a JSON object in line 2: Input data was truncated"),
        (
            b'{"a":1}\n{"a":' + b"9" * 40 + b"}\n",
            "line 2 has a whole number of more than 38 digits in 'a'",
        ),
        (b'{"a":"x"}\n{"a":"\xff"}\n', "line 2 is no text in UTF-8"),
    ],
)
def test_json_lines_are_refused_with_the_line(tmp_path: Path, text: bytes, said: str) -> None:
    error = refusal(tmp_path / "a.ndjson", text)

    assert error.message == f"{tmp_path}/a.ndjson: {said}"
    assert error.hint


@pytest.mark.parametrize("text", ["a,b\n1,2\n", 'a,b\r\n"1","x ""y"""\r\n2,'])
def test_a_file_without_such_lines_is_refused_in_the_readers_words(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, newline="")
    error = pl.exceptions.ComputeError("could not parse `secret` as dtype `i64`")

    found = unreadable(path, "csv", error)

    assert found.message == f"{path} cannot be read as csv: could not parse `secret` as dtype `i64`"
    assert found.discreet == f"{path} cannot be read as csv"


def test_of_many_files_the_one_that_is_no_table_is_named(tmp_path: Path) -> None:
    paths = [tmp_path / f"d{i}.csv" for i in range(3)]
    for i, path in enumerate(paths):
        path.write_text(f"a,b\n{i},x\n{i + 5},y\n")
    contract = suggest(scan(paths, reading_of(paths)), "d").contract
    paths[0].write_text("a,b\nseven,x\n")  # breaks the contract, and is a table
    paths[2].write_text("a,b\n1,x\n2,y,3\n")

    with pytest.raises(InvalidInput) as refused:
        check_files(paths, reading_of(paths, contract), contract)

    assert refused.value.message == f"{paths[2]}: line 3 has 3 columns instead of 2"


def test_files_that_are_tables_one_by_one_are_not_blamed(tmp_path: Path) -> None:
    paths = [tmp_path / "1.csv", tmp_path / "2.csv"]
    paths[0].write_text('"say ""hi""",b\n1,2\n')
    paths[1].write_text('say "hi",b\n1,2\n')

    with pytest.raises(InvalidInput) as refused:
        rows_of(TableFiles(paths, [], "*.csv"))

    said = f"{paths[0]} to {paths[1]} can be read as csv one by one, not as one table"
    assert refused.value.message.startswith(f"{said}: ")
    assert refused.value.discreet == said
