"""The tests' outside world: flights, who asks about them, and what becomes of them."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cd4ml.loop import Project, open_project
from cd4ml.loop.candidate import runtime_of
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.label import label
from cd4ml.loop.people import add_person
from cd4ml.loop.promote import approve, request
from cd4ml.loop.train import train
from cd4ml.models.prediction_id import make
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.plan import Plan
from cd4ml.serving.answers import Group
from cd4ml.serving.endpoint import build
from cd4ml.serving.lines import Asked, lines_of
from cd4ml.store import ledger, rows
from cd4ml.store.clock import SharedClock, microseconds
from cd4ml.store.segments import Segment

SMALL = Path(__file__).parent / "small"
BEGIN = datetime(2013, 2, 1, tzinfo=UTC)
ANN, MAX, EVE = "ann", "max", "eve"  # admin and data scientist, release manager, no role
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def flights(n: int, *, start: datetime, seed: int = 0, stormy: bool = False) -> pl.DataFrame:
    """`n` flights, one an hour, with what became of them: `event_at` and `late`."""
    chance = np.random.default_rng(seed)
    wind, distance = chance.gamma(2.0, 5.0, n), chance.uniform(100, 2500, n)
    wind += 30.0 * stormy
    risk = 1 / (1 + np.exp(3.0 - 0.3 * wind))
    return pl.DataFrame(
        {
            "carrier": chance.choice(["AA", "UA"], n),
            "distance": distance.round(1),
            "wind": wind.round(2),
            "event_at": [start + i * HOUR for i in range(n)],
            "late": (chance.uniform(size=n) < risk).astype(float),
        }
    )


def lay_out(folder: Path) -> None:
    """A project with January's flights and three people, whose clock stands at BEGIN."""
    shutil.copytree(SMALL, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data").mkdir()
    flights(600, start=BEGIN - 600 * HOUR).write_csv(folder / "data" / "flights.csv")
    SharedClock.create(folder / ".cd4ml" / "clock", BEGIN)
    with open_project(folder) as project:
        add_person(project, ANN, roles=(), actor=ANN)
        add_person(project, MAX, roles=("release-manager",), actor=ANN)
        add_person(project, EVE, roles=(), actor=ANN)


def release_first(project: Project) -> ModelVersion:
    """Train, judge and release delay/1 to production."""
    run = train(project, actor=ANN).run
    version = evaluate(project, run.ref, actor=ANN).version
    assert version is not None
    request(project, version.ref, to="staging", reason="the first", actor=ANN)
    release = request(project, version.ref, to="production", reason="the first", actor=ANN)
    approve(project, release.ref, reason="looks good", actor=MAX)
    return version


def live(
    project: Project,
    n: int,
    *,
    apart: timedelta = HOUR,
    n_labelled: int | None = None,
    seed: int = 1,
    stormy: bool = False,
    made: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows,
    key: str = "",
) -> list[str]:
    """Answer `n` requests in production, one after the other, and say what became of the first.

    The serving process's own endpoint and capture answer, without HTTP; the clock goes on with
    them. All come true unless `n_labelled` says how many. `made` is what the caller makes of its
    rows before it asks, `key` a column that is its name for the request. Returns the
    prediction ids.
    """
    asked = flights(n, start=project.clock.now(), seed=seed, stormy=stormy)
    ids = ask(project, made(asked.drop("event_at", "late")), apart=apart, seed=seed, key=key)
    known = zip(ids[:n_labelled], asked["late"], strict=False)
    truth = [{"prediction_id": name, "value": value} for name, value in known]
    if truth:
        label(project, rows=truth, actor=EVE)
    return ids


def ask(
    project: Project,
    rows_: pl.DataFrame,
    *,
    apart: timedelta = HOUR,
    seed: int = 1,
    key: str = "",
) -> list[str]:
    """Answer these rows in production, one after the other; returns the prediction ids."""
    segment = Segment(project.segments, f"production-{seed}")
    ids = [
        _answer(project, segment, row, project.clock.now() + apart, key=row.pop(key, ""))
        for row in rows_.iter_rows(named=True)
    ]
    segment.close()
    move(project, apart)
    return ids


def _answer(
    project: Project, segment: Segment, row: dict[str, Any], at: datetime, *, key: str = ""
) -> str:
    move_to(project, at)
    endpoint = _endpoint(project)
    (request_row,) = endpoint.reader.read(json.dumps(row).encode())
    prediction_id = make(at, endpoint.plan.number, 1, int(at.timestamp()) % 2**31)
    asked = Asked(endpoint, [prediction_id], microseconds(at), [request_row], key)
    answers = endpoint.answers([request_row], [prediction_id])
    shadows = [
        Group(version, None, version.score([version.values(request_row)]))
        for version in endpoint.shadows
    ]
    for group in [*answers.groups(), *shadows]:
        segment.append_all(lines_of(asked, group, project.mask))
    return prediction_id


def _endpoint(project: Project) -> Any:
    """What a serving process would have loaded; kept by plan, as it does."""
    with project.database.read() as connection:
        (plan,) = rows.find(connection, Plan, environment="production", newest_first=True, limit=1)
        versions = [rows.get(connection, ModelVersion, arm.model, arm.number) for arm in plan.arms]
    key = (project.folder, plan)
    if key not in _LOADED:
        _LOADED[key] = build(plan, {v.artifact: runtime_of(project, v) for v in versions})
    return _LOADED[key]


_LOADED: dict[Any, Any] = {}


def move(project: Project, by: timedelta) -> None:
    """Let time pass."""
    move_to(project, project.clock.now() + by)


def move_to(project: Project, moment: datetime) -> None:
    """Go on to a moment."""
    assert isinstance(project.clock, SharedClock)
    project.clock.advance_to(moment)


def entries(project: Project) -> list[LedgerEntry]:
    """The ledger, oldest first."""
    with project.database.read() as connection:
        return ledger.entries(connection)[::-1]


def actions(project: Project) -> list[str]:
    """What the ledger says was done, in order."""
    return [entry.action for entry in entries(project)]
