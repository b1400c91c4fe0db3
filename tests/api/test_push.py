"""POST /api/data/NAME/rows: by who shows a token, in batches, each taken in once."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from cd4ml.loop import Project
from cd4ml.loop.ingest import show_dataset
from cd4ml.loop.tokens import make_token, revoke_token
from tests.browser import browser
from tests.loop.shop import ride, shop, table
from tests.loop.world import ANN, EVE, entries

SETTINGS = '[data.rides]\nsource = "pushed"\ncontract = "contracts:Rides"\n'
PATH = "/api/data/rides/rows"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with shop(tmp_path / "shop", SETTINGS) as opened:
        yield opened


@pytest.fixture
def secret(project: Project) -> str:
    return make_token(project, EVE, note="loader", actor=EVE).secret


@pytest.fixture
def client(project: Project) -> Iterator[httpx.Client]:
    with browser(project) as opened:
        yield opened


def send(
    client: httpx.Client, secret: str, rows: Any, key: str = "monday", **headers: str | bytes
) -> httpx.Response:
    given = {
        "authorization": f"Bearer {secret}",
        "idempotency-key": key,
        "content-type": "application/json",
    }
    body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    return client.post(PATH, content=body, headers={**given, **headers})  # type: ignore[dict-item]


def test_rows_become_a_version_by_the_owner_of_the_token(
    client: httpx.Client, project: Project, secret: str
) -> None:
    answer = send(client, secret, [ride(1), ride(2)])

    version = show_dataset(project, "rides").version
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "version": "rides@1",
            "digest": version.digest,
            "n_rows": 2,
            "n_rows_total": 2,
            "is_repeated": False,
        },
    )
    assert version.created_by == EVE
    assert [entry.actor for entry in entries(project)][-2:] == [EVE, EVE]


def test_sent_again_it_is_answered_again_and_changed_it_is_refused(
    client: httpx.Client, project: Project, secret: str
) -> None:
    first = send(client, secret, [ride(1)])
    again = send(client, secret, [ride(1)])
    other = send(client, secret, [ride(2)])

    assert again.json() == {**first.json(), "is_repeated": True}
    assert (other.status_code, other.json()["error"]) == (
        409,
        "another body came under the key 'monday' before, as rides@1",
    )
    assert table(project, "rides").height == 1


def test_lines_and_parquet_are_taken_too(
    client: httpx.Client, project: Project, secret: str
) -> None:
    buffer = io.BytesIO()
    pl.DataFrame([ride(3)]).write_parquet(buffer)
    kinds = {"application/x-ndjson": json.dumps(ride(2)).encode() + b"\n"}
    kinds["application/vnd.apache.parquet"] = buffer.getvalue()

    for kind, body in kinds.items():
        assert send(client, secret, body, key=kind, **{"content-type": kind}).status_code == 200

    assert table(project, "rides")["ride"].to_list() == [2, 3]


def test_broken_rows_are_422_with_all_that_is_wrong(
    client: httpx.Client, project: Project, secret: str
) -> None:
    answer = send(client, secret, [ride(1, station="Prak"), ride(2, minutes="seven")])

    assert answer.status_code == 422
    assert answer.json()["error"] == (
        "the batch breaks 2 of 14 rules of the contract Rides 1.0.0\n"
        "  - minutes is number: 1 of 2 rows, first in row 2: 'seven'\n"
        "  - station is one of Harbour, Market, Park: 1 of 2 rows, first in row 1: 'Prak'"
    )
    assert entries(project)[-1].action == "token.created"


@pytest.mark.parametrize(
    "shown", ["Bearer cd4ml_wrong", "Bearer", "Basic ZXZlOmV2ZQ==", "cd4ml_", b"Bearer \xff\xfe"]
)
def test_a_token_that_is_none_is_401(client: httpx.Client, secret: str, shown: str | bytes) -> None:
    answer = send(client, secret, [ride()], authorization=shown)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {
        "error": "the token is nobody's",
        "hint": "cd4ml token create NAME makes another one",
    }


def test_to_say_a_name_is_not_enough(client: httpx.Client) -> None:
    headers = {"cd4ml-actor": ANN, "idempotency-key": "a"}

    answer = client.post(PATH, json=[ride()], headers=headers)

    assert answer.status_code == 401
    assert answer.json() == {
        "error": "who sends this? the header authorization is missing",
        "hint": "authorization: Bearer SECRET, of cd4ml token create NAME",
    }


def test_a_revoked_token_is_401_from_the_next_request_on(
    client: httpx.Client, project: Project, secret: str
) -> None:
    assert send(client, secret, [ride(1)], "a").status_code == 200
    revoke_token(project, "1", actor=ANN)

    assert send(client, secret, [ride(2)], "b").status_code == 401


def test_a_token_acts_everywhere_and_only_as_its_owner(client: httpx.Client, secret: str) -> None:
    bearer = {"authorization": f"Bearer {secret}"}

    as_owner = client.post("/api/people", json={"name": "cy"}, headers=bearer)
    as_other = client.post(
        "/api/people", json={"name": "cy"}, headers={**bearer, "cd4ml-actor": ANN}
    )

    assert (as_owner.status_code, as_owner.json()["error"]) == (
        403,
        "eve may not add people or change roles: it needs the role admin, has none",
    )
    assert (as_other.status_code, as_other.json()["error"]) == (
        403,
        "the token is eve's, and the header cd4ml-actor says 'ann'",
    )


def test_a_batch_without_a_key_is_refused(client: httpx.Client, secret: str) -> None:
    answer = send(client, secret, [ride()], key="")

    assert answer.status_code == 422
    assert answer.json()["hint"] == "send the header Idempotency-Key; a UUID will do"


def test_another_content_type_is_415(client: httpx.Client, secret: str) -> None:
    answer = send(client, secret, [ride()], **{"content-type": "text/csv"})

    assert (answer.status_code, answer.json()["error"]) == (
        415,
        "expected a body of application/json or application/x-ndjson or application/jsonl"
        " or application/vnd.apache.parquet, got text/csv",
    )


def test_fields_that_are_not_known_are_refused(client: httpx.Client, secret: str) -> None:
    answer = client.post(
        f"{PATH}?mode=replace",
        json=[ride()],
        headers={"authorization": f"Bearer {secret}", "idempotency-key": "a"},
    )

    assert (answer.status_code, answer.json()["error"]) == (
        422,
        "POST /data/{name}/rows: Object contains unknown field `mode`",
    )


def test_a_long_batch_is_413(project: Project, secret: str) -> None:
    with browser(project, max_body=1000) as client:
        answer = send(client, secret, [ride(i) for i in range(100)])

    assert answer.status_code == 413
    assert answer.json()["hint"] == "send it in parts"
