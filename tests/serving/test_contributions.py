"""An answer may carry what each field added to it; sums are the answer, in every protocol."""

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from cd4ml.records.explanation import Explained
from cd4ml.serving.protocols.arrow import ARROW
from tests.models.builders import CONTRACT, ROW, bitset_boosted, logistic, network
from tests.serving.builders import BODY, Caller, Released, Reply, arm, server
from tests.serving.test_protocols import MODEL, arrow, tensors

ROWS: list[dict[str, Any]] = [ROW, ROW | {"temp": None, "dest": None, "carrier": "B6"}]
NAMES = list(CONTRACT.names)
ASKED = json.dumps({"rows": ROWS, "explain": True}).encode()


@pytest.fixture(scope="module")
def expected(running: Any) -> list[Explained]:
    with running.caller() as caller:
        return explanations(caller.ask(ASKED))


def explanations(reply: Reply) -> list[Explained]:
    assert reply.status == 200, reply.body
    found = [each["explanation"] for each in reply.json["predictions"]]
    return msgspec.convert(found, list[Explained])


def amounts(explained: Explained) -> dict[str, float]:
    return {each.field: each.amount for each in explained.contributions}


def test_the_contributions_of_each_row_add_up_to_its_answer(caller: Caller) -> None:
    reply = caller.ask(ASKED)

    for row, prediction, explained in zip(
        ROWS, reply.json["predictions"], explanations(reply), strict=True
    ):
        assert {each.field: each.value for each in explained.contributions} == row
        total = explained.base + math.fsum(amounts(explained).values())
        assert total == pytest.approx(explained.raw, abs=1e-9)
        assert (explained.unit, explained.method) == ("log-odds", "trees")
        assert 1 / (1 + math.exp(-total)) == pytest.approx(prediction["score"], abs=1e-6)
        assert explained.answer == pytest.approx(prediction["score"], abs=1e-6)


@pytest.mark.parametrize("path", ["/predict?contributions=1", "/predict?contributions=true"])
def test_a_query_asks_for_them_too(path: str, caller: Caller, expected: list[Explained]) -> None:
    assert explanations(caller.ask(json.dumps(ROW).encode(), path=path)) == expected[:1]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", BODY),
        ("/predict?contributions=0", BODY),
        ("/predict?", BODY),
        ("/predict", json.dumps({"rows": [ROW], "explain": False}).encode()),
    ],
)
def test_who_does_not_ask_gets_none(path: str, body: bytes, caller: Caller) -> None:
    (prediction,) = caller.ask(body, path=path).json["predictions"]

    assert "explanation" not in prediction


def test_asking_otherwise_is_refused(caller: Caller) -> None:
    odd = caller.ask(path="/predict?contributions=please")
    text = caller.ask(json.dumps({"rows": [ROW], "explain": "yes"}).encode())

    assert (odd.status, odd.json["error"]) == (
        400,
        "expected contributions=1 or contributions=0, got 'please'",
    )
    assert (text.status, text.json["violations"]) == (
        422,
        [{"field": "explain", "path": "$.explain", "expected": "true or false", "got": '"yes"'}],
    )


@pytest.mark.parametrize(
    "path",
    [
        "/predict?explain=1",
        "/predict?contributions=1&explain=1",
        "/invocations?explain",
        f"{MODEL}/infer?explain=/infer",
    ],
)
def test_a_query_that_nobody_knows_is_refused(path: str, caller: Caller) -> None:
    body = tensors() if "infer" in path else json.dumps({"instances": ROWS}).encode()

    reply = caller.ask(BODY if path.startswith("/predict") else body, path=path)

    assert (reply.status, reply.json) == (
        400,
        {
            "error": "the query parameter 'explain' means nothing here",
            "hint": "contributions=1 asks for what each field adds",
            "violations": [],
        },
    )


def test_mlflows_protocol_has_them_beside_its_predictions(
    caller: Caller, expected: list[Explained]
) -> None:
    body = json.dumps({"instances": ROWS}).encode()

    reply = caller.ask(body, path="/invocations?contributions=1")

    assert msgspec.convert(reply.json["explanations"], list[Explained]) == expected


def test_an_arrow_stream_has_a_column_for_each_field(
    caller: Caller, expected: list[Explained]
) -> None:
    body = arrow(pl.DataFrame(ROWS))

    reply = caller.ask(body, path="/predict?contributions=1", content_type=ARROW.decode())

    answered = pl.read_ipc_stream(io.BytesIO(reply.body))
    assert answered["base"].to_list() == [each.base for each in expected]
    assert answered["unit"].to_list() == ["log-odds", "log-odds"]
    for name in NAMES:
        found = answered[f"contribution_{name}"].to_list()
        assert found == [amounts(each)[name] for each in expected]


def test_the_open_inference_protocol_has_an_output_for_them(
    caller: Caller, expected: list[Explained]
) -> None:
    asked = json.loads(tensors()) | {"outputs": [{"name": "late"}, {"name": "contributions"}]}

    by_name = caller.ask(json.dumps(asked).encode(), path=f"{MODEL}/infer")
    by_query = caller.ask(tensors(), path=f"{MODEL}/infer?contributions=1")

    for reply in (by_name, by_query):
        _, parts, base = reply.json["outputs"]
        assert (parts["name"], parts["datatype"], parts["shape"]) == (
            "contributions",
            "FP64",
            [2, 5],
        )
        assert parts["parameters"] == {"fields": ",".join(NAMES), "unit": "log-odds"}
        wanted = [amounts(each)[name] for each in expected for name in NAMES]
        assert parts["data"] == wanted
        assert base == {
            "name": "contributions_base",
            "datatype": "FP64",
            "shape": [2],
            "data": [each.base for each in expected],
        }


def test_they_may_be_asked_for_as_bytes(caller: Caller, expected: list[Explained]) -> None:
    wanted = {"name": "contributions", "parameters": {"binary_data": True}}
    asked = json.loads(tensors()) | {"outputs": [wanted]}

    reply = caller.ask(json.dumps(asked).encode(), path=f"{MODEL}/infer")

    length = int(reply.headers["inference-header-content-length"])
    sizes = [
        each.get("parameters", {}).get("binary_data_size", 0)
        for each in json.loads(reply.body[:length])["outputs"]
    ]
    assert sizes == [0, 8 * 2 * 5, 0]
    assert np.frombuffer(reply.body[length:], "<f8").tolist() == [
        amounts(each)[name] for each in expected for name in NAMES
    ]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Released]:
    made = Released(tmp_path_factory.mktemp("slow") / "project", sqlite_template)
    made.plan(
        arm(made.model(logistic())),
        arm(made.model(bitset_boosted()), "canary", number=2, weight=50),
    )
    yield made
    made.project.close()


def test_each_row_is_taken_apart_by_the_version_that_answered_it(slow: Released) -> None:
    with server(slow.folder) as process, process.caller() as caller:
        body = json.dumps({"rows": [ROW] * 40, "explain": True}).encode()
        reply = caller.ask(body)

    by_version = {
        (prediction["number"], explained.method)
        for prediction, explained in zip(
            reply.json["predictions"], explanations(reply), strict=True
        )
    }
    assert by_version == {(1, "linear"), (2, "trees")}


def test_a_model_without_a_fast_way_says_so_and_records_nothing(
    project: Released,
) -> None:
    project.plan(arm(project.model(network())))
    with server(project.folder) as process, process.caller() as caller:
        refused = caller.ask(path="/predict?contributions=1")
        answered = caller.ask()

    assert (refused.status, answered.status) == (422, 200)
    assert refused.json == {
        "error": "delay/1 cannot say at once what each field adds: MLPClassifier is no ensemble of"
        " trees that can be taken apart",
        "hint": "ask without contributions; afterwards: cd4ml explain PREDICTION_ID, or delay/1 --row",
        "violations": [],
    }
    assert len(project.captured()) == 1
