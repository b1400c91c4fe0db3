"""A plan changes under load: nobody notices, and every answer names the version that gave it."""

import json
import threading
from collections import Counter

import pytest

from cd4ml.models.assignment import position
from cd4ml.models.runtime import load
from tests.models.builders import ROW, boosted, fragile, logistic
from tests.serving.builders import BODY, Released, Server, arm, server, until

pytestmark = pytest.mark.slow  # each test starts a server


class Load:
    """Callers that ask without a pause, each on a connection of its own."""

    def __init__(self, running: Server, n_callers: int = 3) -> None:
        self.replies: list[tuple[int, bytes]] = []
        self.failures: list[Exception] = []
        self._is_over = threading.Event()
        self._running = running
        self._threads = [threading.Thread(target=self._ask) for _ in range(n_callers)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with self._running.caller() as caller:
            while not self._is_over.is_set():
                try:
                    reply = caller.ask()
                except Exception as error:
                    self.failures.append(error)
                    return
                self.replies.append((reply.status, reply.body))


def test_swaps_under_load_fail_nobody_and_mix_nothing_up(project: Released) -> None:
    artifacts = {1: project.model(boosted()), 2: project.model(logistic())}
    score = {
        number: load(project.project.blobs, artifact, is_trusted=lambda _: False).score([ROW])[0]
        for number, artifact in artifacts.items()
    }
    project.plan(arm(artifacts[1]))

    with server(project.folder) as running, Load(running) as under:
        for number in (2, 1, 2, 1, 2):
            plan = project.plan(arm(artifacts[number], number=number))
            running.wait_for_plan(plan.number)

    assert not under.failures
    assert {status for status, _ in under.replies} == {200}
    answers = [json.loads(body)["predictions"][0] for _, body in under.replies]
    assert {answer["plan"] for answer in answers} == {1, 2, 3, 4, 5, 6}
    for answer in answers:
        assert answer["number"] == (2 if answer["plan"] % 2 == 0 else 1)
        assert answer["artifact"] == artifacts[answer["number"]]
        assert answer["score"] == score[answer["number"]]
    captured = {line["prediction_id"]: line for line in project.captured()}
    for answer in answers:
        line = captured[answer["prediction_id"]]
        assert (line["plan"], line["artifact"]) == (answer["plan"], answer["artifact"])


def test_canary_and_shadow_get_their_shares(project: Released) -> None:
    old, new, other = (project.model(m) for m in (boosted(), logistic(), logistic(c=0.1)))
    project.plan(
        arm(old, weight=75),
        arm(new, "canary", number=2, weight=25),
        arm(other, "shadow", number=3, weight=0),
    )

    with server(project.folder) as running:
        with running.caller() as caller:
            keys = [f"customer-{i}" for i in range(400)]
            answers = [caller.ask(cd4ml_key=key).json["predictions"][0] for key in keys]
            unkeyed = [caller.ask().json["predictions"][0] for _ in range(400)]
        assert running.end() == 0

    expected = [2 if position(1, key) < 25 else 1 for key in keys]
    assert [answer["number"] for answer in answers] == expected
    assert 60 < sum(answer["number"] == 2 for answer in unkeyed) < 140
    lines = project.captured()
    assert Counter(line["role"] for line in lines)["shadow"] == 800
    answered = {line["prediction_id"] for line in lines if line["role"] != "shadow"}
    copied = {line["prediction_id"] for line in lines if line["role"] == "shadow"}
    assert answered == copied == {a["prediction_id"] for a in answers + unkeyed}
    assert Counter(line["key"] for line in lines if line["role"] == "shadow")[""] == 400
    assert {line["number"] for line in lines if line["role"] == "shadow"} == {3}


def test_failures_of_new_versions_reach_the_record_and_no_caller(project: Released) -> None:
    old, new = project.model(boosted()), project.model(fragile())
    breaking = json.dumps(ROW | {"wind": 99.5}).encode()
    project.plan(arm(old, weight=0), arm(new, "canary", number=2))

    with server(project.folder) as running, running.caller() as caller:
        (by_champion,) = caller.ask(breaking).json["predictions"]
        (by_canary,) = caller.ask().json["predictions"]
        project.plan(arm(old), arm(new, "shadow", number=2, weight=0))
        running.wait_for_plan(2)
        (beside_shadow,) = caller.ask(breaking).json["predictions"]
        project.plan(arm(new, number=2))
        running.wait_for_plan(3)
        unanswered = caller.ask(breaking)
        assert caller.ask().status == 200
        running.end()

    assert (by_champion["number"], by_canary["number"]) == (1, 2)
    assert beside_shadow["number"] == 1
    scores = {(line["prediction_id"], line["role"]): line["score"] for line in project.captured()}
    assert scores[by_champion["prediction_id"], "canary"] is None
    assert scores[by_champion["prediction_id"], "champion"] == by_champion["score"]
    assert scores[beside_shadow["prediction_id"], "shadow"] is None
    assert unanswered.status == 500
    assert unanswered.json["error"] == (
        "the model delay/2 failed on a request that keeps its contract"
    )
    log = (project.folder / "server.log").read_text()
    assert "ArithmeticError: no wind blows like that" in log


def test_a_plan_that_cannot_be_loaded_leaves_the_old_one_in_force(project: Released) -> None:
    good = project.model(boosted())
    project.plan(arm(good))

    with server(project.folder) as running, running.caller() as caller:
        project.plan(arm("blake3:" + "0" * 64, number=2))
        log = project.folder / "server.log"
        until(lambda: "keeps its plan: NotFound" in log.read_text())
        assert caller.ask().json["predictions"][0]["plan"] == 1
        project.plan(arm(good, number=3))
        running.wait_for_plan(3)

    assert log.read_text().count("keeps its plan") == 1


def test_a_server_says_what_it_answers_with(project: Released) -> None:
    project.plan(arm(project.model(boosted())))

    with server(project.folder) as running:
        with running.caller() as caller:
            assert caller.ask(BODY).status == 200
        running.end()
        (worker,) = project.workers()

    assert (worker.environment, worker.plan, worker.n_answered) == ("production", 1, 1)
    assert worker.address == f"http://127.0.0.1:{running.port}"
    assert worker.process == running.process.pid


def test_a_plan_that_cannot_be_loaded_is_said_so(project: Released) -> None:
    artifact = project.model(boosted())
    project.plan(arm(artifact))
    digest = artifact.removeprefix("blake3:")
    (project.folder / ".cd4ml" / "blobs" / digest[:2] / digest[2:]).unlink()

    with server(project.folder, plan=None) as running, running.caller() as caller:
        until(lambda: "cannot be loaded" in caller.get("/ready").json["error"])
        for reply in (caller.get("/ready"), caller.ask()):
            assert reply.status == 503
            assert reply.json["error"] == (
                f"plan/1 of production cannot be loaded: NotFound: the blob store has nothing at"
                f" {artifact}"
            )


def test_without_a_plan_the_server_waits_for_one(project: Released) -> None:
    artifact = project.model(boosted())

    with server(project.folder, plan=None) as running, running.caller() as caller:
        assert caller.get("/health").status == 200
        for reply in (caller.get("/ready"), caller.ask()):
            assert reply.status == 503
            assert reply.json["error"] == "nothing is released in production yet"
            assert reply.json["hint"] == "cd4ml release; then wait for GET /ready"
        project.plan(arm(artifact))
        running.wait_for_plan(1)
        assert caller.ask().status == 200
