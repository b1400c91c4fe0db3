"""Runs, one beside the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from cd4ml.errors import NotFound
from cd4ml.experiments.compare import Comparison
from cd4ml.experiments.compare import compare as differences
from cd4ml.experiments.curves import curves_of
from cd4ml.experiments.tracking import TrackedRun, list_runs, metric_names, orders, tracked
from cd4ml.loop.candidate import table
from cd4ml.loop.interrupted import settle_interrupted
from cd4ml.loop.refs import number_in
from cd4ml.loop.train import RunReport, report_of
from cd4ml.records.pair import Pair
from cd4ml.records.run import Metric, Run, StepRun
from cd4ml.store import rows
from cd4ml.store.project import Project
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    import sqlalchemy as sa

_ASKED = 500  # numbers in one question


def runs(
    project: Project,
    *,
    experiment: str = "",
    search: int = 0,
    state: str = "",
    partition: str = "",
    where: str = "",
    sort: str = "",
    sort_by: str = "",
    limit: int = 20,
    offset: int = 0,
    deleted: bool = False,
) -> list[RunReport]:
    """Runs with their steps and metrics: the newest first, or the best first by a metric.

    Args:
        project: Whose.
        experiment: Only runs of this experiment.
        search: Only the trials of this search.
        state: Only runs in this state.
        partition: Only runs of a key ("origin=EWR"), or of any key of a column ("origin").
        where: Only those that this filter lets through.
        sort: Fields to sort by, as people type them.
        sort_by: A metric to sort by before.
        limit: At most so many.
        offset: So many of the first are passed over.
        deleted: Those that were deleted, in place of those that are there.

    Raises:
        InvalidInput: If the filter or the order is none; the message points at the place.
    """
    settle_interrupted(project)
    with project.database.read() as connection:
        found = list_runs(
            connection,
            experiment=experiment,
            search=search,
            state=state,
            partition=partition,
            where=where,
            sort_by=sort_by,
            order=orders(sort),
            limit=limit,
            offset=offset,
            deleted=deleted,
        )
        return _reports(connection, found)


def _reports(connection: sa.Connection, found: Sequence[TrackedRun]) -> list[RunReport]:
    """Runs with what was recorded of their steps, asked for once."""
    table = TABLES[StepRun]
    steps: dict[int, list[StepRun]] = {}
    numbers = [each.run.number for each in found]
    for i in range(0, len(numbers), _ASKED):
        asked = table.select().where(table.c.run.in_(numbers[i : i + _ASKED]))
        for step in rows.fetch(connection, StepRun, asked.order_by(table.c.run, table.c.position)):
            steps.setdefault(step.run, []).append(step)
    return [
        RunReport(
            run=each.run,
            steps=tuple(steps.get(each.run.number, [])),
            metrics=each.metrics,
            seconds=sum(step.seconds for step in steps.get(each.run.number, [])),
        )
        for each in found
    ]


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


def compare(
    project: Project, refs: Sequence[str], *, curves: Sequence[str] = (), smoothing: float = 0.0
) -> Comparison:
    """What differs between some runs, which is best at what, and whether that may be chance.

    Runs whose step `scored` (`[model] scored`) kept rows with their scores are compared on
    these rows, each with the first one.

    Args:
        project: Whose.
        refs: The runs, two or more.
        curves: The metrics whose curves are wanted; by default what was logged at several steps.
        smoothing: Of the curves: the weight of what came before, 0 to below 1.

    Raises:
        NotFound: If one does not exist, or none has such a metric.
        InvalidInput: If there are fewer than two, or the smoothing is out of its range.
    """
    settle_interrupted(project)
    with project.database.read() as connection:
        runs = [tracked(connection, number_in(ref, "run")) for ref in refs]
        found = differences(runs)
        kept = [_scored_output(connection, project, each.run) for each in runs]
        numbers = [each.run.number for each in runs]
        drawn = curves_of(connection, numbers, metrics=curves, smoothing=smoothing)
    pairs = _pairs(project, found.runs, kept)
    return msgspec.structs.replace(found, pairs=pairs, curves=drawn)


def _scored_output(connection: sa.Connection, project: Project, run: Run) -> str:
    """The address of the rows that a run has scored; "" if it kept none."""
    steps = rows.find(connection, StepRun, run=run.number, step=project.settings.model.scored)
    return steps[0].output if steps and steps[0].kind == "table" else ""


def _pairs(project: Project, runs: tuple[str, ...], kept: list[str]) -> tuple[Pair, ...]:
    from cd4ml.experiments.pairs import SCORE, pair_of

    settings = project.settings.model
    frames = {
        run: frame
        for run, address in zip(runs, kept, strict=True)
        if address and {settings.target, SCORE} <= set((frame := table(project, address)).columns)
    }
    if runs[0] not in frames:
        return ()
    return tuple(
        pair_of(
            (runs[0], frames[runs[0]]),
            (run, frames[run]),
            target=settings.target,
            slices=settings.slices,
        )
        for run in runs[1:]
        if run in frames and run != runs[0]
    )
