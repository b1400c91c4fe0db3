"""The description of an endpoint is whole, valid, and says what really happens."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.models.builders import AMISS, LENIENT, ROW, boosted
from tests.serving.builders import Caller, Released, arm, server

PREDICTS = ("/predict", "/invocations", "/v2/models/delay/infer")


@pytest.fixture(scope="module")
def described(running: Any) -> dict[str, Any]:
    with running.caller() as caller:
        found: dict[str, Any] = caller.get("/openapi.json").json
    return found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Caller]:
    """An endpoint that asks for tokens, whose contract forgives."""
    made = Released(tmp_path_factory.mktemp("guarded") / "project", sqlite_template)
    made.plan(arm(made.model(boosted(), contract=LENIENT)))
    with server(made.folder, needs_token=True) as process, process.caller() as caller:
        yield caller
    made.project.close()


def validator(described: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema | {"components": described["components"]})


def test_every_path_is_described_and_answers_as_it_is_described(
    described: dict[str, Any], caller: Caller
) -> None:
    gets = {path: item["get"] for path, item in described["paths"].items() if "get" in item}

    assert set(described["paths"]) - set(gets) == set(PREDICTS)
    assert {
        "/",
        "/ready",
        "/live",
        "/health",
        "/v2/health/live",
        "/ping",
        "/v2/models/delay",
        "/v2/health/ready",
    } < set(gets)
    for path, operation in gets.items():
        reply = caller.get(path)
        ((kind, content),) = operation["responses"]["200"]["content"].items()
        assert reply.status == 200
        assert reply.headers["content-type"].startswith(kind)
        value = reply.json if kind == "application/json" else reply.body.decode()
        validator(described, content["schema"]).validate(value)


@pytest.mark.parametrize("path", PREDICTS)
def test_each_example_is_answered_as_it_is_described(
    path: str, described: dict[str, Any], caller: Caller
) -> None:
    operation = described["paths"][path]["post"]
    examples = {
        kind: each["example"]
        for kind, each in operation["requestBody"]["content"].items()
        if "example" in each
    }

    assert "application/json" in examples
    for kind, example in examples.items():
        body = example if isinstance(example, str) else json.dumps(example)
        reply = caller.ask(body.encode(), path=f"{path}?contributions=1", content_type=kind)
        assert reply.status == 200, reply.body
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        validator(described, answer).validate(reply.json)
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    validator(described, schema).validate(examples["application/json"])


def test_each_schema_is_one_and_the_row_is_the_contract(described: dict[str, Any]) -> None:
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    row = described["components"]["schemas"]["Row"]

    assert row["properties"]["hour"] == {
        "type": "integer",
        "description": "an integer from 0 to 23",
        "minimum": 0,
        "maximum": 23,
    }
    assert validator(described, row).is_valid(ROW | {"temp": None, "dest": None})
    assert not validator(described, row).is_valid(ROW | {"gate": "B12"})
    assert not validator(described, row).is_valid(ROW | {"dest": "a\0b"})


def test_what_an_endpoint_refuses_is_described(described: dict[str, Any], caller: Caller) -> None:
    for path in PREDICTS:
        responses = described["paths"][path]["post"]["responses"]
        assert {"200", "400", "401", "403", "413", "422", "500", "503"} <= set(responses)
    reply = caller.ask(json.dumps(ROW | {"hour": 24}).encode())
    validator(described, described["components"]["schemas"]["Refusal"]).validate(reply.json)
    assert "securitySchemes" not in described["components"]


def test_where_a_token_is_needed_the_description_says_so_and_shows_no_row(guarded: Caller) -> None:
    described = guarded.get("/openapi.json").json

    assert described["components"]["securitySchemes"] == {
        "token": {"type": "http", "scheme": "bearer"}
    }
    assert {path: described["paths"][path]["post"]["security"] for path in PREDICTS} == {
        path: [{"token": []}] for path in PREDICTS
    }
    content = described["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert content["application/json"]["example"] == {
        "rows": [{"carrier": "AA", "dest": "BOS", "hour": 0, "temp": 0, "wind": 0}]
    }


def test_what_is_forgiven_is_described_as_what_is_taken(guarded: Caller) -> None:
    described = guarded.get("/openapi.json").json
    row = described["components"]["schemas"]["Row"]

    assert validator(described, row).is_valid(AMISS)
    assert row["properties"]["hour"]["description"] == (
        "an integer from 0 to 23; values beyond the limits: scored as the nearest limit"
    )
    assert "enum" not in row["properties"]["carrier"]
    assert row["properties"]["wind"]["default"] == 7.5
    assert row["properties"]["wind"]["type"] == ["number", "null"]
