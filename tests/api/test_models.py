"""What the command line does with registered models, the API does too, except answering for code."""

import httpx
import pytest

from cd4ml.api.routes import ENDPOINTS
from tests.api.test_app import post


def test_a_run_graduates_and_is_named_described_and_carded(client: httpx.Client) -> None:
    status, version = post(
        client, "/models/graduate", run="run/1", model="second", tags={"a": "1"}, why="to compare"
    )
    assert (status, version["model"], version["number"], version["tags"]) == (
        200,
        "second",
        1,
        {"a": "1"},
    )

    moved = post(client, "/models/alias", ref="second/1", alias="shadow", expected=0, why="try")
    late = post(client, "/models/alias", ref="second/1", alias="shadow", expected=0)
    said = post(client, "/models/describe", ref="second/1", description="x", tags={"b": "2"})

    assert (moved[0], moved[1]["number"]) == (200, 1)
    assert late[0] == 409
    assert late[1]["error"].startswith("second@shadow points at second/1, moved by ann at ")
    assert said == (200, {"ref": "second/1"})
    card = client.get("/api/models/card/second@shadow").json()
    assert (card["version"]["description"], card["version"]["tags"]) == ("x", {"a": "1", "b": "2"})
    assert card["takes"][0]["takes"] == "a number"
    assert post(client, "/models/package", ref="second/1")[1]["artifact"] == version["artifact"]
    assert post(client, "/gate", run="second/1")[1]["verdict"]["outcome"] == "pass"
    assert post(client, "/models/unalias", ref="second@shadow", expected=1)[1]["number"] == 1
    moves = client.get("/api/models/history/second@shadow").json()
    assert [(each["left"], each["to"], each["why"]) for each in moves] == [
        (1, 0, ""),
        (0, 1, "try"),
    ]


def test_contracts_are_shown_and_compared_but_no_file_is_read(client: httpx.Client) -> None:
    contract = client.get("/api/models/contract/diagnosis/1").json()
    asked = {"old": "diagnosis/1", "new": "run/1"}
    same = client.get("/api/models/contracts", params=asked).json()
    file = client.get("/api/models/contract/cd4ml.toml")
    module = client.get("/api/models/contract/world:lay_out")

    assert (contract["version"], contract["classes"]) == ("1.0.0", ["0", "1"])
    assert (same["changes"], same["needed"]) == ([], "none")
    assert {file.status_code, module.status_code} <= {404, 422}


def test_what_is_deleted_comes_back(client: httpx.Client) -> None:
    post(client, "/models/graduate", run="run/1", model="second")

    assert post(client, "/models/delete", ref="second", why="a mistake")[0] == 200
    gone = client.get("/api/models/card/second/1")
    assert (gone.status_code, gone.json()["error"][:20]) == (404, "second/1 was deleted")
    assert post(client, "/models/restore", ref="second")[0] == 200

    names = [each["model"]["name"] for each in client.get("/api/models/registered").json()]
    assert names == ["diagnosis", "second"]
    refused = post(client, "/models/delete", ref="diagnosis/1")
    assert refused[0] == 409
    assert "release/1 is in charge in staging" in refused[1]["error"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("graduate", {"run": "run/1"}),
        ("alias", {"ref": "diagnosis/1", "alias": "a"}),
        ("unalias", {"ref": "diagnosis@champion"}),
        ("describe", {"ref": "diagnosis/1", "description": "x"}),
        ("delete", {"ref": "diagnosis/1"}),
        ("restore", {"ref": "diagnosis/1"}),
        ("package", {"ref": "diagnosis/1"}),
    ],
)
def test_whoever_is_not_known_changes_nothing(
    client: httpx.Client, path: str, body: dict[str, str]
) -> None:
    before = client.get("/api/ledger?limit=1").json()

    status, answer = post(client, f"/models/{path}", actor="mallory", **body)

    assert (status, answer["error"]) == (404, "nobody named 'mallory' works on this project")
    assert client.get("/api/ledger?limit=1").json() == before


def test_nobody_answers_for_code_by_http() -> None:
    assert not [each.path for each in ENDPOINTS if "trust" in each.path]
