"""Delivery, webhooks and replay over HTTP."""

import httpx

from cd4ml.loop import Project
from cd4ml.loop.promote import approve
from tests.api.test_app import post
from tests.starter import MANAGER


def test_what_is_in_production_and_how_it_goes(client: httpx.Client, project: Project) -> None:
    approve(project, "release/2", reason="looks good", actor=MANAGER)

    (now,) = client.get("/api/production").json()
    (total,) = client.get("/api/metrics").json()
    wrong = client.get("/api/metrics?by=century")

    assert [each["version"] for each in now["versions"]] == ["diagnosis/1"]
    assert now["versions"][0]["approved"][0]["by"] == MANAGER
    assert total["releases"] == 1
    assert wrong.status_code == 422
    assert "by" in wrong.json()["error"]


def test_past_candidates_are_judged_by_gates_that_are_sent(client: httpx.Client) -> None:
    status, own = post(client, "/gate/replay")
    _, strict = post(client, "/gate/replay", policy='[[gate]]\nmetric = "auc"\nat_least = 1.0\n')
    refused, fault = post(client, "/gate/replay", policy="[[gate]]\nmetric = 3\n")

    assert status == 200
    assert [each["again"]["outcome"] for each in own["candidates"]] == ["pass"]
    assert [each["again"]["outcome"] for each in strict["candidates"]] == ["fail"]
    assert refused == 400
    assert fault["error"].startswith("policy: expected `str`, got `int` - at `gate[0].metric`")


def test_a_webhook_that_is_not_there_cannot_be_told(client: httpx.Client) -> None:
    assert client.get("/api/webhooks").json() == []
    status, fault = post(client, "/webhooks/chat/resend")

    assert status == 404
    assert fault["error"] == "no webhook named 'chat' in cd4ml.toml"
