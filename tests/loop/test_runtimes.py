"""Whatever a step returns as a model is judged, registered and answers as it did in the step."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from cd4ml.errors import PipelineError, Refused
from cd4ml.loop import Project
from cd4ml.loop.candidate import candidate_of, runtime_of, table
from cd4ml.loop.card import card
from cd4ml.loop.explain import explain_rows
from cd4ml.loop.graduate import graduate
from cd4ml.loop.package import write_wheel
from cd4ml.loop.reproduce import reproduce
from cd4ml.loop.train import train
from cd4ml.models.frames import to_rows
from cd4ml.models.manifest import Manifest
from cd4ml.records.model_version import ModelVersion
from cd4ml.web.card import loading_of
from tests.apart import bare
from tests.loop.world import ANN

HEAD = """
import numpy as np
import polars as pl
from cd4ml import Metrics, Model, step

@step
def flights_seen(flights: pl.DataFrame) -> pl.DataFrame:
    return flights.drop("event_at")

@step
def training(flights_seen: pl.DataFrame) -> pl.DataFrame:
    return flights_seen.head(400)

@step
def holdout(flights_seen: pl.DataFrame) -> pl.DataFrame:
    return flights_seen.tail(200)

def numbers(frame):
    return frame.select("distance", "wind").to_numpy()
"""

LIGHTGBM = """
import lightgbm
import pandas

def told(frame):
    kinds = pandas.Categorical(frame["carrier"].to_list(), categories=["UA", "AA"])
    return pandas.DataFrame({"carrier": kinds, **{n: frame[n].to_numpy() for n in ("distance", "wind")}})

@step
def delay(training: pl.DataFrame) -> Model:
    known = lightgbm.Dataset(told(training), training["late"].to_numpy())
    return lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, known, 20)

@step
def evaluation(delay: Model, holdout: pl.DataFrame) -> list:
    return delay.predict(told(holdout)).tolist()
"""

XGBOOST = """
import xgboost

def told(frame):
    kinds = frame.with_columns(pl.col("carrier").cast(pl.Enum(["UA", "AA"])))
    return xgboost.DMatrix(kinds.drop("late"), label=frame["late"], enable_categorical=True)

@step
def delay(training: pl.DataFrame) -> Model:
    return xgboost.train({"objective": "binary:logistic", "nthread": 1}, told(training), 20)

@step
def evaluation(delay: Model, holdout: pl.DataFrame) -> list:
    return delay.predict(told(holdout)).tolist()
"""

WRAPPED = """
import xgboost

def told(frame):
    return frame.drop("late").with_columns(pl.col("carrier").cast(pl.Enum(["UA", "AA"])))

@step
def delay(training: pl.DataFrame) -> Model:
    model = xgboost.XGBClassifier(n_estimators=10, n_jobs=1, enable_categorical=True)
    return model.fit(told(training), training["late"].to_numpy())

@step
def evaluation(delay: Model, holdout: pl.DataFrame) -> list:
    return delay.predict_proba(told(holdout))[:, 1].tolist()
"""

EXPORTED = """
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

@step
def delay(training: pl.DataFrame) -> Model:
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["carrier"]), remainder="passthrough"
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=5000))
    model.fit(training.drop("late"), training["late"].cast(int).to_numpy())
    number, text = FloatTensorType([None, 1]), StringTensorType([None, 1])
    inputs = [("carrier", text), ("distance", number), ("wind", number)]
    return to_onnx(model, initial_types=inputs, options={"zipmap": False})

@step
def evaluation(delay: Model, holdout: pl.DataFrame) -> list:
    return delay.predict(holdout).tolist()
"""

ONE_BY_ONE = EXPORTED.replace("[None, 1]", "[1, 1]")

OWN = """
from shop.rules import Windy

@step
def delay(training: pl.DataFrame) -> Model:
    return Windy(limit=float(training["wind"].median()))

@step
def evaluation(delay: Model, holdout: pl.DataFrame) -> list:
    return delay.predict_proba(holdout)[:, 1].tolist()
"""

RULES = """
import numpy as np
from . import scales

class Windy:
    def __init__(self, limit):
        self.limit = limit

    def predict_proba(self, frame):
        from shop.scales import squash  # in the middle of an answer
        late = squash(frame["wind"].to_numpy() - self.limit) * scales.MOST
        return np.column_stack([1 - late, late])
"""

SCALES = """
import numpy as np

MOST = 0.75

def squash(x):
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
"""


def made(project: Project, text: str, **files: str) -> tuple[ModelVersion, list[float]]:
    """A version whose pipeline this is, and what its own step said of the holdout."""
    for name, content in {"pipeline.py": HEAD + text, **files}.items():
        path = project.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(content))
    run = train(project, actor=ANN).run
    evaluated = json.loads(project.blobs.get(run.outputs["evaluation"]))
    return graduate(project, run.ref, step="delay", actor=ANN), evaluated


def holdout_of(project: Project, version: ModelVersion) -> list[dict[str, Any]]:
    runtime = runtime_of(project, version)
    held = table(project, candidate_of(project, version.run, step="delay").holdout)
    return to_rows(runtime.contract, held)


def manifest_of(project: Project, version: ModelVersion) -> Manifest:
    return project.blobs.get_record(version.artifact, Manifest)


@pytest.mark.parametrize(
    ("text", "kind", "file"),
    [
        (LIGHTGBM, "treelite", "estimator.lightgbm.txt"),
        (XGBOOST, "treelite", "estimator.xgboost.ubj"),
        (WRAPPED, "treelite", "estimator.pickle"),
        (EXPORTED, "onnx", "estimator.onnx"),
    ],
    ids=["lightgbm", "xgboost", "XGBClassifier of categories", "exported in the step"],
)
def test_a_step_returns_what_its_library_made(
    project: Project, text: str, kind: str, file: str
) -> None:
    version, evaluated = made(project, text)

    manifest, runtime = manifest_of(project, version), runtime_of(project, version)
    assert (manifest.kind, manifest.estimator_file) == (kind, file)
    answered = runtime.score(holdout_of(project, version))
    np.testing.assert_allclose(answered, evaluated, atol=1e-6)
    assert 0 < min(evaluated) < max(evaluated) < 1
    (explained,) = explain_rows(project, version.ref, holdout_of(project, version)[:1])
    assert explained.words


OWN_FILES = {"shop/__init__.py": "", "shop/rules.py": RULES, "shop/scales.py": SCALES}


def test_a_class_of_the_project_travels_with_its_model(project: Project) -> None:
    version, evaluated = made(project, OWN, **OWN_FILES)
    rows = holdout_of(project, version)

    # since then the project has gone on, and has another class of this name
    changed = RULES.replace("shop.scales", "shop.gone").replace("scales.MOST", "0.5")
    (project.folder / "shop" / "rules.py").write_text(dedent(changed))
    (project.folder / "shop" / "scales.py").unlink()

    manifest = manifest_of(project, version)
    assert (manifest.kind, set(manifest.refused)) == (
        "native",
        {"ONNX", "ONNX in double precision", "treelite"},
    )
    assert set(json.loads(project.blobs.get(manifest.files["code.json"]))["modules"]) == {
        "shop/__init__.py",
        "shop/rules.py",
        "shop/scales.py",
    }
    assert runtime_of(project, version).score(rows) == evaluated
    assert "shop" not in sys.modules


def test_two_versions_answer_with_their_own_code_side_by_side(project: Project) -> None:
    first, evaluated = made(project, OWN, **OWN_FILES)
    halved = RULES.replace("scales.MOST", "0.5")
    second, _ = made(project, OWN, **OWN_FILES | {"shop/rules.py": halved})
    rows = holdout_of(project, first)

    one, other = runtime_of(project, first), runtime_of(project, second)

    assert manifest_of(project, first).estimator == manifest_of(project, second).estimator
    assert first.artifact != second.artifact
    assert one.score(rows) == evaluated
    assert other.score(rows) == pytest.approx([score * 0.5 / 0.75 for score in evaluated])
    assert one.score(rows) == evaluated


LOADED = """
import json, os, sys
import cd4ml
os.chdir("/")
model = cd4ml.load("delay/1", project=sys.argv[1], every_s=0)
print(json.dumps(model.predict(json.loads(sys.argv[2]))))
"""


def test_another_process_loads_it_wherever_it_is(project: Project) -> None:
    version, evaluated = made(project, OWN, **OWN_FILES)
    rows = holdout_of(project, version)[:20]
    (project.folder / "pipeline.py").write_text("what is no Python")

    words = [sys.executable, "-c", LOADED, str(project.folder), json.dumps(rows)]
    done = subprocess.run(words, capture_output=True, text=True, cwd="/", check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == evaluated[:20]


WHEEL = """
import json, sys
import delay_model as model
print(json.dumps(model.predict_many(json.loads(sys.argv[1]))))
assert "cd4ml" not in sys.modules
"""


def of_wheel(project: Project, version: ModelVersion, rows: list[Any], to: Path) -> Any:
    """The answers of a version's wheel, in a process that cannot import cd4ml from anywhere."""
    import zipfile

    taken = write_wheel(project, version.ref, to=to, actor=ANN)
    with zipfile.ZipFile(taken.files[0]) as archive:
        archive.extractall(to / "site")
    words = [sys.executable, "-c", WHEEL, json.dumps(rows)]
    place = bare(to / "site")
    done = subprocess.run(words, capture_output=True, text=True, cwd=to, env=place, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), taken.requires


def test_a_wheel_brings_the_class_along(project: Project, tmp_path: Path) -> None:
    version, evaluated = made(project, OWN, **OWN_FILES)

    answered, requires = of_wheel(project, version, holdout_of(project, version), tmp_path / "w")

    assert answered == evaluated
    assert [each.partition("==")[0] for each in requires] == ["numpy", "polars"]


@pytest.mark.parametrize(
    ("text", "needs"),
    [(LIGHTGBM, "lightgbm"), (XGBOOST, "xgboost"), (ONE_BY_ONE, "onnx")],
    ids=["lightgbm", "xgboost", "a graph of one row"],
)
def test_a_wheel_needs_the_models_library_only(
    project: Project, text: str, needs: str, tmp_path: Path
) -> None:
    version, evaluated = made(project, text)

    answered, requires = of_wheel(project, version, holdout_of(project, version), tmp_path / "w")

    np.testing.assert_allclose(answered, evaluated, atol=1e-6)
    names = [each.partition("==")[0] for each in requires]
    assert [name for name in names if name.startswith(needs)]
    assert not {"scikit-learn", "treelite", "cd4ml"} & set(names)


def test_a_wheel_takes_no_class_whose_module_needs_cd4ml(project: Project, tmp_path: Path) -> None:
    inside = dedent(RULES).replace("from . import scales\n", "import shop.scales as scales\n")
    version, _ = made(project, OWN.replace("from shop.rules import Windy", inside), **OWN_FILES)

    with pytest.raises(Refused) as refused:
        write_wheel(project, version.ref, to=tmp_path / "w", actor=ANN)

    assert str(refused.value) == (
        "the estimator needs the project's module pipeline.py, and that one imports cd4ml\n"
        "  hint: a wheel does without cd4ml: put the class into a module that does not import it"
    )


def test_it_is_made_again_with_its_code(project: Project) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project.folder, check=True)
    version, _ = made(project, OWN, **OWN_FILES)

    found = reproduce(project, version.ref, actor=ANN)

    package = next(step for step in found.steps if step.step == "package")
    assert (package.outcome, package.note) == (
        "identical",
        "code.json, contract.json, estimator.pickle, probes.json",
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "return b'no graph'",
            "the output of step 'delay' cannot be stored: these bytes are no ONNX graph: Error "
            "parsing message with type 'onnx.ModelProto': Wire format was corrupt",
        ),
        (
            "return object()",
            "step 'delay' returned an object, its hint says Model",
        ),
    ],
)
def test_what_cannot_answer_is_not_stored(project: Project, body: str, message: str) -> None:
    text = f"""
@step
def delay(training: pl.DataFrame) -> Model:
    {body}
"""
    (project.folder / "pipeline.py").write_text(HEAD + text)

    with pytest.raises(PipelineError) as refused:
        train(project, actor=ANN)

    assert refused.value.message == f"pipeline.py:21: {message}"


def test_a_version_says_what_was_tried(project: Project) -> None:
    version, _ = made(project, LIGHTGBM)

    said = dict(loading_of(card(project, version.ref)))

    assert said["answers as"].startswith("its trees (treelite): within ")
    assert said["refused as ONNX"].startswith("it does not compile: MissingShapeCalculator: ")
    assert said["kept as"] == "estimator.lightgbm.txt"
    assert said["may be loaded"] == "a run of this project made it"
    assert {"lightgbm", "treelite"} <= set(said)
