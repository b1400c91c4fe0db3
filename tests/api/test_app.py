import httpx
import msgspec
import pytest

from cd4ml.api.routes import ENDPOINTS
from cd4ml.loop import Project
from cd4ml.loop.releases import release_details
from cd4ml.loop.status import status
from tests.starter import ADMIN, MANAGER

EMPTY = (
    "/api/production",
    "/api/webhooks",
    "/api/deliveries",
    "/api/reviews",
    "/api/tokens",
    "/api/windows",
    "/api/alerts",
    "/api/pulls",
    "/api/models/history",
)

READINGS = [
    "/api/status",
    "/api/datasets",
    "/api/datasets?query=breast",
    "/api/datasets/patients",
    "/api/datasets/patients@1",
    "/api/pulls?name=patients&limit=1",
    "/api/datasets/patients@1/profile",
    "/api/diff?before=patients@1&after=patients&key=mean_area,mean_texture",
    "/api/datasets/patients/log?limit=1",
    "/api/datasets/patients@1/files",
    "/api/datasets/patients?as_of=2999-12-31",
    "/api/runs?limit=1",
    "/api/runs?where=state+%3D+'finished'&sort=number&skip=0",
    "/api/runs/1",
    "/api/runs/1/logged",
    "/api/experiments",
    "/api/searches?limit=1",
    "/api/searches/1",
    "/api/models",
    "/api/models/registered",
    "/api/models/card/diagnosis/1",
    "/api/models/history/diagnosis",
    "/api/verdicts",
    "/api/verdicts/1",
    "/api/verdicts/1/slices?metric=brier&min_rows=20",
    "/api/releases",
    "/api/releases/2",
    "/api/production?at=2013-03-03T14:00&environment=staging",
    "/api/metrics?by=week&last=2",
    "/api/webhooks",
    "/api/deliveries?state=waiting",
    "/api/windows?environment=production",
    "/api/alerts",
    "/api/why/diagnosis/1",
    "/api/why/patients@1",
    "/api/lineage/patients@1?way=down&limit=5",
    "/api/lineage/run/1/training",
    "/api/impact/diagnosis/1",
    "/api/ledger?subject=release/2&limit=3",
    "/api/audit",
    "/api/people",
    "/api/reviews",
    "/api/tokens",
]


def post(
    client: httpx.Client, path: str, *, actor: str = ADMIN, **body: object
) -> tuple[int, dict]:
    answer = client.post(f"/api{path}", json=body, headers={"cd4ml-actor": actor})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("path", READINGS)
def test_every_reading_answers_in_json(client: httpx.Client, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() or path.startswith(EMPTY)


def test_every_reading_is_tried() -> None:
    tried = {path.split("?")[0].split("/")[2] for path in READINGS}

    assert {each.path.split("/")[1] for each in ENDPOINTS if each.method == "GET"} - tried == {
        "comparison",  # takes two runs
        "explain",  # takes a prediction: tests/api/test_explain.py
    }


def test_an_answer_is_what_the_loop_returns(client: httpx.Client, project: Project) -> None:
    expected = msgspec.to_builtins(status(project).stages)

    assert client.get("/api/status").json()["stages"] == [
        {**stage, "facts": [list(fact) for fact in stage["facts"]]} for stage in expected
    ]


def test_a_dataset_is_shown_as_of_a_moment(client: httpx.Client) -> None:
    known = client.get("/api/datasets/patients", params={"as_of": "2999-12-31"}).json()
    before = client.get("/api/datasets/patients", params={"as_of": "2013-03-01"})
    wrong = client.get("/api/datasets/patients", params={"as_of": "soon"})

    assert (known["version"]["number"], known["n_known"]) == (1, 569)
    assert before.status_code == 404
    assert before.json()["error"] == (
        "the dataset 'patients' had no version on 2013-03-01T00:00:00+00:00"
    )
    assert (wrong.status_code, wrong.json()) == (
        422,
        {
            "error": "expected a date or time, got 'soon'",
            "hint": "for example 2013-03-01 or 2013-03-01T09:30",
        },
    )


def test_somebody_else_approves_and_the_version_is_in_charge(
    client: httpx.Client, project: Project
) -> None:
    own = post(client, "/releases/2/approve", reason="mine")
    agreed = post(client, "/releases/2/approve", actor=MANAGER, reason="looks good")

    assert own == (
        403,
        {
            "error": "ann may not approve release/2: who requests a release does not approve it",
            "hint": "somebody else with the role release-manager has to",
        },
    )
    assert (agreed[0], agreed[1]["state"]) == (200, "released")
    assert release_details(project, "2").approvals[0].reason == "looks good"


def test_a_release_is_rejected_with_a_reason(client: httpx.Client) -> None:
    code, release = post(client, "/releases/2/reject", actor=MANAGER, reason="too early")

    assert (code, release["state"]) == (200, "rejected")


def test_a_loop_goes_round_over_http(client: httpx.Client) -> None:
    assert post(client, "/datasets", name="patients")[1]["number"] == 1
    assert post(client, "/gate", run="run/1")[1]["version"]["number"] == 1
    assert post(client, "/people", name="cy", roles=["reader"])[1]["roles"] == ["reader"]
    assert post(client, "/releases/2/approve", actor=MANAGER, reason="good")[0] == 200
    standing = post(
        client,
        "/standing-approvals",
        actor=MANAGER,
        model="diagnosis",
        environment="production",
        until="2090-01-01T00:00:00Z",
        reason="retrained ones that pass",
    )
    assert standing[1]["roles"] == ["release-manager"]
    again = post(client, "/releases", version="diagnosis/1", to="production")
    assert again[0] == 409
    assert post(client, "/undo", environment="production", reason="back")[0] == 403
    assert post(client, "/retrain", reason="spring")[1]["state"] == "queued"
    assert client.get("/api/audit").json()["entries"] > 10


def test_labels_are_taken_in_or_refused_as_a_whole(client: httpx.Client) -> None:
    code, fault = post(client, "/labels", labels=[{"prediction_id": "x", "value": 1}])

    assert code == 422
    assert fault["error"].startswith("no label was kept: 1 of 1 rows are not labels")


def test_a_missing_thing_is_404_and_says_what_there_is(client: httpx.Client) -> None:
    answer = client.get("/api/releases/99")

    assert answer.status_code == 404
    assert answer.json() == {"error": "no release '99'", "hint": "known: 1, 2"}


def test_nobody_acts_without_a_name(client: httpx.Client) -> None:
    answer = client.post("/api/retrain", json={"reason": "spring"})

    assert answer.status_code == 401
    assert answer.json() == {
        "error": "who does it? the header cd4ml-actor is missing",
        "hint": "cd4ml people list shows the names",
    }


def test_nobody_acts_under_a_name_that_is_not_known(client: httpx.Client) -> None:
    code, fault = post(client, "/gate", actor="mallory", run="run/1")

    assert code == 404
    assert fault["error"] == "nobody named 'mallory' works on this project"


def test_a_name_of_any_language_can_act(client: httpx.Client) -> None:
    assert post(client, "/people", name="Zo\u00eb \u98db", roles=["admin"])[0] == 200

    code, _ = post(client, "/people", actor="Zo%C3%AB%20%E9%A3%9B", name="dee", roles=[])

    assert code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"reason": "\xff"}', b"NaN", b'{"reason": NaN}', b"[" * 10_000]
)
def test_what_is_not_json_is_400(client: httpx.Client, body: bytes) -> None:
    headers = {"cd4ml-actor": ADMIN, "content-type": "application/json"}

    answer = client.post("/api/retrain", content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the body is not JSON: ")


def test_a_form_of_another_site_cannot_act(client: httpx.Client, project: Project) -> None:
    """A browser sends forms without asking first, but none of them is JSON."""
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""):
        headers = {"cd4ml-actor": ADMIN, "content-type": kind}
        answer = client.post("/api/releases/2/approve", content=b'{"reason": "x"}', headers=headers)
        assert answer.status_code == 415

    assert release_details(project, "2").release.state == "awaiting_approval"


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/retrain", {}, "POST /retrain: Object missing required field `reason`"),
        (
            "/retrain",
            {"reason": 3},
            "POST /retrain: Expected `str`, got `int` - at `reason`",
        ),
        (
            "/retrain",
            {"reason": "x", "force": True},
            "POST /retrain: Object contains unknown field `force`",
        ),
        (
            "/releases/2/approve",
            {"reason": "x", "number": "1"},
            "POST /releases/{number}/approve: number is in the path already",
        ),
    ],
)
def test_a_wrong_field_is_named(
    client: httpx.Client, path: str, body: dict[str, object], error: str
) -> None:
    code, fault = post(client, path, **body)

    assert (code, fault["error"]) == (422, error)


@pytest.mark.parametrize(
    "path", ["/api/runs?limit=many", "/api/runs?newest=1", "/api/status?verbose=1"]
)
def test_a_wrong_query_is_422(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 422


def test_a_list_is_no_request(client: httpx.Client) -> None:
    answer = client.post("/api/retrain", json=["spring"], headers={"cd4ml-actor": ADMIN})

    assert answer.status_code == 422
    assert answer.json()["error"] == "expected a JSON object, got list"


def test_paths_and_methods_that_are_not_there_are_json_too(client: httpx.Client) -> None:
    unknown, wrong = client.get("/api/nothing"), client.delete("/api/releases/2")

    assert (unknown.status_code, wrong.status_code) == (404, 405)
    assert unknown.json() == {"error": "GET /api/nothing: Not Found", "hint": ""}
    assert "GET" in wrong.headers["allow"]


def test_a_bug_is_500_without_its_inside(
    project: Project, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_project: Project) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("cd4ml.loop.status.status", break_down)

    answer = client.get("/api/status")

    assert answer.status_code == 500
    assert answer.json() == {
        "error": "a bug of cd4ml: ZeroDivisionError",
        "hint": "see the server's log",
    }
