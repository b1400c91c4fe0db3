"""LightGBM's and XGBoost's own models: kept in their formats, asked by columns, refused where unclear."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost

from cd4ml.errors import ConfigurationError, InvalidInput, Refused
from cd4ml.models import boosters
from cd4ml.models.estimator import dump, is_classifier, load, score_frame
from cd4ml.models.frames import to_rows
from cd4ml.models.manifest import Manifest
from cd4ml.models.native import NativeScorer
from cd4ml.models.package import CannotAnswer
from cd4ml.models.parity import probes
from cd4ml.models.runtime import load as load_runtime
from cd4ml.models.treelite import TreeScorer, compile_trees
from cd4ml.records.contract import Contract
from tests.models.builders import CONTRACT, NUMBERS, flights, packaged

CARRIERS = ["UA", "B6", "AA"]  # in another order than that of the alphabet
FEW = Contract(name="delay", fields=tuple(f for f in CONTRACT.fields if f.name != "dest"))
NAMES = list(FEW.names)
QUIET: dict[str, Any] = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}


def late() -> Any:
    return flights()["late"].to_numpy()


def in_pandas(frame: pl.DataFrame) -> Any:
    kinds = pd.Categorical(frame["carrier"].to_list(), categories=CARRIERS)
    return pd.DataFrame({"carrier": kinds, **{name: frame[name].to_numpy() for name in NUMBERS}})


def in_enums(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(NAMES).with_columns(pl.col("carrier").cast(pl.Enum(CARRIERS)))


def by_lightgbm(objective: str = "binary", *, weighs: str = "late") -> Any:
    known = lightgbm.Dataset(in_pandas(flights()), flights()[weighs].to_numpy())
    return lightgbm.train({"objective": objective, **QUIET}, known, 15)


def by_xgboost(objective: str = "binary:logistic", *, weighs: str = "late") -> Any:
    known = xgboost.DMatrix(in_enums(flights()), flights()[weighs], enable_categorical=True)
    return xgboost.train({"objective": objective, "nthread": 1}, known, 15)


def of_lightgbm(booster: Any, frame: pl.DataFrame) -> Any:
    return booster.predict(in_pandas(frame))


def of_xgboost(booster: Any, frame: pl.DataFrame) -> Any:
    return booster.predict(xgboost.DMatrix(in_enums(frame), enable_categorical=True))


BOTH = pytest.mark.parametrize(
    ("fit", "ask"), [(by_lightgbm, of_lightgbm), (by_xgboost, of_xgboost)], ids=["lgb", "xgb"]
)


@BOTH
def test_it_answers_as_its_library_does(fit: Any, ask: Any) -> None:
    booster = fit()

    answered = score_frame(booster, flights().select(NAMES))

    np.testing.assert_array_equal(answered, ask(booster, flights()))
    assert is_classifier(booster)


@BOTH
def test_it_is_kept_in_its_own_format_and_comes_back_whole(fit: Any, ask: Any) -> None:
    booster = fit()
    data = dump(booster)

    again = load(data)

    assert data.startswith((b"tree\nversion=", b"{L"))
    assert b"lightgbm.basic" not in data
    assert dump(again) == data == dump(fit())
    np.testing.assert_array_equal(ask(again, flights()), ask(booster, flights()))


@BOTH
def test_its_trees_give_the_same_answers_without_the_library(fit: Any, ask: Any) -> None:
    booster = load(dump(fit()))
    rows = to_rows(FEW, flights())
    values = [tuple(row.values()) for row in [*probes(FEW, rows), *rows]]

    trees = TreeScorer(compile_trees(booster, FEW), FEW)

    expected = NativeScorer(booster, FEW).score(values)
    np.testing.assert_allclose(trees.score(values), expected, atol=1e-6)


@BOTH
def test_a_category_that_it_never_saw_is_a_missing_one(fit: Any, ask: Any) -> None:
    booster = fit()
    frame = flights().select(NAMES).head(3)
    unknown, missing = (frame.with_columns(carrier=pl.lit(c)) for c in ("ZZ", None))

    np.testing.assert_array_equal(score_frame(booster, unknown), score_frame(booster, missing))


@BOTH
def test_a_missing_number_is_one_to_it(fit: Any, ask: Any) -> None:
    booster = fit()
    frame = flights().with_columns(temp=pl.lit(None, pl.Float64))

    np.testing.assert_array_equal(score_frame(booster, frame.select(NAMES)), ask(booster, frame))


@BOTH
def test_it_is_packaged_behind_the_parity_gate(fit: Any, ask: Any, tmp_path: Path) -> None:
    model = packaged(tmp_path, fit(), FEW)

    manifest = model.blobs.get_record(model.artifact, Manifest)

    assert manifest.kind == "treelite"
    assert set(manifest.refused) == {"ONNX", "ONNX in double precision"}
    assert manifest.parity.max_difference is not None
    assert manifest.parity.max_difference < 1e-6
    library = boosters.library_of(fit())
    assert any(name.startswith(library) for name in manifest.libraries)


@pytest.mark.parametrize(
    ("booster", "ask"),
    [
        (lambda: by_lightgbm("regression", weighs="hour"), of_lightgbm),
        (lambda: by_lightgbm("poisson", weighs="hour"), of_lightgbm),
        (lambda: by_xgboost("reg:squarederror", weighs="hour"), of_xgboost),
    ],
    ids=["lightgbm", "poisson", "xgboost"],
)
def test_a_value_is_answered_as_it_is(booster: Any, ask: Any, tmp_path: Path) -> None:
    fitted = booster()
    model = packaged(tmp_path, fitted, FEW)

    assert not is_classifier(fitted)
    answered = model.load().score(to_rows(FEW, flights().head(20)))
    np.testing.assert_allclose(answered, ask(fitted, flights().head(20)), rtol=1e-5)


def test_without_treelite_the_library_itself_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "treelite", None)
    booster = by_lightgbm()
    model = packaged(tmp_path, booster, FEW)

    manifest = model.blobs.get_record(model.artifact, Manifest)
    runtime = model.load()

    assert (manifest.kind, runtime.kind) == ("native", "native")
    assert manifest.refused["treelite"] == (
        "it does not compile: ConfigurationError: treelite is not installed"
    )
    assert "estimator.lightgbm.txt" in manifest.files
    answered = runtime.score(to_rows(FEW, flights().head(20)))
    np.testing.assert_array_equal(answered, of_lightgbm(booster, flights().head(20)))


@BOTH
def test_one_made_elsewhere_is_loaded_only_if_somebody_answers_for_it(
    fit: Any, ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds no code, but a few changed bytes end the process that reads it."""
    monkeypatch.setitem(sys.modules, "treelite", None)
    model = packaged(tmp_path, fit(), FEW)

    with pytest.raises(Refused, match=f"the estimator at {model.estimator} was not made by a run"):
        load_runtime(model.blobs, model.artifact, is_trusted=lambda address: False)


def wrapped(kind: str) -> Any:
    if kind == "XGBClassifier":
        model = xgboost.XGBClassifier(n_estimators=10, n_jobs=1, enable_categorical=True)
        return model.fit(in_enums(flights()), late())
    model = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1)
    return model.fit(in_pandas(flights()), late())


@pytest.mark.parametrize(
    ("kind", "told"), [("XGBClassifier", in_enums), ("LGBMClassifier", in_pandas)]
)
def test_a_classifier_fitted_on_categories_takes_them_as_texts(
    kind: str, told: Callable[[pl.DataFrame], Any], tmp_path: Path
) -> None:
    """Its own `predict_proba` wants them typed as they were when it was fitted."""
    estimator = wrapped(kind)

    answered = score_frame(estimator, flights().select(NAMES))

    expected = estimator.predict_proba(told(flights()))[:, 1]
    np.testing.assert_allclose(answered, expected, atol=1e-7)
    model = packaged(tmp_path, estimator, FEW)
    assert model.load().kind == "treelite"


def test_columns_without_names_are_taken_in_order(tmp_path: Path) -> None:
    contract = Contract(name="delay", fields=CONTRACT.fields[2:])
    matrix = flights().select(contract.names).to_numpy()
    booster = lightgbm.train({"objective": "binary", **QUIET}, lightgbm.Dataset(matrix, late()), 5)

    model = packaged(tmp_path, booster, contract)

    answered = model.load().score(to_rows(contract, flights()))
    np.testing.assert_allclose(answered, booster.predict(matrix), atol=1e-6)
    with pytest.raises(CannotAnswer) as refused:
        packaged(tmp_path, booster, FEW)
    assert str(refused.value) == (
        "the lightgbm model was fitted on 3 columns without names, and the rows have 4: carrier, "
        "hour, temp, wind\n"
        "  hint: name them when it is fitted, or declare these alone: [model] contract"
    )


def of_many(library: str) -> Any:
    matrix, classes = flights().select(NUMBERS).to_numpy(), flights()["hour"].to_numpy() % 3
    if library == "lightgbm":
        known = lightgbm.Dataset(matrix, classes)
        return lightgbm.train({"objective": "multiclass", "num_class": 3, **QUIET}, known, 2)
    asked = {"objective": "multi:softprob", "num_class": 3, "nthread": 1}
    return xgboost.train(asked, xgboost.DMatrix(matrix, classes), 2)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_many_classes_are_refused(library: str, tmp_path: Path) -> None:
    with pytest.raises(CannotAnswer) as refused:
        packaged(tmp_path, of_many(library), FEW)

    assert str(refused.value) == (
        "expected a model of two classes, got one of 3\n"
        "  hint: an answer is one number: fit a model for each class"
    )


def test_labels_instead_of_probabilities_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotAnswer) as refused:
        packaged(tmp_path, by_xgboost("binary:hinge"), FEW)

    assert refused.value.message == (
        "the objective 'binary:hinge' answers with labels, not with probabilities"
    )


def test_a_text_that_was_no_category_is_refused(tmp_path: Path) -> None:
    known = lightgbm.Dataset(
        np.column_stack([np.zeros(400), flights().select(NUMBERS).to_numpy()]),
        late(),
        feature_name=NAMES,
    )
    booster = lightgbm.train({"objective": "binary", **QUIET}, known, 2)

    with pytest.raises(CannotAnswer) as refused:
        packaged(tmp_path, booster, FEW)

    assert str(refused.value) == (
        "the lightgbm model takes numbers, and 'carrier' is String\n"
        "  hint: put it behind an encoder: a Pipeline with LGBMClassifier or XGBClassifier"
    )


def test_damaged_bytes_are_refused_and_never_unpickled(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidInput, match="lightgbm cannot read the stored model: Model file"):
        load(b"tree\nc__builtin__\n")
    with pytest.raises(InvalidInput, match="xgboost cannot read the stored model"):
        load(b"{L\0\0\0")


def test_without_its_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dump(by_lightgbm())
    monkeypatch.setitem(sys.modules, "lightgbm", None)

    with pytest.raises(ConfigurationError) as refused:
        load(data)

    assert str(refused.value) == (
        "the model was made by lightgbm, which is not installed\n  hint: pip install lightgbm"
    )
