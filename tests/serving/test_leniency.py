"""What a contract forgives, every protocol forgives alike: scored as it says, told, counted, kept as asked."""

import asyncio
import csv
import importlib
import io
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

import cd4ml
from cd4ml.loop.explain import explain_rows
from cd4ml.loop.predict import predict
from cd4ml.models.leniency import ContractWarning
from cd4ml.serving.packaging.contents import contents_of
from cd4ml.serving.protocols.arrow import ARROW
from cd4ml.testing.models import asking
from tests.models.builders import AMISS, CONTRACT, LENIENT, MENDED, ROW, boosted, logistic
from tests.models.registered import Registered
from tests.serving.builders import Caller, arm, server, until

NAMES = list(LENIENT.names)
WARNED = [
    {"row": 1, "field": "carrier", "kind": "unknown", "expected": 'one of "AA", "B6", "UA"',
     "got": '"ZZ"', "scored": '"ZZ"'},
    {"row": 1, "field": "dest", "kind": "unknown", "expected": 'one of "BOS", "ORD", or null',
     "got": '"LAX"', "scored": '"ORD"'},
    {"row": 1, "field": "hour", "kind": "outside", "expected": "an integer from 0 to 23",
     "got": "24", "scored": "23"},
    {"row": 1, "field": "temp", "kind": "outside", "expected": "a number from -50 to 130, or null",
     "got": "-60.5", "scored": "-60.5"},
    {"row": 1, "field": "wind", "kind": "null", "expected": "a number of at least 0",
     "got": "null", "scored": "7.5"},
]  # fmt: skip
ROWS: list[dict[str, Any]] = [ROW, AMISS]
SAID = [
    'carrier: expected one of "AA", "B6", "UA"; an unknown category was scored all the same',
    'dest: expected one of "BOS", "ORD", or null; an unknown category was scored as the default',
    "hour: expected an integer from 0 to 23; a value beyond the limits was scored as the nearest limit",
    "temp: expected a number from -50 to 130, or null; a value beyond the limits was scored all"
    " the same",
    "wind: expected a number of at least 0; null was scored as the default",
]


@pytest.fixture(scope="module")
def lenient(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[Registered]:
    made = Registered(tmp_path_factory.mktemp("lenient") / "project", sqlite_template)
    version = made.version(boosted(), contract=LENIENT)
    canary = made.version(logistic(), contract=CONTRACT)
    made.point("champion", 1)
    made.plan(arm(version.artifact), arm(canary.artifact, "shadow", number=2, weight=0))
    yield made
    made.project.close()


@pytest.fixture(scope="module")
def caller(lenient: Registered) -> Iterator[Caller]:
    with server(lenient.folder) as process, process.caller() as connection:
        yield connection


@pytest.fixture(scope="module")
def scores(lenient: Registered) -> list[float]:
    """What the rows are to be scored as, in whatever way they come."""
    with cd4ml.load("delay/1", project=lenient.folder) as model, pytest.warns(ContractWarning):
        return model.predict([ROW, MENDED])


def in_csv() -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, NAMES)
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue().encode()


def in_arrow() -> bytes:
    written = io.BytesIO()
    frame = pl.DataFrame(ROWS, schema_overrides={"wind": pl.Float64})
    frame.write_ipc_stream(written, compat_level=pl.CompatLevel.oldest())
    return written.getvalue()


def in_tensors() -> bytes:
    kinds = {"string": "BYTES", "integer": "INT64", "number": "FP64"}
    inputs = [
        {"name": f.name, "shape": [2], "datatype": kinds[f.type], "data": [r[f.name] for r in ROWS]}
        for f in LENIENT.fields
    ]
    return json.dumps({"inputs": inputs}).encode()


def test_our_own_protocol_tells_what_it_forgave(
    caller: Caller, lenient: Registered, scores: list[float]
) -> None:
    reply = caller.ask(json.dumps({"rows": ROWS}).encode())

    assert [each["score"] for each in reply.json["predictions"]] == scores
    assert reply.json["warnings"] == WARNED
    champion = [each for each in lenient.captured() if each["role"] == "champion"]
    assert [each["inputs"] for each in champion[-2:]] == ROWS  # as they came


def test_a_row_that_keeps_the_contract_is_answered_without_a_word(caller: Caller) -> None:
    assert list(caller.ask(json.dumps(ROW).encode()).json) == ["predictions"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [(json.dumps({"instances": ROWS}).encode(), "application/json"), (in_csv(), "text/csv")],
)
def test_mlflows_protocol_tells_the_same(
    body: bytes, kind: str, caller: Caller, scores: list[float]
) -> None:
    reply = caller.ask(body, path="/invocations", content_type=kind)

    assert reply.json["predictions"] == scores
    assert reply.json["warnings"] == WARNED


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_an_arrow_stream_has_a_column_for_it(
    path: str, caller: Caller, scores: list[float]
) -> None:
    reply = caller.ask(in_arrow(), path=path, content_type=ARROW.decode())

    answered = pl.read_ipc_stream(io.BytesIO(reply.body))
    assert answered["score"].to_list() == scores
    assert answered["warnings"][0] is None
    assert json.loads(answered["warnings"][1]) == WARNED


def test_the_open_inference_protocol_has_a_parameter_for_it(
    caller: Caller, scores: list[float]
) -> None:
    reply = caller.ask(in_tensors(), path="/v2/models/delay/infer")

    assert reply.json["outputs"][0]["data"] == scores
    assert json.loads(reply.json["parameters"]["warnings"]) == WARNED


def test_what_is_forgiven_is_counted_by_field_and_kind(caller: Caller) -> None:
    def counted() -> dict[str, int]:
        lines = caller.get("/metrics").body.decode().splitlines()
        found = [line.rpartition(" ") for line in lines if line.startswith("cd4ml_contract_warn")]
        return {name.partition("{")[2]: int(n) for name, _, n in found}

    caller.ask(json.dumps({"rows": ROWS}).encode())
    before = counted()
    caller.ask(json.dumps({"rows": [AMISS, ROW | {"hour": -1}]}).encode())

    assert {name: n - before[name] for name, n in counted().items()} == {
        'field="carrier",kind="unknown"}': 1,
        'field="dest",kind="unknown"}': 1,
        'field="hour",kind="outside"}': 2,
        'field="temp",kind="outside"}': 1,
        'field="wind",kind="null"}': 1,
    }


def test_what_is_not_forgiven_is_refused_with_everything_that_is(caller: Caller) -> None:
    reply = caller.ask(json.dumps({"rows": [AMISS | {"hour": None, "gate": 1}]}).encode())

    assert reply.status == 422
    assert [each["path"] for each in reply.json["violations"]] == [
        "$.rows[0].hour",
        "$.rows[0].gate",
    ]


def test_a_model_as_data_warns_and_tells(lenient: Registered, scores: list[float]) -> None:
    frame = pl.DataFrame(ROWS, schema_overrides={"wind": pl.Float64})
    with cd4ml.load("delay/1", project=lenient.folder) as model:
        with pytest.warns(ContractWarning) as told:
            assert model.predict(ROWS) == scores
        with pytest.warns(ContractWarning) as told_of_frame:
            assert model.predict(frame).to_list() == pytest.approx(scores)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.predict(ROW)
        listed = [each.kind for each in model.warnings_of(ROWS)]

    assert [str(each.message) for each in told] == SAID
    assert [str(each.message) for each in told_of_frame] == SAID
    assert {each.filename for each in [*told, *told_of_frame]} == {__file__}
    assert listed == [each["kind"] for each in WARNED]


async def posted(app: Any, content: dict[str, Any]) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.post("/invocations", json=content)


def test_a_wheel_warns_and_tells_the_same(
    lenient: Registered, scores: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = contents_of(lenient.project.blobs, lenient.registered(1), name="lenient-delay")
    for name, data in contents.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    monkeypatch.syspath_prepend(str(tmp_path))
    model = importlib.import_module("lenient_delay")
    served = importlib.import_module("lenient_delay._server")

    with pytest.warns(model.ContractWarning) as told:
        assert model.predict_many(ROWS) == scores
    assert [str(each.message) for each in told] == SAID
    assert {each.filename for each in told} == {__file__}
    with pytest.warns(model.ContractWarning):
        assert model.predict(AMISS) == scores[1]
    answer = asyncio.run(posted(served.app_of(model), {"rows": ROWS}))
    assert (answer.status_code, answer.json()["warnings"]) == (200, WARNED)
    assert "cd4ml" not in {
        value.__module__.partition(".")[0] for value in (model.Warned, model.ContractWarning)
    }
    for each in [name for name in sys.modules if name.startswith("lenient_delay")]:
        del sys.modules[each]


def test_a_batch_counts_what_it_forgives(
    lenient: Registered, scores: list[float], tmp_path: Path
) -> None:
    frame = pl.DataFrame([*ROWS, ROW | {"hour": -4}], schema_overrides={"wind": pl.Float64})
    frame.write_parquet(tmp_path / "in.parquet")

    done = predict(
        lenient.project,
        "delay/1",
        input=str(tmp_path / "in.parquet"),
        output=str(tmp_path / "out"),
        piece_rows=2,
        actor="ann",
    )

    assert done.n_scored == 3
    assert done.forgiven == {
        "carrier": {"unknown": 1},
        "dest": {"unknown": 1},
        "hour": {"outside": 2},
        "temp": {"outside": 1},
        "wind": {"null": 1},
    }
    written = pl.read_parquet(tmp_path / "out" / "part-*.parquet")
    assert written["score"].to_list()[:2] == pytest.approx(scores)
    assert written["hour"].to_list() == [17, 24, -4]  # as they came


def test_another_version_beside_it_gets_what_the_contract_in_charge_makes_of_a_row(
    lenient: Registered, caller: Caller
) -> None:
    """The shadow's contract forgives nothing: its model was never tried with null."""
    caller.ask(json.dumps({"rows": [AMISS | {"carrier": "AA", "temp": 1.0}]}).encode())
    with cd4ml.load("delay/2", project=lenient.folder) as model:
        expected = model.predict(MENDED | {"carrier": "AA", "temp": 1.0})

    until(
        lambda: (
            [each["score"] for each in lenient.captured() if each["role"] == "shadow"][-1:]
            == [pytest.approx(expected)]
        )
    )


def test_an_answer_is_explained_as_it_was_scored(lenient: Registered, scores: list[float]) -> None:
    (found,) = explain_rows(lenient.project, "delay/1", [AMISS])

    assert found.explained.answer == pytest.approx(scores[1], abs=1e-5)
    assert {each.field: each.value for each in found.explained.contributions} == AMISS


def test_an_object_under_test_is_asked_as_its_contract_says() -> None:
    ask = asking(boosted(), LENIENT)

    assert list(ask([AMISS])) == list(ask([MENDED]))
