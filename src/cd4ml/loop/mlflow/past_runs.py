"""Runs of a history as runs of ours."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from cd4ml.engines.mlflow.entities import moment
from cd4ml.engines.mlflow.past import PastInput, PastRun
from cd4ml.loop.mlflow.told import CONTEXT, NAME, NOTE
from cd4ml.records.experiment import Experiment
from cd4ml.records.run import Run
from cd4ml.records.run_input import RunInput

State = Literal["running", "finished", "failed", "killed"]

_STATES: dict[str, State] = {
    "RUNNING": "running",
    "SCHEDULED": "running",
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "killed",
}


def run_from(past: PastRun, experiment: Experiment, actor: str, at: datetime) -> Run:
    """A run, without a number: the history's tags that are its name and note are these."""
    named = {NAME, NOTE}
    return Run(
        number=0,  # given when it is kept
        experiment=experiment.name,
        name=past.name or past.tags.get(NAME, ""),
        note=past.tags.get(NOTE, ""),
        tags={key: value for key, value in past.tags.items() if key not in named}
        | ({"mlflow.user": past.user} if past.user else {}),
        state=_STATES[past.status],
        revision=past.tags.get("mlflow.source.git.commit", ""),
        parameters=dict(past.params),
        started_at=moment(past.started_ms) if past.started_ms else at,
        finished_at=moment(past.ended_ms) if past.ended_ms else None,
        created_by=actor,
        deleted_at=(moment(past.deleted_ms) if past.deleted_ms else at)
        if past.is_deleted
        else None,
    )


def input_from(run: int, past: PastInput, at: datetime) -> RunInput:
    """A dataset that a run was given."""
    tags = dict(past.tags)
    return RunInput(
        run=run,
        name=past.name,
        digest=past.digest,
        context=tags.pop(CONTEXT, ""),
        source=past.source,
        source_type=past.source_type,
        schema=past.schema,
        profile=past.profile,
        tags=tags,
        logged_at=at,
    )
