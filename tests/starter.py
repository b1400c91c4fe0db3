"""The starter example with one version on its way to production, for the tests of the faces.

Made once a session and copied for each test: a project is a folder, whatever its path.
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from cd4ml.experiments.trials import end_search, new_search
from cd4ml.loop import Project, open_project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.init import init
from cd4ml.loop.people import add_person
from cd4ml.loop.promote import request
from cd4ml.loop.train import train
from cd4ml.records.alert import Alert
from cd4ml.records.finding import Finding
from cd4ml.records.plan import Arm, Plan
from cd4ml.records.release import Release
from cd4ml.records.search import Choices, SearchPlan, Trial
from cd4ml.records.window import Window
from cd4ml.store import ledger, rows

ADMIN, MANAGER = "ann", "bo"


def lay_out(folder: Path) -> None:
    """run/1 became diagnosis/1: in charge of staging, awaiting approval for production."""
    init(folder, name="starter", actor=ADMIN)
    with open_project(folder) as project:
        add_person(project, MANAGER, roles=("release-manager",), actor=ADMIN)
        run = train(project, actor=ADMIN).run
        evaluate(project, run.ref, actor=ADMIN)
        request(project, "diagnosis/1", to="staging", actor=ADMIN)
        request(project, "diagnosis/1", to="production", reason="the first", actor=ADMIN)
        searched(project)


def searched(project: Project) -> None:
    """search/1: a grid of one trial, which was run/1."""
    at = project.clock.now()
    plan = SearchPlan(
        space={"diagnosis.strength": Choices(values=(1.0,))},
        sampler="grid",
        n_trials=1,
        metric="auc",
    )
    with project.database.write() as connection:
        begun = new_search(connection, plan, key="", name="", at=at, actor=ADMIN)
        rows.insert(
            connection,
            Trial(
                search=1,
                position=0,
                parameters={"diagnosis.strength": 1.0},
                state="finished",
                run=1,
                value=0.99,
            ),
        )
        end_search(connection, begun, reason="all trials have ended", best=None, at=at)


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a project, of this test alone."""
    template = tmp_path_factory.getbasetemp() / "starter"
    if not template.exists():
        lay_out(template)
    return Path(shutil.copytree(template, tmp_path / "starter"))


@pytest.fixture
def project(folder: Path) -> Iterator[Project]:
    """Such a project, open."""
    with open_project(folder) as opened:
        yield opened


def finding(gate: str, value: float, limit: float) -> Finding:
    """A finding with an interval around its value."""
    return Finding(
        gate=gate,
        metric=gate.split()[0],
        value=value,
        low=value - 0.02,
        high=value + 0.02,
        limit=limit,
        n_rows=900,
        outcome="pass",
    )


def measured(month: int, auc: float) -> Window:
    """A month of production."""
    start = datetime(2013, month, 1, tzinfo=UTC)
    return Window(
        environment="production",
        model="diagnosis",
        start=start,
        end=datetime(2013, month + 1, 1, tzinfo=UTC),
        champion=1,
        n_predictions=1000,
        n_labels=900,
        coverage=0.9,
        findings=(
            finding("auc better than trivial", auc, 0.5),
            finding("auc as at release", auc, 0.64),
        ),
        outcome="pass",
        measured_at=start,
    )


def alert(message: str) -> Alert:
    """An alert about February."""
    start, end = datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC)
    return Alert(
        number=1,
        environment="production",
        model="diagnosis",
        kind="drift",
        window_start=start,
        window_end=end,
        message=message,
        raised_at=end,
    )


def arm(role: str, number: int, weight_percent: float) -> Arm:
    """A version with its share of requests."""
    return Arm(
        role=role,  # type: ignore[arg-type]
        model="diagnosis",
        number=number,
        artifact=f"blake3:{number:064}",
        weight_percent=weight_percent,
    )


def begin_canary(project: Project, *, weight_percent: float) -> Release:
    """release/2 rolls out: its version takes some of the requests."""
    at = project.clock.now()
    with project.database.write() as connection:
        waiting = rows.get(connection, Release, 2)
        plan = Plan(
            number=rows.next_number(connection, Plan),
            environment="production",
            model="diagnosis",
            arms=(
                arm("champion", 1, 100 - weight_percent),
                arm("canary", 2, weight_percent),
                arm("shadow", 3, 0),
            ),
            release=2,
            made_at=at,
        )
        rows.insert(connection, plan)
        rolling = msgspec.structs.replace(waiting, state="rolling_out", plan=plan.number)
        rows.replace(connection, rolling)
        ledger.append(
            connection,
            at=at,
            actor="system",
            action="release.begun",
            subject=rolling.ref,
            records=(rolling, plan),
        )
    return rolling
