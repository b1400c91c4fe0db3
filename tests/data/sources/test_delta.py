"""Versions of real Delta tables."""

import json
import struct
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from cd4ml.data.sources import parts
from cd4ml.data.sources.arrival import Arrival, Wanted
from cd4ml.data.sources.delta import read
from cd4ml.errors import Corrupted, InvalidInput, NotFound, Unavailable
from cd4ml.records.settings import DataSettings
from cd4ml.store.address import address_of_file


def rides(*numbers: int, **more: Any) -> Any:
    return pl.DataFrame(
        {"ride": list(numbers), "city": ["Ulm" if n % 2 else "Bonn" for n in numbers], **more}
    ).to_arrow()


def get(tmp_path: Path, *, state: dict[str, str] | None = None, **changes: Any) -> Arrival | None:
    into = tmp_path / "into"
    into.mkdir(exist_ok=True)
    for path in into.iterdir():
        path.unlink()
    settings = DataSettings(**{"source": "delta", "path": "table", **changes})
    return read(Wanted(settings, tmp_path, into, None, state or {}))


def table(tmp_path: Path) -> pl.DataFrame:
    return pl.read_parquet(tmp_path / "into" / parts.PATTERN)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A table that was written, appended to, and from which a row was deleted."""
    place = str(tmp_path / "table")
    write_deltalake(place, rides(1, 2, 3), partition_by=["city"])
    write_deltalake(place, rides(4, 5), mode="append")
    DeltaTable(place).delete("ride = 2")
    return place


def test_the_newest_version_is_read_with_its_partition_column(place: str, tmp_path: Path) -> None:
    arrival = get(tmp_path)

    assert arrival is not None
    assert arrival.words == "delta table@2"
    assert arrival.note == "version 2 of the Delta table"
    assert arrival.state["version"] == "2"
    rows = table(tmp_path)
    assert rows.schema == {"ride": pl.Int64, "city": pl.String}
    assert sorted(rows.rows()) == [(1, "Ulm"), (3, "Ulm"), (4, "Bonn"), (5, "Ulm")]


def test_an_earlier_version_is_what_it_was(place: str, tmp_path: Path) -> None:
    arrival = get(tmp_path, version=0)

    assert arrival is not None
    assert arrival.words == "delta table@0"
    assert sorted(table(tmp_path)["ride"]) == [1, 2, 3]


def test_a_table_in_s3_is_read_as_one_in_a_folder(tmp_path: Path, s3_url: str) -> None:
    place = f"{s3_url}/table"
    write_deltalake(place, rides(1, 2), partition_by=["city"])
    write_deltalake(place, rides(3), mode="append")

    arrival = get(tmp_path, path=place)

    assert arrival is not None
    assert arrival.words == f"delta {place}@1"
    assert sorted(table(tmp_path)["ride"]) == [1, 2, 3]
    with pytest.raises(NotFound, match=r"there is no Delta table at s3://"):
        get(tmp_path, path=f"{s3_url}/nothing")


def test_the_same_version_is_the_same_bytes(place: str, tmp_path: Path) -> None:
    def digests() -> list[str]:
        get(tmp_path)
        return [address_of_file(path) for path in sorted((tmp_path / "into").iterdir())]

    assert digests() == digests()


def test_a_version_that_was_read_is_not_read_again(place: str, tmp_path: Path) -> None:
    arrival = get(tmp_path)
    assert arrival is not None

    assert get(tmp_path, state=arrival.state) is None
    write_deltalake(place, rides(6), mode="append")
    assert get(tmp_path, state=arrival.state) is not None


def test_another_table_at_the_same_place_is_read(place: str, tmp_path: Path) -> None:
    first = get(tmp_path, version=0)
    assert first is not None
    (tmp_path / "table").rename(tmp_path / "old")
    write_deltalake(place, rides(7))

    assert get(tmp_path, version=0, state=first.state) is not None
    assert table(tmp_path)["ride"].to_list() == [7]


def test_a_column_that_came_later_is_null_before(place: str, tmp_path: Path) -> None:
    more = rides(8, km=[1.5])
    write_deltalake(place, more, mode="append", schema_mode="merge")

    get(tmp_path)

    assert table(tmp_path).sort("ride")["km"].to_list() == [None] * 4 + [1.5]


def delete_by_vector(place: Path, *positions: int) -> None:
    """Delete rows of the newest file as Spark does: by a list of their positions.

    deltalake writes none, so it is written here as the Delta protocol has it: a
    RoaringBitmapArray with one array container, inline as Z85.
    """
    log = sorted((place / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for line in log[-1].read_text().splitlines()]
    add = next(action["add"] for action in actions if "add" in action)
    values = b"".join(struct.pack("<H", position) for position in positions)
    bitmap = struct.pack("<IIHHI", 12346, 1, 0, len(positions) - 1, 16) + values
    data = struct.pack("<iqI", 1681511377, 1, 0) + bitmap
    vector = {
        "storageType": "i",
        "pathOrInlineDv": z85(data),
        "sizeInBytes": len(data),
        "cardinality": len(positions),
    }
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    lines = [
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}},
        {"remove": {"path": add["path"], "dataChange": True, "deletionTimestamp": 1}},
        {"add": {**add, "deletionVector": vector}},
    ]
    (place / "_delta_log" / f"{len(log):020}.json").write_text("\n".join(map(json.dumps, lines)))


def z85(data: bytes) -> str:
    alphabet = (
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    )
    padded = data + bytes(-len(data) % 4)
    words = [int.from_bytes(padded[i : i + 4], "big") for i in range(0, len(padded), 4)]
    return "".join(alphabet[word // 85**i % 85] for word in words for i in (4, 3, 2, 1, 0))


def test_rows_that_a_deletion_vector_names_are_left_out(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "table"), rides(1, 2, 3, 4))
    delete_by_vector(tmp_path / "table", 1, 3)

    get(tmp_path)

    assert table(tmp_path)["ride"].to_list() == [1, 3]


def test_a_reader_that_does_not_know_deletion_vectors_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_deltalake(str(tmp_path / "table"), rides(1, 2, 3, 4))
    scan = pl.scan_parquet(next((tmp_path / "table").glob("*.parquet")))
    delete_by_vector(tmp_path / "table", 1, 3)
    monkeypatch.setattr(pl, "scan_delta", lambda _: scan)  # an older polars reads them all

    with pytest.raises(Corrupted) as refused:
        get(tmp_path)

    assert refused.value.message == "delta table: 4 rows were read, and the table has 2"


def test_a_file_that_is_gone_is_explained(place: str, tmp_path: Path) -> None:
    next(Path(place).rglob("*.parquet")).unlink()
    for path in Path(place).rglob("*.parquet"):
        path.unlink()

    with pytest.raises((Unavailable, InvalidInput), match=r"^delta table cannot be read: "):
        get(tmp_path)


def test_no_table_no_version_and_no_rows_are_told_apart(place: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"^delta table: it has no version 99 that can be read"):
        get(tmp_path, version=99)
    DeltaTable(place).delete()
    with pytest.raises(NotFound, match=r"^delta table has no rows"):
        get(tmp_path)
    (tmp_path / "table").rename(tmp_path / "elsewhere")
    with pytest.raises(NotFound) as refused:
        get(tmp_path)
    assert str(refused.value) == (
        f"delta table: there is no Delta table at {tmp_path}/table\n"
        "  hint: correct `path`: the folder that holds _delta_log"
    )


def test_a_log_that_is_damaged_is_explained(place: str, tmp_path: Path) -> None:
    for path in (Path(place) / "_delta_log").iterdir():
        path.write_text("not json")

    with pytest.raises(Unavailable, match=r"^delta table cannot be read: "):
        get(tmp_path)
