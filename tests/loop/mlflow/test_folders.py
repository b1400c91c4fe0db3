"""MLmodel folders answer by their own library, without MLflow; what needs MLflow is refused."""

import json
import subprocess
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from cd4ml.errors import InvalidInput, Refused
from cd4ml.loop import Project
from cd4ml.loop.candidate import runtime_of
from cd4ml.loop.graduate import package_version
from cd4ml.loop.mlflow.exported import export_version
from cd4ml.loop.mlflow.folders import import_folder
from cd4ml.loop.trust import trust
from cd4ml.records.model_version import ModelVersion
from tests.loop.test_runtimes import LIGHTGBM, OWN, OWN_FILES, holdout_of, made
from tests.loop.world import ANN
from tests.mlflow_clients import NEW, python_with
from tests.models.builders import NUMBERS, flights
from tests.models.test_graph import linear

COLUMNS = [("hour", "long"), ("temp", "double"), ("wind", "double")]


def folder_of(place: Path, flavors: dict[str, Any], **files: bytes) -> Path:
    """A folder as `mlflow.FLAVOR.save_model(..., input_example=...)` writes one."""
    place.mkdir()
    for name, content in files.items():
        (place / name.replace("_", ".")).write_bytes(content)
    example = {"columns": NUMBERS, "data": flights().select(NUMBERS).head(50).rows()}
    (place / "input_example.json").write_text(json.dumps(example))
    inputs = [{"type": kind, "name": name, "required": name != "temp"} for name, kind in COLUMNS]
    told = {
        "flavors": flavors,
        "signature": {"inputs": json.dumps(inputs)},
        "saved_input_example_info": {"artifact_path": "input_example.json"},
    }
    (place / "MLmodel").write_text(json.dumps(told))
    return place


def brought(project: Project, folder: Path, *, is_trusted: bool = False) -> ModelVersion:
    version = import_folder(project, folder, "other", actor=ANN)
    if is_trusted:
        with pytest.raises(Refused, match="was not made by a run of this project"):
            package_version(project, version.ref, actor=ANN)
        trust(project, version.ref, why="I fitted it myself", actor=ANN)
    return package_version(project, version.ref, actor=ANN)


def answered(project: Project, version: ModelVersion) -> list[float]:
    return runtime_of(project, version).score(flights().select(NUMBERS).head(80).to_dicts())


def matrix() -> tuple[Any, Any]:
    return flights().select(NUMBERS), flights()["late"].to_numpy()


def test_a_lightgbm_folder_answers_by_lightgbm(project: Project, tmp_path: Path) -> None:
    X, late = matrix()
    known = lightgbm.Dataset(X.to_numpy(), late, feature_name=NUMBERS)
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, known, 9)
    flavor = {"data": "model.lgb", "model_class": "lightgbm.basic.Booster"}
    text = booster.model_to_string().encode()

    folder = folder_of(tmp_path / "f", {"lightgbm": flavor}, model_lgb=text)
    version = brought(project, folder, is_trusted=True)

    expected = booster.predict(X.head(80).to_numpy())
    np.testing.assert_allclose(answered(project, version), expected, atol=1e-6)


def test_an_xgboost_folder_stops_where_its_classifier_did(project: Project, tmp_path: Path) -> None:
    X, late = matrix()
    model = xgboost.XGBClassifier(
        n_estimators=60, early_stopping_rounds=2, learning_rate=0.9, n_jobs=1
    )
    model.fit(X[:200], late[:200], eval_set=[(X[200:], late[200:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    model.save_model(tmp_path / "model.ubj")
    flavor = {
        "data": "model.ubj",
        "model_class": "xgboost.sklearn.XGBClassifier",
        "model_format": "ubj",
    }
    data = (tmp_path / "model.ubj").read_bytes()

    folder = folder_of(tmp_path / "f", {"xgboost": flavor}, model_ubj=data)
    version = brought(project, folder, is_trusted=True)

    expected = model.predict_proba(X.head(80))[:, 1]
    np.testing.assert_allclose(answered(project, version), expected, atol=1e-6)


def test_an_onnx_folder_answers_without_anybodys_word(project: Project, tmp_path: Path) -> None:
    graph = linear()
    flavors = {"onnx": {"data": "model.onnx", "onnx_version": "1.23.2"}, "python_function": {}}
    data = graph.SerializeToString()

    version = brought(project, folder_of(tmp_path / "f", flavors, model_onnx=data))

    runtime = runtime_of(project, version)
    assert runtime.kind == "onnx"
    assert runtime.contract.names == tuple(NUMBERS)
    x = flights().select(NUMBERS).head(80).fill_null(40).to_numpy()
    shares = 1 / (1 + np.exp(4 - x @ np.array([0.2, -0.01, 0.05])))
    np.testing.assert_allclose(answered(project, version), shares, atol=1e-6)


@pytest.mark.parametrize(
    "flavors",
    [
        {"python_function": {"loader_module": "mlflow.pyfunc.model", "python_model": "x.pkl"}},
        {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "skops"}},
        {
            "lightgbm": {
                "data": "model.skops",
                "model_class": "lightgbm.sklearn.LGBMClassifier",
                "serialization_format": "skops",
            }
        },
    ],
    ids=["a PythonModel", "skops", "skops of LightGBM"],
)
def test_what_only_mlflow_loads_is_kept_and_not_served(
    project: Project, flavors: dict[str, Any], tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "f", flavors, x_pkl=b"?", model_pkl=b"?", model_skops=b"?")

    with pytest.raises(Refused) as refused:
        brought(project, folder)

    assert str(refused.value) == (
        "other/1 has no file that is known to hold a fitted estimator\n"
        "  hint: of MLmodel folders the flavours lightgbm, xgboost, onnx and sklearn (pickled) are; "
        "what else MLflow loads needs mlflow itself"
    )


ASKED = """
import json, sys
import mlflow, pandas
rows = pandas.DataFrame(json.loads(sys.argv[2]))
print(json.dumps(mlflow.pyfunc.load_model(sys.argv[1]).predict(rows).tolist()))
"""


@pytest.mark.slow
def test_mlflow_loads_a_class_of_the_project_from_its_folder(
    project: Project, tmp_path: Path
) -> None:
    version, evaluated = made(project, OWN, **OWN_FILES)

    files = export_version(project, version.ref, tmp_path / "out")

    assert {"code/shop/rules.py", "code/shop/scales.py", "code/shop/__init__.py"} <= set(files)
    rows = json.dumps(holdout_of(project, version)[:10])
    words = [python_with(NEW), "-c", ASKED, str(tmp_path / "out"), rows]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == pytest.approx(evaluated[:10])


def test_a_booster_is_not_written_as_an_mlmodel_folder(project: Project, tmp_path: Path) -> None:
    version, _ = made(project, LIGHTGBM)

    with pytest.raises(InvalidInput) as refused:
        export_version(project, version.ref, tmp_path / "out")

    assert str(refused.value) == (
        "delay/1 is kept as estimator.lightgbm.txt, and MLflow is given pickles only\n"
        "  hint: cd4ml package delay/1 --wheel takes it away"
    )
    assert not (tmp_path / "out").exists()
