"""Run the pipeline: once, many times over its parameters, or once a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cd4ml.cli import assignments
from cd4ml.cli.again import taken_apart
from cd4ml.cli.cluster import is_on_ray, takes_cluster, where_of
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.run_options import takes_data, takes_moment, takes_settings
from cd4ml.cli.words import Commands, Parser, UsageError, at_most_a_million

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.executors import Executor, Where
    from cd4ml.loop.partitions import PartitionReport
    from cd4ml.loop.search import SearchReport
    from cd4ml.loop.train import RunReport


_WORKERS = 2


def add(commands: Commands) -> None:
    """`run`."""
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


def _add_what_to_run(parser: Parser) -> None:
    takes_settings(parser)
    takes_data(
        parser,
        metavar="NAME=VERSION|NAME|PATH",
        help="other data than the newest version: flights=flights@2 (or @TAG, @2013-03),\n"
        "another dataset, a file or folder; may be repeated",
    )
    parser.add_argument(
        "--env",
        dest="environment",
        default="",
        metavar="NAME",
        help="with the data and parameters of [environments.NAME]",
    )
    takes_moment(parser)
    parser.add_argument(
        "--for-each",
        dest="for_each",
        metavar="COLUMN[=KEY,...]",
        type=assignments.partition,
        help="a run for each key of a column, on the rows of that key alone",
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
        help=f"steps at a time (default: as [run] says), trials (default: {_WORKERS}), or keys (default: 1)",
    )
    parser.add_argument(
        "--in-process",
        action="store_true",
        help="compute the steps in this process, for a debugger: no timeouts, no limits",
    )
    takes_cluster(parser)


def run(
    given: Given,
) -> Answer[RunReport] | Answer[SearchReport] | Answer[PartitionReport]:
    """Run once, search, or run once a key."""
    words = given.words
    settings = assignments.once(words.settings, "--set")
    datasets = assignments.once(words.datasets, "--data")
    grid = assignments.once(words.grid, "--grid")
    if grid and words.for_each:
        raise UsageError("cd4ml run: --grid and --for-each go one at a time", hint="cd4ml run -h")
    if grid:
        if words.in_process:
            msg = "cd4ml run: --in-process is for one run, not for --grid"
            raise UsageError(msg, hint="cd4ml run --help")
        return _search(given, grid, settings, datasets)
    if words.trials:
        raise UsageError("cd4ml run: --trials needs --grid", hint="cd4ml run --help")
    if words.in_process and is_on_ray(words):
        msg = "cd4ml run: --in-process and --on ray (or --ray) go one at a time"
        raise UsageError(msg, hint="cd4ml run --help")
    otherwise = "in-process" if words.in_process else ""
    if words.for_each:
        if words.in_process and words.workers > 1:
            msg = "cd4ml run: --in-process takes one key at a time, not --workers"
            raise UsageError(msg, hint="cd4ml run --help")
        return _for_each(given, settings, datasets, where_of(words, otherwise=otherwise))
    from cd4ml.loop.executors import open_executor

    where = where_of(words, otherwise=otherwise, workers=words.workers)
    with open_executor(given.project, where) as executor:
        return _run_once(given, executor, settings, datasets)


def _run_once(
    given: Given, executor: Executor, settings: dict[str, Any], datasets: dict[str, str]
) -> Answer[RunReport]:
    # loaded while the executor's processes load what they need
    from cd4ml.cli.run_screen import watched
    from cd4ml.loop.train import train

    words = given.words
    with watched(is_quiet=given.is_json) as watch:
        report = train(
            given.project,
            overrides=settings,
            data=datasets,
            environment=words.environment,
            as_of=words.as_of,
            experiment=words.experiment,
            actor=given.actor,
            words=taken_apart(given.typed).words if given.typed else None,
            progress=watch.progress,
            listener=watch.listener,
            executor=executor,
        )
    return Answer(report, show_run)


def _search(
    given: Given, grid: dict[str, list[Any]], settings: dict[str, Any], datasets: dict[str, str]
) -> Answer[SearchReport]:
    from cd4ml.cli.commands.searches import answer
    from cd4ml.cli.screen import trials
    from cd4ml.loop.search import search
    from cd4ml.records.settings import SearchSettings

    words = given.words
    wanted = SearchSettings(
        space=dict(grid),
        set=settings,
        data=datasets,
        environment=words.environment,
        trials=words.trials,
        workers=words.workers or _WORKERS,
        experiment=words.experiment,
    )
    with trials(is_quiet=given.is_json) as tell:
        report = search(
            given.project,
            wanted,
            as_of=words.as_of,
            actor=given.actor,
            progress=tell,
            where=where_of(words),
        )
    return answer(report)


def _for_each(
    given: Given, settings: dict[str, Any], datasets: dict[str, str], where: Where
) -> Answer[PartitionReport]:
    from cd4ml.cli.screen import trials
    from cd4ml.loop.partitions import train_each

    words = given.words
    by, keys = words.for_each
    with trials(is_quiet=given.is_json) as tell:
        report = train_each(
            given.project,
            by,
            keys=keys,
            overrides=settings,
            data=datasets,
            environment=words.environment,
            as_of=words.as_of,
            experiment=words.experiment,
            workers=words.workers or 1,
            actor=given.actor,
            progress=tell,
            where=where,
        )
    has_failed = any(each.run is None for each in report.runs)
    return Answer(report, _show_keys, exit_code=1 if has_failed else 0)


def show_run(screen: Screen, report: RunReport) -> None:
    """A run with its steps and metrics; `cli.again` prints the same without a screen."""
    from cd4ml.cli.screen import number

    screen.title(f"{report.run.ref} {report.run.state}")
    screen.table(
        ("step", "", "seconds", "output"),
        ((step.step, step.state, f"{step.seconds:.2f}", step.kind) for step in report.steps),
    )
    screen.facts((name, number(value)) for name, value in report.metrics.items())
    has_model = any(step.kind == "model" for step in report.steps)
    screen.hint(f"cd4ml {'gate' if has_model else 'show'} {report.run.ref}")


def _show_keys(screen: Screen, report: PartitionReport) -> None:
    reports = [each.run for each in report.runs if each.run is not None]
    metrics = list(dict.fromkeys(name for each in reports for name in each.metrics))
    n_failed = len(report.runs) - len(reports)
    screen.title(f"{report.column}: {len(reports)} runs, {n_failed} failed")
    for each in report.runs:
        if each.run is None:
            screen.line(f"  - {each.key}: {each.reason}")
    if reports:
        _show_keyed(screen, report, metrics)
    if report.n_without:
        from cd4ml.cli.screen import counted

        what = counted(report.n_without, "row")
        screen.line(f"{what} of {report.datasets[0]} without a value of {report.column}: in no run")
    screen.hint(f"cd4ml compare --partition {report.column}")


def _show_keyed(screen: Screen, report: PartitionReport, metrics: list[str]) -> None:
    from cd4ml.cli.screen import number

    screen.table(
        (report.column, "run", "state", "computed", *metrics),
        (
            (
                each.key,
                each.run.run.ref,
                each.run.run.state,
                _computed(each.run),
                *(number(each.run.metrics.get(name)) for name in metrics),
            )
            for each in report.runs
            if each.run is not None
        ),
    )


def _computed(report: RunReport) -> str:
    computed = sum(step.state == "computed" for step in report.steps)
    return f"{computed} of {len(report.steps)}"
