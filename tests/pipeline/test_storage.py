"""Outputs: stored by what they are, read back the same, refused when they cannot be."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from cd4ml.errors import Corrupted, PipelineError
from cd4ml.pipeline.storage import load, store

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs


@pytest.fixture
def files(files_url: str) -> "Blobs":
    from cd4ml.store.blobs import open_blobs

    return open_blobs(files_url)


class Mean:
    """The smallest estimator."""

    def predict(self, rows: Any) -> Any:
        return rows


def kept(blobs: "Blobs", value: Any, hint: str = "", wanted: str = "") -> Any:
    return load(blobs, store(blobs, value, hint=hint, step="a"), hint=wanted)


def refused(blobs: "Blobs", value: Any, hint: str = "") -> str:
    with pytest.raises(PipelineError) as caught:
        store(blobs, value, hint=hint, step="a")
    return caught.value.message


TABLE = pl.DataFrame(
    {"n": [1, None], "x": [0.5, float("nan")], "s": ["a", None], "b": [True, None]}
).with_columns(t=pl.datetime(2013, 1, 1, time_zone="UTC"), c=pl.lit("k", dtype=pl.Categorical))


def test_a_table_comes_back_as_it_is_wanted(blobs: "Blobs") -> None:
    output = store(blobs, TABLE, hint="DataFrame", step="a")

    lazy = load(blobs, output, hint="LazyFrame")

    assert output.kind == "table"
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect().equals(TABLE)
    assert load(blobs, output, hint="DataFrame").equals(TABLE)
    assert load(blobs, output, hint="").schema == TABLE.schema


def test_the_same_rows_have_the_same_address(files: "Blobs") -> None:
    table = pl.DataFrame({"x": np.random.default_rng(0).normal(size=300_000)})

    addresses = {store(files, each, hint="", step="a").address for each in (
        table, table.clone(), table.lazy(), pl.concat([table[:9], table[9:]], rechunk=False),
    )}  # fmt: skip

    assert len(addresses) == 1


def test_a_folder_that_looks_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    from cd4ml.store.blobs import open_blobs

    blobs = open_blobs(str(tmp_path / "year=2013" / "a[1]*"))

    assert kept(blobs, TABLE).columns == TABLE.columns


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.array(["a", "bc"])])
def test_an_array_comes_back(files: "Blobs", array: Any) -> None:
    assert np.array_equal(kept(files, array, "ndarray"), array)


def test_an_estimator_comes_back(files: "Blobs") -> None:
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])

    assert kept(files, model, "Model").predict([[2.0]]) == pytest.approx([5.0])
    assert store(files, model, hint="", step="a").kind == "model"
    assert isinstance(kept(files, Mean(), "Model"), Mean)


def test_metrics_come_back_as_floats(files: "Blobs") -> None:
    output = store(
        files, {"b": np.float32(0.5), "a": 1, "c": np.array(2)}, hint="Metrics", step="a"
    )

    assert output.kind == "metrics"
    assert load(files, output, hint="Metrics") == {"a": 1.0, "b": 0.5, "c": 2.0}


@pytest.mark.parametrize(
    "value", [None, True, 3, 1.5, "text", [1, [2]], {"b": {"a": None}, "a": []}, ""]
)
def test_plain_data_comes_back(files: "Blobs", value: Any) -> None:
    assert kept(files, value) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        ((np.int64(3), np.bool_(True), np.str_("ü")), [3, True, "ü"]),
        ({"low": np.float16(0.25), "in": [np.array(2.0)]}, {"low": 0.25, "in": [2.0]}),
    ],
)
def test_scalars_of_numpy_come_back_as_plain_numbers(
    files: "Blobs", value: Any, expected: Any
) -> None:
    found = kept(files, value)

    assert found == expected
    assert type(found) is type(expected)


def test_plain_data_keeps_the_order_of_its_keys(files: "Blobs") -> None:
    assert list(kept(files, {"b": 1, "a": 2})) == ["b", "a"]


def test_a_file_comes_back_as_a_path_to_its_bytes(blobs: "Blobs", tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(b"<p>")

    assert kept(blobs, path, "Path").read_bytes() == b"<p>"


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        ({"auc": float("nan")}, "Metrics",
         "step 'a': metric 'auc' is nan, not a finite number"),
        ({"auc": float("inf")}, "Metrics",
         "step 'a': metric 'auc' is inf, not a finite number"),
        ({"auc": None}, "Metrics", "step 'a': metric 'auc' is NoneType"),
        ({"auc": True}, "Metrics", "step 'a': metric 'auc' is a bool"),
        ({"auc": "0.6"}, "Metrics", "step 'a': metric 'auc' is a str"),
        ([0.6], "Metrics", "step 'a' returned a list, its hint says Metrics"),
        (None, "Model", "step 'a' returned NoneType, its hint says Model"),
        ({"x": 1}, "Model", "step 'a' returned a dict, its hint says Model"),
        (None, "DataFrame", "step 'a' returned NoneType, its hint says DataFrame"),
        ([1], "ndarray", "step 'a' returned a list, its hint says ndarray"),
        (object(), "", "step 'a' returned an object, which cannot be stored"),
        ({1, 2}, "", "step 'a' returned a set, which cannot be stored"),
        ({1: "a"}, "", "the output of step 'a' cannot be stored:"
         " the key 1 at $ is not a string"),
        ({"a": [float("nan")]}, "", "the output of step 'a' cannot be stored:"
         " nan at $.a[0] is no JSON"),
        ({"a": np.longdouble(1)}, "", "the output of step 'a' cannot be stored:"
         " a longdouble at $.a is no JSON"),
        ({"a": np.float32("nan")}, "", "the output of step 'a' cannot be stored:"
         " nan at $.a is no JSON"),
        ([np.datetime64("2026-01-01")], "", "the output of step 'a' cannot be stored:"
         " a datetime64 at $[0] is no JSON"),
        ({"auc": np.bool_(True)}, "Metrics", "step 'a': metric 'auc' is a bool"),
        ([pl.Series([1])], "", "the output of step 'a' cannot be stored:"
         " a Series at $[0] is no JSON"),
        (np.array([object()]), "", "the output of step 'a' cannot be stored:"
         " Object arrays cannot be saved when allow_pickle=False"),
        (Path("/nowhere/x"), "Path",
         "step 'a' returned the path /nowhere/x, where there is no file"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_refused(
    files: "Blobs", value: Any, hint: str, message: str
) -> None:
    assert refused(files, value, hint) == message


def test_an_estimator_with_a_lambda_is_refused(files: "Blobs") -> None:
    model = Mean()
    model.f = lambda: None  # type: ignore[attr-defined]

    message = refused(files, model, "Model")

    assert message.startswith("the output of step 'a' cannot be stored: the Mean cannot be stored")


def test_a_table_of_objects_is_refused(files: "Blobs") -> None:
    message = refused(files, pl.DataFrame({"a": pl.Series([object()], dtype=pl.Object)}))

    assert message.startswith("the output of step 'a' cannot be stored: ")


def test_a_changed_output_is_not_given(files: "Blobs") -> None:
    output = store(files, TABLE, hint="", step="a")
    path = files.path(output.address)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    with pytest.raises(Corrupted):
        load(files, output, hint="")
