"""Runs, one beside the other."""

from __future__ import annotations

from cd4ml.experiments.compare import Comparison
from cd4ml.experiments.compare import compare as differences
from cd4ml.experiments.tracking import list_runs, tracked
from cd4ml.loop.refs import number_in
from cd4ml.loop.train import RunReport, report_of
from cd4ml.records.run import Run
from cd4ml.store import rows
from cd4ml.store.project import Project


def runs(
    project: Project,
    *,
    experiment: str = "",
    search: int = 0,
    state: str = "",
    sort_by: str = "",
    limit: int = 20,
) -> list[RunReport]:
    """Runs with their steps and metrics: the newest first, or the best first by a metric."""
    with project.database.read() as connection:
        found = list_runs(
            connection,
            experiment=experiment,
            search=search,
            state=state,
            sort_by=sort_by,
            limit=limit,
        )
        return [report_of(connection, each.run) for each in found]


def run_report(project: Project, ref: str) -> RunReport:
    """One run with its steps and metrics.

    Raises:
        NotFound: If there is none.
    """
    with project.database.read() as connection:
        return report_of(connection, rows.get(connection, Run, number_in(ref, "run")))


def compare(project: Project, refs: list[str]) -> Comparison:
    """What differs between some runs, and which is best at what.

    Raises:
        NotFound: If one does not exist.
        InvalidInput: If there are fewer than two.
    """
    with project.database.read() as connection:
        return differences([tracked(connection, number_in(ref, "run")) for ref in refs])
