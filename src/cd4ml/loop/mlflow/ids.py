"""How MLflow's clients call our experiments and runs.

A run is `run-17`, one that was brought over keeps the id it had. MLflow's clients begin in
the experiment with the id 0, named Default: it is our experiment "default".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.records.experiment import Experiment
from cd4ml.records.logged_model import ForeignRun
from cd4ml.records.run import Run
from cd4ml.store import rows
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking.experiments import ensure_experiment, experiment_named

if TYPE_CHECKING:
    from sqlalchemy import Connection

OURS, THEIRS, DEFAULT_ID = "default", "Default", "0"

_RUN = re.compile(r"run-([1-9]\d{0,17})")
_NUMBER = re.compile(r"[1-9]\d{0,17}")
_FOREIGN = TABLES[ForeignRun]
_ASKED = 500  # ids in one question


def run_of(connection: Connection, id: str, *, lock: bool = False) -> Run:
    """The run with an id.

    Raises:
        NotFound: If there is none.
    """
    ours = _RUN.fullmatch(id)
    if ours:
        return rows.get(connection, Run, int(ours[1]), lock=lock)
    foreign = rows.find(connection, ForeignRun, id=id)
    if not foreign:
        msg = f"no run {id!r}"
        raise NotFound(msg, hint="ids are run-1, run-2, ..., or those that were brought over")
    return rows.get(connection, Run, foreign[0].run, lock=lock)


def run_ids(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """The id of each run."""
    asked = sorted(set(numbers))
    found = {number: f"run-{number}" for number in asked}
    for i in range(0, len(asked), _ASKED):
        some = _FOREIGN.c.run.in_(asked[i : i + _ASKED])
        known = sa.select(_FOREIGN.c.run, _FOREIGN.c.id).where(some)
        found |= {row.run: row.id for row in connection.execute(known)}
    return found


def run_id(connection: Connection, number: int) -> str:
    """The id of a run; "" for none."""
    return run_ids(connection, [number])[number] if number else ""


def our_name(name: str) -> str:
    """What an experiment is called here."""
    return OURS if name == THEIRS else name


def experiment_of(connection: Connection, id: str) -> Experiment:
    """The experiment with an id, deleted or not.

    Raises:
        NotFound: If there is none.
    """
    if id == DEFAULT_ID:
        return experiment_named(connection, OURS)
    if not _NUMBER.fullmatch(id):
        raise NotFound(f"no experiment with the id {id!r}", hint="mlflow.search_experiments()")
    found = rows.find(connection, Experiment, number=int(id))
    if not found:
        raise NotFound(f"no experiment with the id {id!r}", hint="mlflow.search_experiments()")
    return found[0]


def experiments_of(connection: Connection, ids: Iterable[str]) -> list[Experiment]:
    """The experiments with some ids; one that is not there is passed over, as by MLflow.

    Raises:
        InvalidInput: If an id is no number.
    """
    found = []
    for id in ids:
        if not (id.isascii() and id.isdigit()):
            msg = f"expected the id of an experiment, which is a number, got {id!r:.80}"
            raise InvalidInput(msg, hint="mlflow.search_experiments()")
        try:
            found.append(experiment_of(connection, id))
        except NotFound:
            continue
    return found


def experiment_to_fill(connection: Connection, id: str, *, at: datetime, actor: str) -> Experiment:
    """The experiment that a run or a model is to be put in; the default one is made if need be.

    Raises:
        NotFound: If there is none.
        Conflict: If it was deleted.
    """
    name = OURS if id == DEFAULT_ID else experiment_of(connection, id).name
    return ensure_experiment(connection, name, at=at, actor=actor)


def experiment_id(experiment: Experiment) -> str:
    """The id of an experiment."""
    return DEFAULT_ID if experiment.name == OURS else str(experiment.number)
