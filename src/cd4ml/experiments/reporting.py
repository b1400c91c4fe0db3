"""What a step says while it is at work, and whether it shall go on.

The process that attempts a trial says so in its environment, so that processes it starts for
the steps know it too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput
from cd4ml.experiments.here import log
from cd4ml.experiments.pruning import below_median, below_rung
from cd4ml.records.search import Search, SearchPlan, Trial, TrialValue
from cd4ml.store import rows
from cd4ml.store.project import Project, open_project
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection

REPORTED = "reported"  # not the search's metric: a run ends with a value of that, on other rows

_TRIAL = "CD4ML_TRIAL"  # search/position of the trial, and the project's folder

_TRIALS, _VALUES = TABLES[Trial], TABLES[TrialValue]


class Pruned(Exception):
    """The trial is not worth its end: let it pass, and the search goes on with the next."""


class _Underway(NamedTuple):
    search: int
    position: int
    folder: str


@contextmanager
def underway(trial: Trial, folder: Path) -> Iterator[None]:
    """Within the block, `report` speaks of this trial; also in processes begun there."""
    before = os.environ.get(_TRIAL, "")
    os.environ[_TRIAL] = f"{trial.search}/{trial.position}/{folder}"
    try:
        yield
    finally:
        # not taken away: adding it again could move what Polars' threads read at that moment
        os.environ[_TRIAL] = before


def report(step: int, value: float) -> None:
    """Say how good a model is after so many steps of its training.

    In a run it becomes a point of the metric `reported`, whose curve lies beside those of other
    runs. Within a trial of a search it is kept for the search as well, and if that prunes and
    the value is not good enough, the trial ends here. Anywhere else nothing happens.

    Args:
        step: How far the training is: epochs, trees, batches; 0 or more.
        value: Of the search's metric. What is not a finite number cannot be kept; a search
            that prunes ends such a trial.

    Raises:
        Pruned: If the trial is to end here. Let it pass through the step.
        InvalidInput: If the step is below 0.

    Examples:
        >>> report(1, 0.71)  # no run is underway here
    """
    if step < 0:
        msg = f"expected a step of 0 or more, got {step}"
        raise InvalidInput(msg, hint="report(epoch, auc)")
    log({REPORTED: value}, step=step)
    trial = _underway()
    if trial is None:
        return
    plan = _plan(trial.folder, trial.search)
    kept = float(value) if math.isfinite(value) else None
    with _project(trial.folder).database.write() as connection:
        said = TrialValue(search=trial.search, trial=trial.position, step=int(step), value=kept)
        rows.put(connection, said)
        reason = _reason(connection, trial, said, plan)
        if reason:
            current = rows.get(connection, Trial, trial.search, trial.position, lock=True)
            pruned = msgspec.structs.replace(current, state="pruned", value=kept, reason=reason)
            rows.replace(connection, pruned)
    if reason:
        raise Pruned(reason)


def _reason(connection: Connection, trial: _Underway, said: TrialValue, plan: SearchPlan) -> str:
    """Why the trial is pruned; "" if it goes on."""
    if not plan.pruner:
        return ""
    if said.value is None:
        return f"after step {said.step} its {plan.metric} was not a finite number"
    sign = 1.0 if plan.direction == "higher" else -1.0
    own = [sign * each for each in _own(connection, trial)]
    if plan.pruner == "median":
        finished = [sign * each for each in _others(connection, trial, said.step, "finished")]
        n_finished = rows.count(connection, Trial, search=trial.search, state="finished")
        is_worse = below_median(max(own), finished, n_finished=n_finished)
        beaten = f"worse than the median of {len(finished)} trials"
    else:
        others = [sign * each for each in _others(connection, trial, said.step)]
        is_worse = below_rung(sign * said.value, others, n_reports=len(own))
        beaten = f"not among the best third of {len(others) + 1} trials"
    return f"after step {said.step} {beaten}" if is_worse else ""


def _own(connection: Connection, trial: _Underway) -> list[float]:
    values = sa.select(_VALUES.c.value).where(
        _VALUES.c.search == trial.search,
        _VALUES.c.trial == trial.position,
        _VALUES.c.value.is_not(None),
    )
    return list(connection.execute(values).scalars())


def _others(connection: Connection, trial: _Underway, step: int, state: str = "") -> list[float]:
    """What other trials on as many rows reported at this step."""
    rung = (
        sa.select(_TRIALS.c.rung)
        .where(_TRIALS.c.search == trial.search, _TRIALS.c.position == trial.position)
        .scalar_subquery()
    )
    is_same = sa.and_(_TRIALS.c.search == _VALUES.c.search, _TRIALS.c.position == _VALUES.c.trial)
    values = (
        sa.select(_VALUES.c.value)
        .join(_TRIALS, is_same)
        .where(
            _VALUES.c.search == trial.search,
            _VALUES.c.step == step,
            _VALUES.c.trial != trial.position,
            _VALUES.c.value.is_not(None),
            _TRIALS.c.rung == rung,
        )
    )
    if state:
        values = values.where(_TRIALS.c.state == state)
    return list(connection.execute(values).scalars())


def _underway() -> _Underway | None:
    said = os.environ.get(_TRIAL, "")
    if not said:
        return None
    search, position, folder = said.split("/", 2)
    return _Underway(int(search), int(position), folder)


@cache  # once a process
def _project(folder: str) -> Project:
    return open_project(Path(folder))


@cache  # a plan never changes
def _plan(folder: str, search: int) -> SearchPlan:
    with _project(folder).database.read() as connection:
        return rows.get(connection, Search, search).plan
