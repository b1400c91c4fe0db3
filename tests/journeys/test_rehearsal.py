"""The whole story, `cd4ml demo`: undisturbed, and killed again and again."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from cd4ml.loop import open_project
from cd4ml.loop.audit import verify
from cd4ml.loop.evaluate import verdicts
from cd4ml.loop.rehearsal.production import months_of
from cd4ml.loop.rehearsal.stage import load_world
from cd4ml.loop.releases import release_details, releases
from cd4ml.loop.watch import alerts
from tests.journeys.command_line import CD4ML, Ran, cd4ml
from tests.services.processes import free_ports, is_free

pytestmark = [pytest.mark.journey, pytest.mark.slow, pytest.mark.timeout(900)]

FEBRUARY = {"n_predictions": 24_951, "n_labels": 23_611}


def words(folder: Path, months: int, port: int) -> list[str]:
    return ["demo", "--once", "--folder", str(folder), "--months", str(months), "--port", str(port)]


class Playing:
    """A rehearsal in a process of its own, which one can listen to."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.process = subprocess.Popen(
            [*CD4ML, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder.parent,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.told = ""

    def listen(self, for_words: str) -> None:
        """Until it says something."""
        for line in self._lines():
            if for_words in line:
                return
        raise AssertionError(f"it never said {for_words!r}:\n{self.told}")

    def kill(self, *, only_child: str = "") -> int:
        """Kill the rehearsal, or only one of its processes; returns how it ended."""
        victim = self._child(only_child) if only_child else self.process
        victim.kill()
        for _line in self._lines():
            pass
        return self.end()

    def end(self) -> int:
        """Its exit code, once it has ended."""
        for _line in self._lines():
            pass
        return self.process.wait(60)

    def _child(self, words: str) -> psutil.Process:
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if words in " ".join(child.cmdline()))

    def _lines(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told += line
            yield line


@contextmanager
def playing(command: list[str], folder: Path) -> Iterator[Playing]:
    """A rehearsal; whatever happens in the block, its process ends."""
    told = Playing(command, folder)
    try:
        yield told
    finally:
        told.process.kill()
        told.process.wait()
        if told.process.stdout is not None:
            told.process.stdout.close()


def answered(folder: Path) -> pl.DataFrame:
    """What production answered, without what shadows thought."""
    with open_project(folder) as project:
        predictions = project.log.predictions(environment="production")
        return predictions.filter(pl.col("role") != "shadow").collect()


def expected_keys(folder: Path, months: int) -> set[str]:
    """The requests that the world asks in some months."""
    with open_project(folder) as project:
        world = load_world(folder, project.settings.rehearsal.world)
    (start, _), *_ = spans = months_of(world.BEGIN, months)
    return set(world.requests(start, spans[-1][1])["key"])


def test_the_story_of_two_months(tmp_path: Path) -> None:
    folder = tmp_path / "flights"
    ran = cd4ml(*words(folder, 2, free_ports(3)), "--json", folder=tmp_path)
    assert ran.code == 0, ran.err
    report = ran.json

    february, march = report["months"]
    assert {name: february[name] for name in FEBRUARY} == FEBRUARY
    assert 0.60 < february["frozen_auc"] < 0.64
    assert february["loop_auc"] == february["frozen_auc"]
    assert march["loop_auc"] - march["frozen_auc"] >= 0.02
    assert march["loop_brier"] < march["frozen_brier"]
    assert (february["versions"], march["versions"]) == (["delay/1"], ["delay/1", "delay/2"])
    assert report["n_failed"] == 0
    assert report["n_requests"] == february["n_predictions"] + march["n_predictions"]
    _expect_what_the_project_remembers(folder)
    _expect_an_explanation(folder, report["explained"], ran)


def _expect_what_the_project_remembers(folder: Path) -> None:
    with open_project(folder) as project:
        outcomes = [verdict.outcome for verdict in verdicts(project)]
        assert outcomes == ["pass", "fail", "pass"]  # the best, the corrupted, the retrained
        assert {alert.kind for alert in alerts(project)} == {"drift", "performance"}
        first, second, third, retrained = releases(project)
        assert [r.state for r in (first, second, third, retrained)] == [
            "superseded",
            "superseded",
            "released",
            "released",
        ]
        assert (retrained.environment, retrained.is_retrained) == ("production", True)
        details = release_details(project, retrained.ref)
        (approval,) = details.approvals
        assert (approval.decided_by, approval.standing) == ("release-manager", 1)
        assert [_arms(plan.arms) for plan in details.plans] == [
            [("champion", 100.0), ("shadow", 0.0)],
            [("champion", 90.0), ("canary", 10.0)],
            [("champion", 50.0), ("canary", 50.0)],
            [("champion", 100.0)],
        ]
        assert [entry.action for entry in details.ledger] == [
            "release.requested",
            "approval.given",
            "release.begun",
            "release.advanced",
            "release.advanced",
            "release.advanced",
            "release.released",
        ]
        assert verify(project).entries > 50
        assert not project.log.set_aside()


def _arms(arms: Any) -> list[tuple[str, float]]:
    return [(arm.role, arm.weight_percent) for arm in arms]


def _expect_an_explanation(folder: Path, prediction: str, story: Ran) -> None:
    refused = "refused: data-scientist may not approve release/2"
    assert refused in story.err.replace("\n   ", " ")
    explained = cd4ml("why", prediction, "--json", folder=folder, actor="data-scientist").json
    said = {
        topic: [t for about, t in explained["sentences"] if about == topic]
        for topic, _ in explained["sentences"]
    }
    assert "by delay/2 as champion of plan/" in said["prediction"][0]
    assert said["model version"][0].startswith("delay/2, blake3:")
    assert any(text.startswith("release/4 of delay/2 to production") for text in said["release"])
    assert "covered by standing-approval/1" in said["approval"][0]
    assert said["verdict"][0].startswith("verdict/3 pass")
    assert "beside delay/1" in said["verdict"][0]
    assert {text.partition(":")[0] for text in said["data"]} == {
        "flights@1",
        "labelled@1",
        "planes@1",
        "weather@1",
    }
    assert said["code"][0].startswith("revision ")
    assert "(unchanged)" in said["code"][0]
    assert said["parameters"]
    assert said["truth"]


@pytest.mark.crash
def test_killed_again_and_again_it_comes_to_the_same_end(tmp_path: Path) -> None:
    chance = random.Random(20130201)
    folder, port = tmp_path / "flights", free_ports(3)
    command = words(folder, 1, port)

    for scene, within_s, victim in (
        ("cd4ml run --grid", 3.0, ""),
        ("February 2013 in production", 4.0, "serve --in production"),
        ("February 2013 in production", 4.0, ""),
    ):
        with playing(command, folder) as rehearsal:
            rehearsal.listen(scene)
            time.sleep(chance.uniform(0.2, within_s))
            code = rehearsal.kill(only_child=victim)
        assert code == (1 if victim else -signal.SIGKILL), rehearsal.told
        _expect_no_process_of_it(port)
    n_before = answered(folder).height
    with playing(command, folder) as rehearsal:
        assert rehearsal.end() == 0, rehearsal.told

    keys = answered(folder)["key"]
    assert 0 < n_before < keys.len()
    assert keys.is_unique().all()
    assert set(keys) == expected_keys(folder, 1)
    told = " ".join(rehearsal.told.split())
    assert "What it was worth" in told
    assert "0 without an answer" in told
    assert f"February {FEBRUARY['n_predictions']:,} {FEBRUARY['n_labels']:,} 0.619 0.619" in told
    with open_project(folder) as project:
        assert verify(project).entries > 50
        assert project.log.labels().collect().height == FEBRUARY["n_labels"]
        assert [verdict.outcome for verdict in verdicts(project)] == ["pass", "fail"]
        assert [release.state for release in releases(project)] == ["released", "released"]
    _expect_no_process_of_it(port)


def _expect_no_process_of_it(port: int) -> None:
    deadline = time.monotonic() + 15
    while not all(is_free(port + i) for i in range(3)):
        assert time.monotonic() < deadline, "its processes outlived it"
        time.sleep(0.1)


@pytest.mark.crash
def test_two_rehearsals_of_one_project_do_not_play_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "flights"
    with playing(words(folder, 1, free_ports(3)), folder) as first:
        first.listen("on a simulated clock")
        second = cd4ml(*words(folder, 1, free_ports(3)), folder=tmp_path)

    assert second.code == 1
    assert second.err == (
        f"error: another rehearsal plays in {folder}\n"
        "  hint: wait for its end, or choose another --folder\n"
    )
