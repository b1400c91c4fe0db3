"""What an endpoint says while it has no plan, and of the one that it knows from before."""

import json
import logging
from pathlib import Path

import pytest

from cd4ml.serving import trouble
from cd4ml.serving.pages import page
from cd4ml.serving.watcher import Watcher
from cd4ml.store.clock import SimulatedClock
from cd4ml.store.project import open_project
from tests.models.builders import AT, boosted
from tests.serving.builders import Released, arm, server, until


def watcher(folder: Path) -> Watcher:
    made = Watcher(open_project(folder), "production", "worker", "http://127.0.0.1:1")
    made.start()
    return made


def test_callers_learn_no_paths_of_a_database_that_is_away(
    project: Released, tmp_path: Path
) -> None:
    (tmp_path / "no folder").write_text("")
    away = f"sqlite:///{tmp_path}/no folder/cd4ml.db"
    with server(project.folder, plan=None, CD4ML_DATABASE=away) as running:
        with running.caller() as caller:
            until(lambda: "cannot be asked" in caller.get("/ready").json["error"])
        with running.caller() as caller:
            refused = caller.ask()
        log = (project.folder / "server.log").read_text()

    assert refused.status == 503
    assert str(tmp_path) in log
    assert str(tmp_path) not in refused.body.decode()
    assert refused.json == {
        "error": "what is released in production cannot be asked: a store of the project is away",
        "hint": "the server's log has the whole reason; wait for GET /ready",
        "violations": [],
    }


def test_a_process_that_cannot_record_is_not_ready_and_says_why(
    project: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "_PATIENCE_S", 0.0)
    project.plan(arm(project.model(boosted(max_iter=2))))
    seen = watcher(project.folder)
    until(lambda: seen.endpoint is not None)
    seen.stop()
    seen.trouble = trouble.Trouble(SimulatedClock(AT))
    asked = ("/ready", "/ping", "/v2/health/ready", "/v2/models/delay/ready", "/live", "/contract")

    def statuses() -> list[int]:
        return [page(seen, "GET", path).status for path in asked]

    well = statuses()
    seen.trouble.happens("No space left on device", n=3)
    full, said = statuses(), page(seen, "GET", "/ready").body
    seen.trouble.is_over()

    assert well == statuses() == [200] * 6
    assert full == [503, 503, 503, 503, 200, 200]
    assert json.loads(said)["error"] == (
        "answers cannot be recorded, so none is given: No space left on device"
    )


def test_a_plan_that_is_known_from_before_is_named_in_the_log(
    project: Released, caplog: pytest.LogCaptureFixture
) -> None:
    project.plan(arm(project.model(boosted(max_iter=2))))
    first = watcher(project.folder)
    until(lambda: first.endpoint is not None)
    first.stop()
    caplog.clear()

    with caplog.at_level(logging.INFO):
        second = watcher(project.folder)
        second.stop()

    told = [each.getMessage() for each in caplog.records if "answers with" in each.getMessage()]
    assert told == ["production answers with plan 1, which it knows from before"]


@pytest.mark.parametrize("damaged", ["plan.json", "blobs"])
def test_a_damaged_memory_is_one_line_in_the_log(
    project: Released, caplog: pytest.LogCaptureFixture, damaged: str
) -> None:
    project.plan(arm(project.model(boosted(max_iter=2))))
    first = watcher(project.folder)
    until(lambda: first.endpoint is not None)
    first.stop()
    memory = project.folder / ".cd4ml/serving/production"
    files = [memory / damaged] if damaged == "plan.json" else [*(memory / damaged).rglob("*")]
    for file in filter(Path.is_file, files):
        file.chmod(0o644)
        file.write_text("{")
    caplog.clear()

    second = watcher(project.folder)
    until(lambda: second.endpoint is not None)
    second.stop()

    (said,) = [each for each in caplog.records if "cannot be used" in each.getMessage()]
    assert said.exc_info is None
    assert "\n" not in said.getMessage()
    assert said.getMessage().startswith("the last known plan of production cannot be used: ")
