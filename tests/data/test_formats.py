from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from cd4ml.data.formats import reading_of, scan, utc
from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract, Field
from tests.data.tables import FLIGHTS, file, flights


def table(*paths: Path, contract: Contract | None = None) -> pl.DataFrame:
    return scan(paths, reading_of(paths, contract)).collect()


def test_a_csv_is_read_as_its_contract_declares(tmp_path: Path) -> None:
    found = table(file(tmp_path, "flights.csv"), contract=FLIGHTS)

    assert found.equals(flights())


def test_a_csv_without_a_contract_is_read_as_it_looks(tmp_path: Path) -> None:
    found = table(file(tmp_path, "flights.csv"))

    assert dict(found.schema) == {
        "flight": pl.Int64,
        "carrier": pl.String,
        "hour": pl.Float64,
        "is_late": pl.Boolean,
        "left_at": pl.String,
    }


def test_the_last_row_counts_for_the_type_too(tmp_path: Path) -> None:
    text = "n\n" + "1\n" * 5000 + "x\n"

    assert table(file(tmp_path, "n.csv", text)).schema["n"] == pl.String


def test_na_and_empty_fields_are_missing_unless_the_contract_knows_them(tmp_path: Path) -> None:
    path = file(tmp_path, "k.csv", "country,city\nNA,NA\nDE,\n")
    contract = Contract(
        name="c",
        fields=(
            Field("country", "string", categories=("DE", "NA")),
            Field("city", "string", nullable=True),
        ),
    )

    assert table(path).rows() == [(None, None), ("DE", None)]
    assert table(path, contract=contract).rows() == [("NA", None), ("DE", None)]


def test_files_of_one_version_are_one_table_in_order_of_name(tmp_path: Path) -> None:
    one = file(tmp_path, "1.csv", "a,b\n1,x\n")
    two = file(tmp_path, "2.csv", "a,b\n2.5,y\n")

    assert table(one, two).rows() == [(1.0, "x"), (2.5, "y")]


def test_parquet_keeps_its_own_types(tmp_path: Path) -> None:
    flights().write_parquet(tmp_path / "a.parquet")

    assert table(tmp_path / "a.parquet").equals(flights())


def test_json_lines_are_read_with_times(tmp_path: Path) -> None:
    text = (
        '{"flight":1,"carrier":"AA","hour":5,"is_late":true,"left_at":"2013-01-01T05:00:00Z"}\n'
        '{"flight":2,"carrier":"UA","is_late":false,"left_at":"2013-01-01T06:30:00Z"}\n'
    )

    found = table(file(tmp_path, "a.ndjson", text), contract=FLIGHTS)

    assert found.equals(flights()[:2])


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-01-02", datetime(2013, 1, 2, tzinfo=UTC)),
        ("2013-01-02 03:04:05", datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2013-01-02T03:04", datetime(2013, 1, 2, 3, 4, tzinfo=UTC)),
        ("2013-01-02T03:04:05.25Z", datetime(2013, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)),
        ("2013-01-02T03:04:05+02:00", datetime(2013, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2013-01-02T03:04:05-0530", datetime(2013, 1, 2, 8, 34, 5, tzinfo=UTC)),
        ("02.01.2013", None),
        ("2013-13-01", None),
        ("", None),
    ],
)
def test_written_times_are_utc(text: str, moment: datetime | None) -> None:
    assert pl.select(utc(pl.lit(text))).item() == moment


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": "x"}, "expected a file whose name ends in .csv, .parquet, .ndjson, .jsonl,"
         " got a.txt"),
        ({"a.csv": "a\n1\n", "b.ndjson": '{"a":1}\n'},
         "the files of one dataset have one format, got a.csv and b.ndjson"),
        ({"a.csv": ""}, "a.csv cannot be read as csv: empty CSV"),
        ({"a.csv": "a;b\n1;2\n"}, "a.csv: expected columns separated by ',', got ';' in the first"
         " line"),
        ({"a.csv": "a,b,a\n1,2,3\n"}, "a.csv: the column 'a' stands twice in the first line"),
        ({"a.csv": ",a\n1,2\n"}, "a.csv: column 1 has no name"),
        ({"a.csv": "a\n1\n", "b.csv": "b\n1\n"},
         "b.csv has other columns than a.csv: it lacks 'a', has 'b' besides"),
        ({"a.csv": "a,b\n1,2\n", "b.csv": "b,a\n1,2\n"},
         "b.csv has other columns than a.csv: it has them in another order"),
        ({"a.parquet": "no parquet"}, "a.parquet cannot be read as parquet: parquet: File out of"
         " specification: "),
        ({"a.ndjson": "{\n"}, "a.ndjson: expected a JSON object in line 1: Input data was truncated"),
        ({"a.ndjson": '{"a":{"b":1}}\n'}, "a.ndjson: column 'a' holds lists or objects"),
    ],
)  # fmt: skip
def test_files_that_are_no_table_are_refused(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    paths = [file(tmp_path, name, text) for name, text in files.items()]

    with pytest.raises(InvalidInput) as caught:
        reading_of(paths)

    assert caught.value.message.replace(f"{tmp_path}/", "").startswith(message)
    assert caught.value.hint


def test_parquet_files_of_different_types_are_no_table(tmp_path: Path) -> None:
    flights().write_parquet(tmp_path / "a.parquet")
    flights(hour=["x", "y", "z"]).write_parquet(tmp_path / "b.parquet")

    with pytest.raises(InvalidInput) as caught:
        reading_of([tmp_path / "a.parquet", tmp_path / "b.parquet"])

    assert caught.value.message.replace(f"{tmp_path}/", "") == (
        "b.parquet has other columns than a.parquet: it has 'hour' as String instead of Float64"
    )


def test_names_with_brackets_and_partitions_are_only_names(tmp_path: Path) -> None:
    folder = tmp_path / "year=2013" / "[a]*"
    flights_csv = file(folder, "f?.csv")
    json_lines = file(folder, "g[1].ndjson", '{"a":1}\n')
    flights().write_parquet(folder / "h[1].parquet")

    assert table(flights_csv).width == 5
    assert table(json_lines).rows() == [(1,)]
    assert table(folder / "h[1].parquet").equals(flights())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.csv", "a.ndjson"])
def test_text_of_another_encoding_is_refused(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / name
    path.write_bytes('{"a": 1}\n{"a": 2}\n'.encode(encoding))

    with pytest.raises(InvalidInput) as refused:
        reading_of([path])

    assert str(refused.value) == (
        f"{path}: expected UTF-8 text, got UTF-16 or bytes that are no text\n"
        "  hint: save it as UTF-8"
    )


@pytest.mark.parametrize("text", [b"a,b\r1,2\r3,4\r", b"a\r1", b"a,b\r" + b"1,2\r" * 500_000])
def test_lines_that_end_in_carriage_returns_alone_are_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text)

    with pytest.raises(InvalidInput) as refused:
        reading_of([path])

    assert str(refused.value) == (
        f"{path}: its lines end in carriage returns alone, as on a Mac before 2001\n"
        "  hint: save it with the line ends of Unix or Windows"
    )


def test_lines_of_windows_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\r\n1,2\r\n3,4\r\n")

    assert scan([path], reading_of([path])).collect().rows() == [(1, 2), (3, 4)]
