"""What an endpoint says while it has no plan, and of the one that it knows from before."""

import logging
from pathlib import Path

import pytest

from cd4ml.serving.watcher import Watcher
from cd4ml.store.project import open_project
from tests.models.builders import boosted
from tests.serving.builders import Released, arm, server, until


def watcher(folder: Path) -> Watcher:
    made = Watcher(open_project(folder), "production", "worker", "http://127.0.0.1:1")
    made.start()
    return made


def test_callers_learn_no_paths_of_a_database_that_is_away(
    project: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = f"sqlite:///{tmp_path}/nowhere/cd4ml.db"
    with server(project.folder, CD4ML_DATABASE=away) as running, running.caller() as caller:
        until(lambda: "cannot be asked" in caller.ask().json["error"])
        refused = caller.ask()
        log = (project.folder / "server.log").read_text()

    assert refused.status == 503
    assert str(tmp_path) in log
    assert str(tmp_path) not in refused.body.decode()
    assert refused.json == {
        "error": "what is released in production cannot be asked: "
        "Unavailable: the database does not work",
        "hint": "the server's log has the whole reason; wait for GET /ready",
        "violations": [],
    }


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
