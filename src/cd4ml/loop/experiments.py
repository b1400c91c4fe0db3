"""Experiments: listed, renamed, described, deleted and restored."""

from __future__ import annotations

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.loop.interrupted import settle_interrupted
from cd4ml.loop.names import require_name
from cd4ml.records.experiment import Experiment
from cd4ml.records.run import Run
from cd4ml.store import people, rows
from cd4ml.store.project import Project
from cd4ml.store.tracking import experiments as kept
from cd4ml.store.tracking.search import count_runs


class ExperimentDetails(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment and how many runs it has."""

    experiment: Experiment
    n_runs: int


def list_experiments(project: Project, *, deleted: bool = False) -> list[ExperimentDetails]:
    """Experiments, the newest first, with how many runs they have."""
    settle_interrupted(project)
    with project.database.read() as connection:
        found = [
            each
            for each in rows.find(connection, Experiment, newest_first=True)
            if (each.deleted_at is not None) == deleted
        ]
        return [
            ExperimentDetails(
                experiment=each,
                n_runs=count_runs(connection, deleted=deleted, experiment=each.name),
            )
            for each in found
        ]


def describe_experiment(
    project: Project, name: str, *, new_name: str | None = None, note: str | None = None, actor: str
) -> Experiment:
    """Rename or describe an experiment; its runs follow the name.

    Raises:
        NotFound: If there is none of the name.
        AlreadyExists: If another one has the new name.
    """
    if new_name is not None:
        require_name(new_name, "an experiment")
    with project.database.write() as connection:
        people.actor(connection, actor)
        number = kept.experiment_named(connection, name).number
        at = project.clock.now()
        return kept.change_experiment(
            connection, number, name=new_name, note=note, at=at, actor=actor
        )


def delete_experiment(project: Project, name: str, *, actor: str) -> Experiment:
    """Take an experiment and its runs out of every list, until it is restored.

    Raises:
        NotFound: If there is none of the name.
        InvalidInput: If a run of it is still running.
    """
    with project.database.write() as connection:
        people.actor(connection, actor)
        number = kept.experiment_named(connection, name).number
        if running := rows.find(connection, Run, experiment=name, state="running", limit=1):
            msg = f"{running[0].ref} is running, so its experiment {name!r} cannot be deleted"
            raise InvalidInput(msg, hint="stop it first")
        return kept.delete_experiment(connection, number, at=project.clock.now(), actor=actor)


def restore_experiment(project: Project, name: str, *, actor: str) -> Experiment:
    """Bring a deleted experiment back, with the runs that were deleted with it.

    Raises:
        NotFound: If there is none of the name.
    """
    with project.database.write() as connection:
        people.actor(connection, actor)
        number = kept.experiment_named(connection, name).number
        return kept.restore_experiment(connection, number, at=project.clock.now(), actor=actor)
