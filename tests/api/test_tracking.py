"""Runs over HTTP: what they logged, described, deleted, restored."""

import httpx
import pytest

import cd4ml
from cd4ml.loop import Project
from tests.api.test_app import post
from tests.starter import ADMIN


@pytest.fixture
def logged(project: Project) -> int:
    """The number of a run with a curve."""
    with cd4ml.run("curves", project=project.folder, actor=ADMIN) as run:
        for value in (1.0, float("nan"), float("inf")):
            run.log(loss=value)
        return run.number


def test_a_metric_is_read_at_each_step(client: httpx.Client, logged: int) -> None:
    points = client.get(f"/api/runs/{logged}/points", params={"metric": "loss"}).json()
    last = client.get(
        f"/api/runs/{logged}/points", params={"metric": "loss", "skip": 2, "limit": 5}
    ).json()
    details = client.get(f"/api/runs/{logged}/logged").json()

    assert [(point["step"], point["value"]) for point in points] == [(0, 1.0), (1, None), (2, None)]
    assert [point["step"] for point in last] == [2]
    assert [(each["name"], each["n_points"]) for each in details["metrics"]] == [("loss", 3)]


def test_a_run_is_described_deleted_and_restored(client: httpx.Client, logged: int) -> None:
    described = post(client, f"/runs/{logged}/describe", name="first", tags={"team": "ops"})
    there = client.get("/api/runs", params={"where": "tags.team = 'ops'"}).json()
    deleted = post(client, f"/runs/{logged}/delete")
    gone = client.get("/api/runs", params={"where": "tags.team = 'ops'"}).json()
    restored = post(client, f"/runs/{logged}/restore")
    nobody = post(client, f"/runs/{logged}/delete", actor="nobody")

    assert (described[0], described[1]["name"], described[1]["tags"]) == (
        200,
        "first",
        {"team": "ops"},
    )
    assert [each["run"]["number"] for each in there] == [logged]
    assert deleted[1]["deleted_at"] is not None
    assert gone == []
    assert restored[1]["deleted_at"] is None
    assert nobody[0] == 404


def test_a_mistake_in_a_filter_points_at_its_place(client: httpx.Client) -> None:
    answer = client.get("/api/runs", params={"where": "metrics.auc >> 1"})

    assert answer.status_code == 422
    assert answer.json()["error"].splitlines() == [
        "expected a value, got '>':",
        "    metrics.auc >> 1",
        "                 ^",
    ]
