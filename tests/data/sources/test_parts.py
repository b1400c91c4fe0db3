"""Streams of rows as files: however the rows come, the same rows are the same files."""

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cd4ml.data.sources import parts
from cd4ml.data.sources.parts import write_parts
from cd4ml.data.sources.supertype import supertype
from cd4ml.errors import InvalidInput
from cd4ml.store.address import address_of_file


def digests(folder: Path) -> list[str]:
    return [address_of_file(path) for path in sorted(folder.iterdir())]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30
)
@given(
    values=st.lists(st.none() | st.integers(-5, 5) | st.sampled_from([0.5, 1.5]), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_how_rows_come_does_not_show(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    values: list[float | None],
    cuts: list[int],
) -> None:
    monkeypatch.setattr(parts, "MOST_ROWS", 20)
    monkeypatch.setattr(parts, "_WEIGHED", 7)
    whole, cut = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("cut")
    ends = [0, *sorted(cuts), len(values)]
    pieces = [values[a:b] for a, b in pairwise(ends)]
    empty = pl.DataFrame({"x": pl.Series([], dtype=pl.Null)})

    def frame(some: list[float | None]) -> pl.DataFrame:
        return (
            pl.DataFrame({"x": some}, strict=False)
            if any(v is not None for v in some)
            else (pl.DataFrame({"x": pl.Series([None] * len(some), dtype=pl.Null)}))
        )

    n_rows = write_parts(whole, [empty, frame(values)])
    write_parts(cut, [empty, *map(frame, pieces)])

    assert n_rows == len(values)
    read = pl.read_parquet(cut / parts.PATTERN)
    assert read["x"].to_list() == values
    if read.schema["x"] == pl.read_parquet(whole / parts.PATTERN).schema["x"]:
        assert digests(whole) == digests(cut)


def test_heavy_rows_make_smaller_files(tmp_path: Path) -> None:
    photos = pl.DataFrame({"photo": [bytes(1_000_000)] * 200})

    write_parts(tmp_path, photos.iter_slices(10))

    assert len(digests(tmp_path)) == 3  # of 67 rows: 64 MiB


def test_times_are_utc_and_categories_text(tmp_path: Path) -> None:
    frame = pl.DataFrame({"at": ["2013-02-01T08:00"], "kind": ["a"]}).with_columns(
        pl.col("at").str.to_datetime(time_unit="ns"), pl.col("kind").cast(pl.Categorical)
    )
    there = frame["at"].dt.replace_time_zone("Europe/Berlin").alias("there")

    write_parts(tmp_path, [frame.with_columns(there)])

    table = pl.read_parquet(tmp_path / parts.PATTERN)
    assert table.schema == {
        "at": pl.Datetime("us", "UTC"),
        "kind": pl.String,
        "there": pl.Datetime("us", "UTC"),
    }
    assert [str(value) for value in table.row(0)] == [
        "2013-02-01 08:00:00+00:00",
        "a",
        "2013-02-01 07:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (pl.Null(), pl.Date(), pl.Date()),
        (pl.Int8(), pl.Int32(), pl.Int64()),
        (pl.Int64(), pl.Float32(), pl.Float64()),
        (pl.Decimal(38, 2), pl.Float64(), pl.Float64()),
        (pl.Decimal(10, 2), pl.Decimal(12, 4), pl.Decimal(38, 4)),
        (pl.Int64(), pl.Decimal(38, 1), pl.Decimal(38, 1)),
        (pl.Date(), pl.Datetime("us", "UTC"), pl.Datetime("us", "UTC")),
        (pl.List(pl.Int64()), pl.List(pl.Int64()), pl.List(pl.Int64())),
    ],
)
def test_two_types_have_one_that_takes_both(
    one: pl.DataType, other: pl.DataType, both: pl.DataType
) -> None:
    assert supertype([{"x": one}, {"x": other}]) == {"x": both}
    assert supertype([{"x": other}, {"x": one}]) == {"x": both}


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (pl.Int64(), pl.String(), "numbers and text"),
        (pl.Boolean(), pl.Int64(), "booleans and numbers"),
        (pl.Datetime("us", "UTC"), pl.String(), "times and text"),
        (pl.Binary(), pl.Time(), "bytes and times of day"),
        (pl.Date(), pl.Float64(), "dates and numbers"),
    ],
)
def test_two_types_that_nothing_takes_are_a_mistake(
    one: pl.DataType, other: pl.DataType, words: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        supertype([{"x": one}, {"x": other}])

    assert str(refused.value) == (
        f"the column 'x' holds {words}\n  hint: cast it to one type in the query"
    )
