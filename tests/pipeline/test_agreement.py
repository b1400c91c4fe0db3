"""Two outputs agree to the byte, within a tolerance, or not; and what differs is named."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.pipeline.agreement import Agreement, agreement, answers_agree, difference, judged
from cd4ml.pipeline.storage import Kind
from cd4ml.records.reproduction import Part

numbers = st.floats(allow_nan=True, allow_infinity=True)


def of_tables(folder: Path, one: pl.DataFrame, other: pl.DataFrame, **how: Any) -> Agreement:
    one.write_parquet(folder / "one")
    other.write_parquet(folder / "other", **how)
    return agreement("table", folder / "one", folder / "other", tolerance=1e-6)


def of_json(folder: Path, one: Any, other: Any, kind: Kind = "json") -> Agreement:
    (folder / "one").write_text(json.dumps(one))
    (folder / "other").write_text(json.dumps(other))
    return agreement(kind, folder / "one", folder / "other", tolerance=1e-6)


def of_arrays(folder: Path, one: Any, other: Any) -> Agreement:
    for name, array in (("one", one), ("other", other)):
        with (folder / name).open("wb") as file:
            np.save(file, np.asarray(array))
    return agreement("array", folder / "one", folder / "other", tolerance=1e-6)


TABLE = pl.DataFrame({"carrier": ["UA", None, "AA"], "wind": [1.0, None, 300.0], "n": [1, 2, 3]})


def test_the_same_bytes_are_identical(tmp_path: Path) -> None:
    assert of_tables(tmp_path, TABLE, TABLE) == Agreement("identical")


def test_the_same_rows_in_other_bytes_are_within_any_tolerance(tmp_path: Path) -> None:
    found = of_tables(tmp_path, TABLE, TABLE, compression="uncompressed")

    assert found == Agreement("within_tolerance", (), "the same values in other bytes")


def test_each_column_has_its_largest_difference(tmp_path: Path) -> None:
    other = TABLE.with_columns(wind=pl.Series([1.0 + 1e-9, None, 300.03]), n=pl.Series([1, 2, 4]))

    found = of_tables(tmp_path, TABLE, other)

    assert found.outcome == "different"
    n, wind = found.parts
    assert (n.name, n.difference, n.note) == ("n", 0.25, "1 of 3 rows")
    assert (wind.name, wind.note) == ("wind", "2 of 3 rows")
    assert wind.difference == pytest.approx(0.03 / 300.03)


def test_small_differences_are_within_the_tolerance(tmp_path: Path) -> None:
    found = of_tables(tmp_path, TABLE, TABLE.with_columns(pl.col("wind") + 1e-9))

    assert found.outcome == "within_tolerance"
    assert [part.name for part in found.parts] == ["wind"]


@pytest.mark.parametrize(
    "other",
    [
        TABLE.with_columns(carrier=pl.Series(["UA", None, "DL"])),
        TABLE.with_columns(wind=pl.Series([1.0, 2.0, 300.0])),
    ],
)
def test_words_and_missing_values_have_no_tolerance(tmp_path: Path, other: pl.DataFrame) -> None:
    found = of_tables(tmp_path, TABLE, other)

    (part,) = found.parts
    assert found.outcome == "different"
    assert (part.difference, part.note) == (None, "1 of 3 rows differ")


def test_rows_in_another_order_are_called_so(tmp_path: Path) -> None:
    found = of_tables(tmp_path, TABLE, TABLE.reverse())

    assert (found.outcome, found.note) == ("different", "the same rows in another order")


def test_other_rows_and_columns_are_named(tmp_path: Path) -> None:
    fewer = of_tables(tmp_path, TABLE, TABLE.head(1))
    columns = of_tables(tmp_path, TABLE, TABLE.drop("n").with_columns(pl.lit(1).alias("m")))
    order = of_tables(tmp_path, TABLE, TABLE.select("n", "wind", "carrier"))

    assert fewer.note == "1 rows instead of 3"
    assert {(part.name, part.note) for part in columns.parts} == {
        ("n", "no column instead of Int64"),
        ("m", "Int32 instead of none"),
    }
    assert order.parts == (Part(name="n", note="the columns have another order"),)


def test_each_metric_has_its_difference(tmp_path: Path) -> None:
    found = of_json(tmp_path, {"auc": 0.5, "n": 9.0}, {"auc": 0.25, "brier": 1.0}, "metrics")

    assert found.outcome == "different"
    assert {(p.name, p.difference, p.note) for p in found.parts} == {
        ("auc", 0.25, "0.25 instead of 0.5"),
        ("n", None, "nothing instead of 9.0"),
        ("brier", None, "1.0 instead of nothing"),
    }


def test_plain_data_are_compared_value_by_value(tmp_path: Path) -> None:
    one = {"a": [1, {"b": True}], "c": None}
    found = of_json(tmp_path, one, {"a": [1, {"b": 1}], "c": [None]})

    assert [(part.name, part.note) for part in found.parts] == [
        ("a[1].b", "1 instead of true"),
        ("c", "[null] instead of null"),
    ]
    assert of_json(tmp_path, {"a": 1, "b": 2}, {"b": 2, "a": 1}).outcome == "within_tolerance"


def test_arrays_are_compared_by_shape_and_value(tmp_path: Path) -> None:
    near = of_arrays(tmp_path, [1.0, np.nan], [1.0 + 1e-9, np.nan])
    far = of_arrays(tmp_path, [[1, 2]], [[1, 4]])
    words = of_arrays(tmp_path, ["a", "b"], ["a", "c"])
    shape = of_arrays(tmp_path, np.zeros((2, 2)), np.zeros(4))

    assert near.outcome == "within_tolerance"
    assert far.parts == (Part(name="values", difference=0.5),)
    assert words.parts == (Part(name="values", note="1 of 2 differ"),)
    assert shape.note == "float64[4] instead of float64[2, 2]"


def test_files_are_the_same_or_not(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"a")
    (tmp_path / "other").write_bytes(b"bc")

    found = agreement("file", tmp_path / "one", tmp_path / "other", tolerance=1.0)

    assert found == Agreement("different", note="other bytes (1 and 2 bytes)")


class Constant:
    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, rows: pl.DataFrame) -> list[float]:
        return [self.value] * rows.height


def test_models_are_compared_by_their_answers() -> None:
    same = answers_agree(Constant(1.0), Constant(1.0), TABLE, tolerance=0.0)
    other = answers_agree(Constant(2.0), Constant(1.0), TABLE, tolerance=0.1)

    assert same == Agreement("within_tolerance", (), "the same answers to 3 rows, other bytes")
    assert other.parts == (Part(name="answers", difference=0.5, note="answers to 3 rows"),)


@given(numbers, numbers)
def test_the_difference_is_symmetric_and_none_for_the_same(a: float, b: float) -> None:
    assert difference(a, b) == difference(b, a) >= 0
    assert difference(a, a) == 0
    if math.isfinite(a) and math.isfinite(b):
        assert difference(a, b) <= 2


@given(st.lists(st.floats(0, 1), min_size=1), st.floats(0, 1))
def test_the_largest_part_decides(differences: list[float], tolerance: float) -> None:
    found = judged([Part(name="x", difference=d) for d in differences], tolerance)

    assert (found.outcome == "within_tolerance") == (max(differences) <= tolerance)
    assert found.parts[0].difference == max(differences)


def test_what_is_not_a_number_passes_nothing() -> None:
    assert judged([Part(name="x", difference=math.nan)], 1.0).outcome == "different"
