"""Runs, one beside the other."""

from __future__ import annotations

from cd4ml.errors import NotFound
from cd4ml.experiments.compare import Comparison
from cd4ml.experiments.compare import compare as differences
from cd4ml.experiments.tracking import list_runs, metric_names, tracked
from cd4ml.loop.interrupted import settle_interrupted
from cd4ml.loop.refs import number_in
from cd4ml.loop.train import RunReport, report_of
from cd4ml.records.run import Metric, Run
from cd4ml.store import rows
from cd4ml.store.project import Project


def runs(
    project: Project,
    *,
    experiment: str = "",
    search: int = 0,
    state: str = "",
    partition: str = "",
    sort_by: str = "",
    limit: int = 20,
) -> list[RunReport]:
    """Runs with their steps and metrics: the newest first, or the best first by a metric."""
    settle_interrupted(project)
    with project.database.read() as connection:
        found = list_runs(
            connection,
            experiment=experiment,
            search=search,
            state=state,
            partition=partition,
            sort_by=sort_by,
            limit=limit,
        )
        return [report_of(connection, each.run) for each in found]


def listed_runs(
    project: Project,
    *,
    experiment: str = "",
    search: int = 0,
    partition: str = "",
    sort_by: str = "",
    limit: int = 20,
) -> list[RunReport]:
    """What `runs` finds, for somebody who names an experiment, a search or a metric that is there.

    Raises:
        NotFound: If no run belongs to the experiment, search or partition, or none has the
            metric.
    """
    with project.database.read() as connection:
        for what, column, asked in (
            ("experiment", "experiment", experiment),
            ("search", "search", search),
        ):
            if asked and not rows.count(connection, Run, **{column: asked}):
                msg = f"no run belongs to the {what} {asked!r}"
                raise NotFound(msg, hint="cd4ml compare lists the runs")
        if partition and not list_runs(connection, partition=partition, limit=1):
            msg = f"no run was made for the partition {partition!r}"
            raise NotFound(msg, hint="cd4ml run --for-each COLUMN makes one a key")
        if sort_by and not rows.count(connection, Metric, name=sort_by):
            known = ", ".join(metric_names(connection)) or "none"
            raise NotFound(f"no run has the metric {sort_by!r}", hint=f"known: {known}")
    return runs(
        project,
        experiment=experiment,
        search=search,
        partition=partition,
        sort_by=sort_by,
        limit=limit,
    )


def run_report(project: Project, ref: str) -> RunReport:
    """One run with its steps and metrics.

    Raises:
        NotFound: If there is none.
    """
    settle_interrupted(project)
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
