"""What the API answers about runs and experiments."""

from __future__ import annotations

from cd4ml.api import bodies
from cd4ml.api.endpoint import Acting, Endpoint, Reading
from cd4ml.loop import Project


def _runs(project: Project, asked: bodies.RunsAsked) -> object:
    from cd4ml.loop.compare import runs

    return runs(
        project,
        experiment=asked.experiment,
        search=asked.search,
        where=asked.where,
        sort=asked.sort,
        limit=asked.limit,
        offset=asked.skip,
    )


def _logged(project: Project, asked: bodies.Number) -> object:
    from cd4ml.loop.runs import run_details

    return run_details(project, asked.number)


def _points(project: Project, asked: bodies.PointsAsked) -> object:
    from cd4ml.loop.runs import points

    return points(project, asked.number, asked.metric, offset=asked.skip, limit=asked.limit)


def _describe_run(project: Project, asked: bodies.DescribeRun, actor: str) -> object:
    from cd4ml.loop.runs import describe_run

    return describe_run(
        project,
        asked.number,
        name=asked.name,
        note=asked.note,
        tags=asked.tags,
        untag=asked.untag,
        actor=actor,
    )


def _delete_run(project: Project, asked: bodies.Number, actor: str) -> object:
    from cd4ml.loop.runs import delete_runs

    return delete_runs(project, [asked.number], actor=actor)[0]


def _restore_run(project: Project, asked: bodies.Number, actor: str) -> object:
    from cd4ml.loop.runs import restore_runs

    return restore_runs(project, [asked.number], actor=actor)[0]


def _experiments(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.experiments import list_experiments

    return list_experiments(project)


def _run(project: Project, asked: bodies.Number) -> object:
    from cd4ml.loop.compare import run_report

    return run_report(project, asked.number)


def _comparison(project: Project, asked: bodies.RefsAsked) -> object:
    from cd4ml.loop.compare import compare

    return compare(project, asked.refs.split(","))


RUNS: tuple[Endpoint, ...] = (
    Reading("/runs", bodies.RunsAsked, _runs, "Runs with their steps and metrics."),
    Reading("/comparison", bodies.RefsAsked, _comparison, "Runs side by side."),
    Reading("/runs/{number}", bodies.Number, _run, "One run with its steps and metrics."),
    Reading("/runs/{number}/logged", bodies.Number, _logged, "All that was logged in a run."),
    Reading("/runs/{number}/points", bodies.PointsAsked, _points, "A metric at each step."),
    Acting("/runs/{number}/describe", bodies.DescribeRun, _describe_run, "Name or tag a run."),
    Acting("/runs/{number}/delete", bodies.Number, _delete_run, "Take a run out of the lists."),
    Acting("/runs/{number}/restore", bodies.Number, _restore_run, "Bring a deleted run back."),
    Reading("/experiments", bodies.Nothing, _experiments, "Experiments, the newest first."),
)
