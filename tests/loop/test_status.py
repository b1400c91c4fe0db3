"""The eight stages as they stand."""

import pytest

from cd4ml.errors import PipelineError
from cd4ml.loop import Project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.retrain import ask
from cd4ml.loop.status import Stage, status
from cd4ml.loop.train import train
from cd4ml.loop.work import work
from tests.loop.test_promote import second
from tests.loop.test_roll_out import begin
from tests.loop.world import ANN, BEGIN, EVE, live

NAMES = [
    "data",
    "pipeline",
    "experiments",
    "gates",
    "release",
    "serving",
    "monitoring",
    "feedback",
]


def stage(project: Project, name: str) -> Stage:
    return next(stage for stage in status(project).stages if stage.name == name)


def test_a_new_project_is_idle_and_says_what_comes_next(project: Project) -> None:
    now = status(project)

    assert (now.project, now.now, now.is_simulated) == ("small", BEGIN, True)
    assert [stage.name for stage in now.stages] == NAMES
    assert {stage.state for stage in now.stages} == {"idle"}
    assert [stage.headline for stage in now.stages] == [
        "no dataset yet: cd4ml data add NAME",
        "no run yet: cd4ml run",
        "nothing to compare yet",
        "nothing judged yet: cd4ml gate run/N",
        "nothing released yet",
        "no endpoint yet",
        "no window measured yet",
        "no retraining asked for yet",
    ]


def test_a_released_project_says_what_is_in_charge(released: Project) -> None:
    headlines = {stage.name: (stage.headline, stage.state) for stage in status(released).stages}

    assert headlines["data"] == ("1 dataset", "good")
    assert headlines["pipeline"] == ("run/1 finished", "good")
    assert headlines["experiments"] == ("1 run", "good")
    assert headlines["gates"] == ("run/1: pass", "good")
    assert headlines["release"] == ("delay/1 in production", "good")
    assert headlines["serving"] == ("0 predictions on record", "idle")


def test_what_waits_for_a_person_asks_for_attention(released: Project) -> None:
    second(released)

    waiting = stage(released, "release")

    assert (waiting.headline, waiting.state) == ("release/4 waits for approval", "attention")
    assert waiting.facts == (
        ("production", "delay/1"),
        ("staging", "delay/2"),
        ("release/4", "delay/2 to production"),
    )


def test_a_rollout_is_at_work(released: Project) -> None:
    begin(released)

    rolling = stage(released, "release")

    assert (rolling.headline, rolling.state) == ("release/4 is rolling out", "working")
    assert ("production", "delay/1") in rolling.facts
    assert rolling.facts[-1] == ("release/4", "delay/2 to production")


def test_what_failed_asks_for_attention(project: Project) -> None:
    with pytest.raises(PipelineError):
        train(project, overrides={"delay.strength": 0.0}, actor=ANN)

    failed = stage(project, "pipeline")
    assert (failed.headline, failed.state) == ("run/1 failed", "attention")
    assert stage(project, "experiments").facts == (("failed", "1"),)
    evaluate(
        project,
        train(project, overrides={"training.upside_down": True}, actor=ANN).run.ref,
        actor=ANN,
    )
    refused = stage(project, "gates")
    assert (refused.headline, refused.state) == ("run/2: fail", "attention")


def test_a_retraining_somebody_asked_for_is_seen(released: Project) -> None:
    ask(released, reason="new winds", actor=EVE)
    asked = stage(released, "feedback")
    assert (asked.headline, asked.state) == ("retraining queued", "working")

    live(released, 20)
    work(released, owner="worker")

    done = stage(released, "feedback")
    assert (done.headline, done.state) == ("retraining done", "good")
    assert done.facts[1][1].startswith("delay/2 passed")
    assert stage(released, "monitoring").headline == "no window measured yet"


def test_a_measured_window_is_shown(released: Project) -> None:
    live(released, 30)
    work(released, owner="worker")

    monitoring = stage(released, "monitoring")

    assert monitoring.headline.startswith("01 Feb to 02 Feb: ")
    assert monitoring.facts[0] == ("labelled", "100.0%")
