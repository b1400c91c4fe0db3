"""Requests are governed over HTTP as anywhere, and a token goes as far as its scopes."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from cd4ml.api.endpoint import Acting, Minting, Receiving
from cd4ml.api.routes import ENDPOINTS
from cd4ml.api.scopes import act_of
from cd4ml.loop import Project, open_project
from cd4ml.loop.audit_keys import make_key
from cd4ml.loop.tokens import SCOPES, make_token, revoke_token
from cd4ml.store import tokens
from tests.api.test_app import post
from tests.browser import browser
from tests.starter import ADMIN, MANAGER

URGENT = """
[environments.production.emergency]
roles = ["release-manager"]
"""


def secret(project: Project, *scopes: str, name: str = MANAGER) -> str:
    return make_token(project, name, scopes=scopes, actor=name).secret


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def test_a_request_is_sent_back_asked_for_again_and_withdrawn(client: httpx.Client) -> None:
    path = "/releases/2"

    code, sent_back = post(client, f"{path}/request-changes", actor=MANAGER, reason="say more")
    assert (code, sent_back["state"]) == (200, "changes_requested")
    assert post(client, f"{path}/again", actor=MANAGER, reason="x")[0] == 403
    code, again = post(client, f"{path}/again", reason="said")
    assert (code, again["state"], again["round"]) == (200, "awaiting_approval", 2)
    details = client.get("/api/releases/2").json()
    assert details["evidence"]["verdict"] == "verdict/1"
    code, fault = post(client, f"{path}/approve", actor=MANAGER, reason="x", content="0" * 12)
    assert (code, fault["error"][:60]) == (
        403,
        "release/2 was not approved: what was looked at is 0000000000"[:60],
    )
    code, withdrawn = post(client, f"{path}/withdraw", reason="too early")
    assert (code, withdrawn["state"]) == (200, "withdrawn")


def test_an_emergency_is_reviewed_and_undone_over_http(folder: Path) -> None:
    with (folder / "cd4ml.toml").open("a") as file:
        file.write(URGENT)
    with open_project(folder) as project, browser(project) as client:
        post(client, "/releases/2/abort", reason="it burns")
        asked = {"version": "diagnosis/1", "to": "production", "reason": "it burns"}
        code, fault = post(client, "/releases", **asked, emergency=True)
        assert (code, fault["error"]) == (
            403,
            "ann may not release diagnosis/1 to production in an emergency: it needs the role"
            " release-manager, has admin",
        )

        code, went = post(client, "/releases", actor=MANAGER, **asked, emergency=True)

        assert (code, went["state"], went["is_emergency"]) == (200, "released", True)
        assert [each["number"] for each in client.get("/api/reviews").json()] == [3]
        assert "an emergency that nobody has reviewed" in client.get("/").text
        page = client.get("/releases/3").text
        assert 'value="review"' in page
        assert post(client, "/releases/3/review", actor=MANAGER, reason="fine")[0] == 403
        post(client, "/people", name="cy", roles=["release-manager"])
        assert post(client, "/releases/3/review", actor="cy", reason="it did")[0] == 200
        assert client.get("/api/reviews").json() == []
        code, fault = post(client, "/releases/3/undo", actor="cy", reason="worse")
        assert (code, fault["error"]) == (
            403,
            "release/3 was not undone: it is the first in production",
        )


def test_a_token_goes_as_far_as_its_scopes(client: httpx.Client, project: Project) -> None:
    narrow = bearer(secret(project, "approve:staging", "read"))
    right = bearer(secret(project, "approve:production"))
    decide = {"json": {"reason": "looks good"}}

    refused = client.post("/api/releases/2/approve", headers=narrow, **decide)
    looked = client.get("/api/releases", headers=right)
    agreed = client.post("/api/releases/2/approve", headers=right, **decide)

    assert (refused.status_code, refused.json()) == (
        403,
        {
            "error": "token/1 of bo is too narrow: this needs approve:production, it has"
            " approve:staging, read",
            "hint": "cd4ml token create bo --scope approve:production",
        },
    )
    assert (looked.status_code, looked.json()["error"]) == (
        403,
        "token/2 of bo is too narrow: this needs read, it has approve:production",
    )
    assert (agreed.status_code, agreed.json()["state"]) == (200, "released")
    assert client.get("/api/releases", headers=narrow).status_code == 200


def test_an_expired_token_is_401_with_words(client: httpx.Client, project: Project) -> None:
    shown = tokens.new_secret()
    with project.database.write() as connection:
        tokens.add(
            connection,
            shown,
            actor=MANAGER,
            by=MANAGER,
            at=datetime(2026, 1, 1, tzinfo=UTC),
            expires_at=datetime(2026, 1, 2, tzinfo=UTC),
        )

    decide = {"json": {"reason": "good"}, "headers": bearer(shown)}
    answer = client.post("/api/releases/2/approve", **decide)

    assert (answer.status_code, answer.json()) == (
        401,
        {
            "error": "token/1 of bo is worthless: it expired at 2026-01-02 00:00",
            "hint": "cd4ml token create NAME makes another one",
        },
    )
    assert client.get("/api/releases/2").json()["release"]["state"] == "awaiting_approval"


@pytest.mark.parametrize("each", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_every_act_has_a_scope(each: object) -> None:
    if isinstance(each, Acting | Minting | Receiving):
        act = act_of(each.path, each.method)
        assert act in SCOPES
        assert act not in ("read", "all"), "a new address belongs into api/scopes.py"


def test_mlflow_s_clients_need_a_token_that_tracks(client: httpx.Client, project: Project) -> None:
    path = "/api/2.0/mlflow/experiments/get?experiment_id=0"

    assert client.get(path, headers=bearer(secret(project, "track"))).status_code != 403
    refused = client.get(path, headers=bearer(secret(project, "read")))
    assert refused.status_code == 403
    assert "this needs track, it has read" in refused.json()["message"]


def test_tokens_are_made_listed_and_revoked_over_http(client: httpx.Client) -> None:
    code, made = post(client, "/tokens", name=MANAGER, scopes=["push:flights"], note="loader")
    assert (code, made["token"]["scopes"], made["secret"][:6]) == (200, ["push:flights"], "cd4ml_")
    assert client.get("/api/tokens").json() == [made["token"]]
    assert made["secret"] not in client.get("/api/tokens").text
    code, ended = post(client, "/tokens/1/revoke", actor=MANAGER)
    assert (code, ended["revoked_because"]) == (200, "revoked by bo")
    assert post(client, "/tokens", name=MANAGER, scopes=["fly"])[0] == 422
    naive = post(client, "/tokens", name=MANAGER, scopes=["read"], until="2090-01-01T00:00:00")
    assert naive[0] == 422


def test_the_ledger_is_signed_over_http(client: httpx.Client, project: Project) -> None:
    assert post(client, "/audit/checkpoint")[0] == 404
    make_key(project, actor=ADMIN)

    code, made = post(client, "/audit/checkpoint")

    assert code == 200
    report = client.get("/api/audit").json()
    assert (report["signed_until"], report["checkpoints"]) == (made["sequence"], 1)


class TestDoor:
    """`cd4ml up --tokens`."""

    @pytest.fixture
    def closed(self, project: Project) -> Iterator[httpx.Client]:
        with browser(project, needs_token=True) as opened:
            yield opened

    @pytest.mark.parametrize("path", ["/", "/api/status", "/api/2.0/mlflow/experiments/search"])
    def test_strangers_see_nothing(self, closed: httpx.Client, path: str) -> None:
        for headers in ({}, {"cd4ml-actor": ADMIN}, bearer("cd4ml_guessed")):
            answer = closed.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Basic realm=")
            assert "diagnosis" not in answer.text
        assert closed.get(path).json() == {
            "error": "who asks? this server answers only who shows a token",
            "hint": "authorization: Bearer SECRET, of cd4ml token create NAME",
        }

    def test_that_it_is_there_is_no_secret(self, closed: httpx.Client) -> None:
        assert closed.get("/health").text == "OK"

    def test_a_browser_shows_a_name_and_the_token(
        self, closed: httpx.Client, project: Project
    ) -> None:
        shown = secret(project, "all")

        assert "release/2" in closed.get("/releases", headers=basic(MANAGER, shown)).text
        agreed = closed.post(
            "/api/releases/2/approve",
            json={"reason": "good"},
            headers={**basic(MANAGER, shown), "cd4ml-actor": MANAGER},
        )
        assert (agreed.status_code, agreed.json()["state"]) == (200, "released")
        other = closed.get("/releases", headers=basic(ADMIN, shown))
        assert (other.status_code, other.json()["error"]) == (
            403,
            "the token is bo's, and not 'ann''s",
        )

    def test_a_token_that_may_not_read_sees_no_page(
        self, closed: httpx.Client, project: Project
    ) -> None:
        shown = bearer(secret(project, "push"))

        assert closed.get("/", headers=shown).status_code == 403

    def test_a_revoked_token_is_a_stranger_s(self, closed: httpx.Client, project: Project) -> None:
        shown = secret(project, "all")
        revoke_token(project, "1", actor=ADMIN)

        assert closed.get("/", headers=bearer(shown)).status_code == 401


def test_an_admin_gets_no_secret_with_which_to_approve_as_somebody_else(
    client: httpx.Client, project: Project
) -> None:
    admin = bearer(secret(project, "admin", name=ADMIN))

    for scopes, own in ((["approve:production", "read"], "approve:production"), (["all"], "all")):
        answer = client.post("/api/tokens", headers=admin, json={"name": MANAGER, "scopes": scopes})
        assert (answer.status_code, answer.json()) == (
            403,
            {
                "error": f"ann may not make a token for bo with {own}: whoever has the secret would"
                " decide as bo",
                "hint": f"bo makes it: cd4ml --as bo token create bo --scope {own}",
            },
        )
    assert client.get("/api/releases/2").json()["release"]["state"] == "awaiting_approval"


def test_no_token_makes_one_that_goes_further_or_lasts_longer(
    client: httpx.Client, project: Project
) -> None:
    made = make_token(
        project,
        ADMIN,
        scopes=("admin", "read"),
        until=datetime(2090, 1, 1, tzinfo=UTC),
        actor=ADMIN,
    )
    used = {"headers": bearer(made.secret)}

    wide = client.post("/api/tokens", json={"name": ADMIN, "scopes": ["all"]}, **used)
    long = client.post(
        "/api/tokens",
        json={"name": ADMIN, "scopes": ["read"], "until": "2091-01-01T00:00:00Z"},
        **used,
    )
    narrow = client.post("/api/tokens", json={"name": MANAGER, "scopes": ["read"]}, **used)

    assert (wide.status_code, wide.json()["error"]) == (
        403,
        "token/1 of ann makes no token that goes further than itself: it has admin, read, and not"
        " all",
    )
    assert (long.status_code, long.json()["error"]) == (
        403,
        "token/1 of ann makes no token that lasts longer than itself: until 2090-01-01 00:00, got"
        " 2091-01-01 00:00",
    )
    assert narrow.status_code == 200
