"""A wheel's own code answers as the model it was made of, whatever it was compiled to."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

from cd4ml.loop.candidate import runtime_of
from cd4ml.models.estimator import dump
from cd4ml.models.package import package
from cd4ml.models.runtime import load
from cd4ml.records.contract import Contract, Field
from cd4ml.records.model_version import ModelVersion
from cd4ml.serving.packaging.contents import contents_of
from cd4ml.serving.packaging.embedded import server
from cd4ml.store.blobs import Blobs, open_blobs
from tests.models.builders import AT, ROW, boosted
from tests.models.registered import Registered

Taken = Callable[[Blobs, ModelVersion], ModuleType]


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Taken]:
    """Makes the module of a version, as its wheel has it."""

    def taken_away(blobs: Blobs, version: ModelVersion) -> ModuleType:
        for name, data in contents_of(blobs, version, name="taken-away").files.items():
            (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "site" / name).write_bytes(data)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        return importlib.import_module("taken_away")

    yield taken_away
    for each in [name for name in sys.modules if name.startswith("taken_away")]:
        del sys.modules[each]


def test_a_model_compiled_in_double_precision_answers_in_it(taken: Taken, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    at = rng.integers(0, 400, 400) + 2**30  # neighbours that single precision takes for one
    frame = pl.DataFrame({"at": at})
    model = LinearRegression().fit(frame, (at - 2**30).astype(float))
    blobs = open_blobs(str(tmp_path / "blobs"))
    estimator = blobs.put(dump(model))
    contract = Contract(name="c", fields=(Field("at", "integer", minimum=2**30, maximum=2**31),))
    artifact = package(
        blobs, estimator=estimator, contract=contract, sample=frame, is_trusted=lambda _: True
    )
    runtime = load(blobs, artifact, is_trusted=lambda _: True)
    version = ModelVersion(
        model="m",
        number=1,
        run=0,
        verdict=0,
        artifact=artifact,
        contract="",
        created_at=AT,
        created_by="a",
    )
    rows = frame.head(50).to_dicts()

    assert runtime.kind == "onnx"
    assert taken(blobs, version).predict_many(rows) == pytest.approx(runtime.score(rows), abs=1e-9)


def test_the_module_of_a_wheel_needs_nothing_of_cd4ml(
    taken: Taken, tmp_path: Path, sqlite_template: Path
) -> None:
    made = Registered(tmp_path / "project", sqlite_template)
    version = made.version(boosted())

    module: Any = taken(made.project.blobs, version)

    assert module.predict(ROW) == runtime_of(made.project, version).score([ROW])[0]
    texts = [path.read_text() for path in (tmp_path / "site" / "taken_away").glob("*.py")]
    assert not [line for text in texts for line in text.splitlines() if "import cd4ml" in line]
    assert not [line for text in texts for line in text.splitlines() if "from cd4ml" in line]
    made.project.close()


@pytest.mark.parametrize("variable", ["SAGEMAKER_BIND_TO_PORT", "CD4ML_WORKERS"])
@pytest.mark.parametrize("given", ["abc", "0", "-1", "70000"])
def test_a_container_says_which_variable_is_no_number(
    variable: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, given)
    monkeypatch.setattr("sys.argv", ["serve", "serve"])

    with pytest.raises(SystemExit) as ended:
        server.main("taken_away")

    most = 65535 if "PORT" in variable else 256
    assert ended.value.code == (
        f"expected {variable} to be a whole number from 1 to {most}, got {given!r}"
    )


def test_without_uvicorn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel answers without; only `serve` needs it."""
    monkeypatch.setattr("sys.argv", ["serve", "serve"])
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    with pytest.raises(SystemExit) as ended:
        server.main("taken_away")

    assert ended.value.code == (
        "answering over HTTP needs uvicorn, which is not installed: pip install uvicorn"
    )
