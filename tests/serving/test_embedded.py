"""A wheel's own code answers as the model it was made of, whatever it was compiled to."""

import asyncio
import csv
import importlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from cd4ml.loop.candidate import runtime_of
from cd4ml.models.estimator import dump
from cd4ml.models.explain import taken_along
from cd4ml.models.package import package
from cd4ml.models.runtime import load
from cd4ml.records.contract import Contract, Field, FieldType
from cd4ml.records.model_version import ModelVersion
from cd4ml.serving.packaging.contents import contents_of
from cd4ml.serving.packaging.embedded import server
from cd4ml.serving.packaging.embedded.lines import rows_of_csv
from cd4ml.serving.protocols.columns import rows_of_texts
from cd4ml.store.blobs import Blobs, open_blobs
from tests.models.builders import (
    AT,
    CONTRACT,
    ROW,
    bitset_boosted,
    boosted,
    flights,
    logistic,
    network,
)
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


def version_of(artifact: str) -> ModelVersion:
    """A version that nobody registered."""
    return ModelVersion(
        model="m",
        number=1,
        run=0,
        verdict=0,
        artifact=artifact,
        contract="",
        created_at=AT,
        created_by="a",
    )


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
    version = version_of(artifact)
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


@pytest.mark.parametrize(
    ("estimator", "method", "unit"),
    [
        (boosted(), "trees", "log-odds"),
        (bitset_boosted(), "trees", "log-odds"),  # of categories, served by its own library
        (logistic(), "linear", "log-odds"),
        (network(), "sampled", "answer"),
    ],
)
def test_a_wheel_takes_answers_apart_as_the_endpoint_does_or_by_asking(
    estimator: Any, method: str, unit: str, taken: Taken, tmp_path: Path, sqlite_template: Path
) -> None:
    made = Registered(tmp_path / "project", sqlite_template)
    version = made.version(estimator)
    rows = [ROW, ROW | {"dest": None, "temp": None}, ROW | {"carrier": "B6", "hour": 6}]

    module: Any = taken(made.project.blobs, version)
    found = module.predict_many(rows, contributions=True)

    assert module.predict(ROW, contributions=True) == found[0]
    assert module.predict_many([], contributions=True) == []
    assert [each.answer for each in found] == module.predict_many(rows)
    assert {(each.method, each.unit) for each in found} == {(method, unit)}
    for row, each in zip(rows, found, strict=True):
        assert {part.field: part.value for part in each.contributions} == row
        assert each.of_parts == pytest.approx(each.answer, abs=1e-5)
        assert each.base + sum(part.amount for part in each.contributions) == pytest.approx(
            each.raw
        )
    explainer = runtime_of(made.project, version).explainer
    if explainer is not None:
        expected = explainer.explained([tuple(row.values()) for row in rows])
        pairs = zip(found, expected, strict=True)
        assert [amounts_of(one) == pytest.approx(amounts_of(two)) for one, two in pairs]
        assert [each.base for each in found] == [each.base for each in expected]
    made.project.close()


def amounts_of(explained: Any) -> dict[str, float]:
    return {each.field: each.amount for each in explained.contributions}


def test_what_explains_a_model_is_left_out_where_it_is_huge(
    taken: Taken, tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taken_along, "MOST_BYTES", 1000)
    made = Registered(tmp_path / "project", sqlite_template)

    module: Any = taken(made.project.blobs, made.version(boosted()))

    assert module.predict(ROW, contributions=True).method == "sampled"
    assert not (tmp_path / "site" / "taken_away" / "explainer.bin").exists()
    made.project.close()


def test_a_container_takes_answers_apart_and_refuses_a_query_that_nobody_knows(
    taken: Taken, tmp_path: Path, sqlite_template: Path
) -> None:
    made = Registered(tmp_path / "project", sqlite_template)
    module: Any = taken(made.project.blobs, made.version(boosted()))
    made.project.close()
    transport = httpx.ASGITransport(server.app_of(module))

    async def asked(*paths: str) -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return [await client.post(path, json=ROW) for path in paths]

    async def inside() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.post("/predict", json={"rows": [ROW], "explain": True})

    own, own_apart, plain, apart, unknown, odd = asyncio.run(
        asked(
            "/predict",
            "/predict?contributions=1",
            "/invocations",
            "/invocations?contributions=1",
            "/invocations?explain=1",
            "/invocations?contributions=please",
        )
    )

    (prediction,) = own_apart.json()["predictions"]
    assert prediction["score"] == own.json()["predictions"][0]["score"]
    assert {each["field"] for each in prediction["explanation"]["contributions"]} == set(ROW)
    assert "explanation" not in own.json()["predictions"][0]
    assert plain.json() == {"predictions": [prediction["score"]], "model_version": ["delay/1"]}
    assert apart.json() == plain.json() | {"explanations": [prediction["explanation"]]}
    assert asyncio.run(inside()).json() == own_apart.json()
    assert (unknown.status_code, unknown.json()["error"]) == (
        400,
        "the query parameter 'explain' means nothing here",
    )
    assert (odd.status_code, odd.json()["error"]) == (
        400,
        "expected contributions=1 or contributions=0, got 'please'",
    )


def test_a_container_lists_its_environment_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["serve", "serve", "--help"])

    server.main("taken_away")

    assert (
        capsys.readouterr().out
        == """\
usage: python -m taken_away serve

Answers GET /ping, GET /contract, POST /invocations and POST /predict until it is told to end.

environment variables:
  SAGEMAKER_BIND_TO_PORT  the port (8080)
  CD4ML_MODEL_DIR         a folder; a wheel in it, of the same name, answers instead
  SM_MODEL_DIR            the same, where the first is not set (/opt/ml/model)
  CD4ML_WORKERS           how many processes (1)
  CD4ML_HOST              the address to listen on (0.0.0.0)
"""
    )


def test_what_numpy_computed_is_a_number_to_a_wheel(
    taken: Taken, tmp_path: Path, sqlite_template: Path
) -> None:
    made = Registered(tmp_path / "project", sqlite_template)
    module: Any = taken(made.project.blobs, made.version(boosted()))
    made.project.close()
    row = ROW | {"hour": np.int64(17), "wind": np.float32(8.0), "temp": np.float64(40.5)}

    assert module.predict(row) == module.predict(ROW)
    assert module.predict_many([row]) == module.predict_many([ROW])
    assert module.warnings_of([row]) == []
    with pytest.raises(module.ContractViolated) as refused:
        module.predict(ROW | {"hour": np.int64(24), "wind": np.bool_(True)})
    assert [(each.path, each.got) for each in refused.value.violations] == [
        ("$.hour", "24"),
        ("$.wind", "true"),
    ]


def test_a_moment_with_its_zone_is_a_time_to_a_wheel(taken: Taken, tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "blobs"))
    contract = msgspec.structs.replace(CONTRACT, fields=(*CONTRACT.fields, Field("at", "datetime")))
    artifact = package(
        blobs,
        estimator=blobs.put(dump(boosted())),
        contract=contract,
        sample=flights().with_columns(at=pl.lit(AT)),
        is_trusted=lambda _: True,
    )
    module: Any = taken(blobs, version_of(artifact))
    row, text = ROW | {"at": AT}, ROW | {"at": "2013-02-01T05:00:00Z"}

    assert module.predict(row) == module.predict(text)
    assert module.predict_many([row]) == module.predict_many([text])
    with pytest.raises(module.ContractViolated) as refused:
        module.predict(row | {"at": AT.replace(tzinfo=None)})
    (found,) = refused.value.violations
    assert (found.path, found.got) == ("$.at", '"2013-02-01 05:00:00"')


def test_a_name_that_is_no_text_is_no_field(
    taken: Taken, tmp_path: Path, sqlite_template: Path
) -> None:
    made = Registered(tmp_path / "project", sqlite_template)
    module: Any = taken(made.project.blobs, made.version(boosted()))
    made.project.close()

    with pytest.raises(module.ContractViolated) as refused:
        module.predict(ROW | {1: 2})

    (found,) = refused.value.violations
    assert (found.field, found.expected, found.got) == ("1 (int)", "no such field", "2")


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


@given(
    st.sampled_from(["integer", "number", "boolean", "string", "datetime"]),
    st.one_of(
        st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=8),
        st.from_regex(r"[-+ ]?[0-9_]{0,20}(\.[0-9]{0,3})?([eE][0-9]{1,2})?", fullmatch=True),
        st.sampled_from(["true", "False", "1", "nan", "-Infinity", "\u0661", "9007199254740993.0"]),
    ),
)
def test_a_container_reads_a_line_of_csv_as_an_endpoint_does(kind: FieldType, text: str) -> None:
    written = io.StringIO()
    csv.writer(written).writerows([["value", "beside"], [text, "x"]])
    fields = (Field("value", kind), Field("beside", "string"))

    plain = [msgspec.to_builtins(field) for field in fields]
    (row,) = rows_of_csv(written.getvalue().encode(), plain)

    assert [row] == rows_of_texts(fields, ["value", "beside"], [[text, "x"]])
    assert type(row["value"]) in (int, float, bool, str, type(None))
