"""Run the pipeline, search over its parameters, compare what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cd4ml.cli import assignments
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, Parser, UsageError, at_most_a_million, day_or_time

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.experiments.compare import Comparison, Difference
    from cd4ml.loop.search import SearchReport
    from cd4ml.loop.train import RunReport


_WORKERS = 2


def add(commands: Commands) -> None:
    """`run` and `compare`."""
    parser = commands.add(
        "run",
        run,
        "run the pipeline, or search over its parameters",
        "Steps whose code, parameters and inputs are unchanged are taken from the cache.\n"
        "With --grid every combination is a run of its own, several at a time; it leaves with 1\n"
        "if none of them finished.",
    )
    _add_what_to_run(parser)
    _add_search(parser)
    parser = commands.add(
        "compare",
        compare,
        "list runs with their metrics, or show what differs between some",
        "Without RUN the newest ones are listed, with two or more what differs between them:\n"
        "parameters, data, code, environment, metrics. The best value of a metric has a star.",
    )
    parser.add_argument("runs", metavar="RUN", nargs="*", help="run/3 or 3")
    parser.add_argument("--experiment", default="", metavar="NAME", help="list only its runs")
    parser.add_argument(
        "--search", type=at_most_a_million, default=0, metavar="NUMBER", help="only its trials"
    )
    parser.add_argument("--best", default="", metavar="METRIC", help="list the best ones first")
    parser.add_argument(
        "--limit", type=at_most_a_million, default=20, metavar="N", help="(default: 20)"
    )


def _add_what_to_run(parser: Parser) -> None:
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="STEP.PARAMETER=VALUE",
        type=assignments.setting,
        action="append",
        default=[],
        help="another value than the code's; may be repeated",
    )
    parser.add_argument(
        "--data",
        dest="datasets",
        metavar="NAME=NAME@NUMBER",
        type=assignments.pair,
        action="append",
        default=[],
        help="another version than the newest; may be repeated",
    )
    parser.add_argument(
        "--as-of",
        dest="as_of",
        metavar="MOMENT",
        type=day_or_time,
        help="on what was known then: the versions published, the rows arrived by 2013-03-01",
    )
    parser.add_argument(
        "--experiment", default="default", metavar="NAME", help="the question this run belongs to"
    )


def _add_search(parser: Parser) -> None:
    parser.add_argument(
        "--grid",
        metavar="STEP.PARAMETER=VALUE,...",
        type=assignments.choices,
        action="append",
        default=[],
        help="values to try; may be repeated, and then all combinations are tried",
    )
    parser.add_argument(
        "--trials",
        type=at_most_a_million,
        default=0,
        metavar="N",
        help="only so many of them, at random",
    )
    parser.add_argument(
        "--workers",
        type=at_most_a_million,
        default=0,
        metavar="N",
        help=f"trials at a time (default: {_WORKERS})",
    )


def run(given: Given) -> Answer[RunReport] | Answer[SearchReport]:
    """Run once, or search."""
    words = given.words
    settings = assignments.once(words.settings, "--set")
    datasets = assignments.once(words.datasets, "--data")
    grid = assignments.once(words.grid, "--grid")
    if grid:
        return _search(given, grid, settings, datasets)
    for option, is_given in (("--trials", words.trials), ("--workers", words.workers)):
        if is_given:
            raise UsageError(f"cd4ml run: {option} needs --grid", hint="cd4ml run --help")
    from cd4ml.cli.screen import steps
    from cd4ml.loop.train import train

    with steps(is_quiet=given.is_json) as tell:
        report = train(
            given.project,
            overrides=settings,
            data=datasets,
            as_of=words.as_of,
            experiment=words.experiment,
            actor=given.actor,
            progress=tell,
        )
    return Answer(report, _show_run)


def _search(
    given: Given, grid: dict[str, list[Any]], settings: dict[str, Any], datasets: dict[str, str]
) -> Answer[SearchReport]:
    from cd4ml.cli.screen import trials
    from cd4ml.loop.search import search

    words = given.words
    with trials(is_quiet=given.is_json) as tell:
        report = search(
            given.project,
            grid={**{name: [value] for name, value in settings.items()}, **grid},
            data=datasets,
            as_of=words.as_of,
            trials=words.trials,
            workers=words.workers or _WORKERS,
            experiment=words.experiment,
            actor=given.actor,
            progress=tell,
        )
    has_run = any(trial.state == "finished" for trial in report.trials)
    return Answer(report, _show_search, exit_code=0 if has_run else 1)


def compare(given: Given) -> Answer[list[RunReport]] | Answer[Comparison]:
    """Runs side by side."""
    words = given.words
    if words.runs:
        from cd4ml.loop.compare import compare as find_differences

        return Answer(find_differences(given.project, words.runs), _show_comparison)
    from cd4ml.loop.compare import listed_runs

    found = listed_runs(
        given.project,
        experiment=words.experiment,
        search=words.search,
        sort_by=words.best,
        limit=words.limit,
    )
    return Answer(found, _show_runs)


def _show_run(screen: Screen, report: RunReport) -> None:
    from cd4ml.cli.screen import number

    screen.title(f"{report.run.ref} {report.run.state}")
    screen.table(
        ("step", "", "seconds", "output"),
        ((step.step, step.state, f"{step.seconds:.2f}", step.kind) for step in report.steps),
    )
    screen.facts((name, number(value)) for name, value in report.metrics.items())
    screen.hint(f"cd4ml gate {report.run.ref}")


def _show_search(screen: Screen, report: SearchReport) -> None:
    from cd4ml.cli.screen import counted

    failed = [trial for trial in report.trials if trial.state == "failed"]
    runs, trials = counted(len(report.runs), "run"), counted(len(failed), "trial")
    screen.title(f"search {report.search}: {runs}, {trials} failed")
    for trial in failed:
        values = ", ".join(f"{name}={value}" for name, value in trial.parameters.items())
        screen.line(f"  - {values}: {trial.reason}")
    _show_runs(screen, list(report.runs))
    screen.hint(f"cd4ml compare --search {report.search} --best METRIC")


def _show_runs(screen: Screen, reports: list[RunReport]) -> None:
    from cd4ml.cli.screen import moment, number

    metrics = list(dict.fromkeys(name for report in reports for name in report.metrics))
    screen.table(
        ("run", "state", "experiment", *metrics, "began", "by"),
        (
            (
                report.run.ref,
                report.run.state,
                report.run.experiment,
                *(number(report.metrics.get(name)) for name in metrics),
                moment(report.run.started_at),
                report.run.created_by,
            )
            for report in reports
        ),
    )


def _show_comparison(screen: Screen, comparison: Comparison) -> None:
    lines = [
        (
            each.name if each.kind == "metric" else f"{each.kind} {each.name}",
            *(_value(each, place) for place in range(len(each.values))),
        )
        for each in comparison.differences
    ]
    if not lines:
        screen.line(f"{', '.join(comparison.runs)} do not differ")
        return
    columns = [("", *comparison.runs), *lines]
    if len(lines) > len(comparison.runs):  # as narrow as it can be
        screen.table(columns[0], columns[1:])
    else:
        turned = list(zip(*columns, strict=True))
        screen.table(turned[0], turned[1:])


def _value(difference: Difference, place: int) -> str:
    from cd4ml.cli.screen import number

    value = difference.values[place]
    if difference.kind != "metric":
        return "-" if value is None else str(value)
    return f"{number(value)} *" if place in difference.best else number(value)
