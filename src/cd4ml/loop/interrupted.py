"""Runs of this machine whose process ended without a word, found when somebody looks."""

from __future__ import annotations

from cd4ml.pipeline.alive import end_interrupted, is_interrupted
from cd4ml.records.run import Run
from cd4ml.store import rows
from cd4ml.store.project import Project
from cd4ml.store.tracking.journal import collect
from cd4ml.store.tracking.recorder import FOLDER


def settle_interrupted(project: Project) -> None:
    """Say of each run that was killed on this machine that it failed; else nothing is written.

    What it had logged, and could not bring to the database any more, is taken in.
    """
    collect(project.database, project.state / FOLDER, only_abandoned=True)
    with project.database.read() as connection:
        running = rows.find(connection, Run, state="running")
    if any(is_interrupted(project.state, run.number) for run in running):
        with project.database.write() as connection:
            end_interrupted(connection, project.state, at=project.clock.now())
