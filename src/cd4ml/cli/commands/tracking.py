"""Find runs, look at what they logged, describe, delete and restore them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from cd4ml.cli import assignments
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, UsageError, at_most_a_million

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cd4ml.cli.screen import Screen
    from cd4ml.loop.runs import RunDetails, RunPage
    from cd4ml.records.point import Point
    from cd4ml.records.run import Metric, Run
    from cd4ml.store.tracking.search import Group

_MOST_COLUMNS = 6  # metrics in a table, where none was asked for


def add(commands: Commands) -> None:
    """`runs`."""
    nouns = commands.group(
        "runs", "find runs, and look at what they logged", "Without a verb the runs are listed."
    )
    _add_list(nouns)
    _add_show(nouns)
    _add_change(nouns)


def _add_list(nouns: Commands) -> None:
    parser = nouns.add(
        "list",
        list_runs,
        "list the runs that a filter lets through",
        "A filter: metrics.auc > 0.7 and (params.max_iter = 200 or tags.team in ('ops', 'web'))\n"
        "Fields: metrics.NAME, params.NAME, tags.NAME, number, name, note, state, experiment,\n"
        "search, created_by, started, finished; another NAME than letters, digits and _./:@- stands\n"
        "in `backticks`. Operators: = != < <= > >= like ilike in, is null, and each word with not.",
    )
    parser.add_argument("--where", default="", metavar="FILTER", help="only these")
    parser.add_argument(
        "--sort",
        default="",
        metavar="FIELD,...",
        help="a field with asc or desc; of a metric the best comes first (default: the newest)",
    )
    parser.add_argument(
        "--group-by",
        dest="by",
        default=[],
        action="append",
        metavar="FIELD",
        help="put runs together that have the same: how many, and their metrics; may be repeated",
    )
    parser.add_argument(
        "--metrics", default="", metavar="NAME,...", help="only these columns of metrics"
    )
    parser.add_argument("--experiment", default="", metavar="NAME", help="only its runs")
    parser.add_argument(
        "--limit", type=at_most_a_million, default=20, metavar="N", help="(default: 20)"
    )
    parser.add_argument(
        "--skip", type=at_most_a_million, default=0, metavar="N", help="pass over the first N"
    )
    parser.add_argument("--deleted", action="store_true", help="those that were deleted")


def _add_show(nouns: Commands) -> None:
    parser = nouns.add("show", show_run, "everything that was logged in a run")
    parser.add_argument("run", metavar="RUN", help="run/3 or 3")
    parser = nouns.add("points", show_points, "what a metric of a run was at each step")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("metric", metavar="METRIC")
    parser.add_argument(
        "--limit", type=at_most_a_million, default=1000, metavar="N", help="(default: 1000)"
    )
    parser.add_argument(
        "--skip", type=at_most_a_million, default=0, metavar="N", help="pass over the first N"
    )
    parser = nouns.add("files", save_files, "write the files that a run logged into a folder")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("folder", metavar="FOLDER")


def _add_change(nouns: Commands) -> None:
    parser = nouns.add("change", change_run, "name, describe or tag a run")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--name", default=None, metavar="TEXT", help="what to call it")
    parser.add_argument("--note", default=None, metavar="TEXT", help="what to say about it")
    parser.add_argument(
        "--tag",
        dest="tags",
        type=assignments.pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="may be repeated",
    )
    parser.add_argument(
        "--untag", action="append", default=[], metavar="NAME", help="may be repeated"
    )
    for verb, perform, summary in (
        ("delete", delete_runs, "take runs out of every list, until they are restored"),
        ("restore", restore_runs, "bring deleted runs back"),
    ):
        parser = nouns.add(verb, perform, summary)
        parser.add_argument("runs", metavar="RUN", nargs="+")


def list_runs(given: Given) -> Answer[RunPage] | Answer[list[Group]]:
    """Runs, or groups of them."""
    words = given.words
    only = [name.strip() for name in words.metrics.split(",") if name.strip()]
    if words.by:
        return _group(given, only)
    from cd4ml.loop.runs import find_runs

    page = find_runs(
        given.project,
        where=words.where,
        sort=words.sort,
        experiment=words.experiment,
        limit=words.limit,
        offset=words.skip,
        deleted=words.deleted,
    )
    return Answer(page, lambda screen, page: _show_page(screen, page, only))


def _group(given: Given, only: list[str]) -> Answer[list[Group]]:
    from cd4ml.loop.runs import grouped_runs

    words = given.words
    for option, is_given in (
        ("--sort", words.sort),
        ("--skip", words.skip),
        ("--deleted", words.deleted),
    ):
        if is_given:
            msg = f"cd4ml runs: {option} and --group-by exclude each other"
            raise UsageError(msg, hint="cd4ml runs list --help")
    groups = grouped_runs(given.project, words.by, where=words.where, experiment=words.experiment)
    return Answer(groups, lambda screen, groups: _show_groups(screen, groups, words.by, only))


def show_run(given: Given) -> Answer[RunDetails]:
    """One run."""
    from cd4ml.loop.runs import run_details

    return Answer(run_details(given.project, given.words.run), _show_details)


def show_points(given: Given) -> Answer[list[Point]]:
    """The history of one metric."""
    from cd4ml.loop.runs import points

    words = given.words
    found = points(given.project, words.run, words.metric, offset=words.skip, limit=words.limit)
    return Answer(found, _show_points)


def save_files(given: Given) -> Answer[list[Path]]:
    """The files of a run."""
    from pathlib import Path

    from cd4ml.loop.runs import save_files as save

    saved = save(given.project, given.words.run, Path(given.words.folder))
    return Answer(saved, _show_files)


def change_run(given: Given) -> Answer[Run]:
    """Describe a run."""
    from cd4ml.loop.runs import describe_run

    words = given.words
    if words.name is None and words.note is None and not words.tags and not words.untag:
        msg = "cd4ml runs change: expected --name, --note, --tag or --untag"
        raise UsageError(msg, hint="cd4ml runs change --help")
    run = describe_run(
        given.project,
        words.run,
        name=words.name,
        note=words.note,
        tags=assignments.once(words.tags, "--tag"),
        untag=words.untag,
        actor=given.actor,
    )
    return Answer(run, _show_said)


def delete_runs(given: Given) -> Answer[list[Run]]:
    """Delete runs."""
    from cd4ml.loop.runs import delete_runs as delete

    return Answer(delete(given.project, given.words.runs, actor=given.actor), _show_deleted)


def restore_runs(given: Given) -> Answer[list[Run]]:
    """Restore runs."""
    from cd4ml.loop.runs import restore_runs as restore

    restored = restore(given.project, given.words.runs, actor=given.actor)
    return Answer(restored, lambda screen, runs: screen.line(f"restored {_refs(runs)}"))


def _show_page(screen: Screen, page: RunPage, only: Sequence[str]) -> None:
    from cd4ml.cli.screen import moment, number

    if not page.runs:
        screen.line("no run")
        return
    counted = Counter(name for report in page.runs for name in report.metrics)
    there = [name for name, _ in counted.most_common()]
    metrics = _columns(there, only)
    has_names = any(report.run.name for report in page.runs)
    screen.table(
        ("run", *(["name"] if has_names else []), "state", "experiment", *metrics, "began", "by"),
        (
            (
                report.run.ref,
                *([report.run.name] if has_names else []),
                report.run.state,
                report.run.experiment,
                *(number(report.metrics.get(name)) for name in metrics),
                moment(report.run.started_at),
                report.run.created_by,
            )
            for report in page.runs
        ),
    )
    last = page.offset + len(page.runs)
    if last < page.total or page.offset:
        screen.line(f"{page.offset + 1} to {last} of {page.total:,}")
    if len(metrics) < len(there) and not only:
        screen.hint(f"{len(there) - len(metrics)} more metrics: --metrics NAME,... chooses")


def _columns(there: Sequence[str], only: Sequence[str]) -> list[str]:
    """The metrics to show: those asked for, else the first few that are not the machine's.

    Those that most runs have come first.
    """
    if only:
        return list(only)
    return [name for name in there if not name.startswith("system/")][:_MOST_COLUMNS]


def _show_groups(
    screen: Screen, groups: list[Group], by: Sequence[str], only: Sequence[str]
) -> None:
    from cd4ml.cli.screen import number

    if not groups:
        screen.line("no run")
        return
    there = [n for n, _ in Counter(n for group in groups for n in group.metrics).most_common()]
    metrics = _columns(there, only)
    titles = [f"{name} {what}" for name in metrics for what in ("mean", "low", "high")]

    def figures(group: Group) -> list[str]:
        found: list[str] = []
        for name in metrics:
            spread = group.metrics.get(name)
            values = (spread.mean, spread.lowest, spread.highest) if spread else (None,) * 3
            found += [number(value) for value in values]
        return found

    screen.table(
        (*by, "runs", *titles),
        (
            (
                *("-" if value is None else str(value) for value in group.values),
                f"{group.n_runs:,}",
                *figures(group),
            )
            for group in groups
        ),
    )


def _show_details(screen: Screen, details: RunDetails) -> None:
    from cd4ml.cli.screen import moment, size

    run = details.run
    screen.title(f"{run.ref} {run.name}".strip())
    screen.facts(
        (
            ("state", run.state if run.deleted_at is None else f"{run.state}, deleted"),
            ("experiment", run.experiment),
            ("began", f"{moment(run.started_at)} by {run.created_by}"),
            ("ended", moment(run.finished_at) if run.finished_at else ""),
            ("reason", run.reason),
            *(("tag", f"{name} = {value}") for name, value in run.tags.items()),
            *(("parameter", f"{name} = {value}") for name, value in run.parameters.items()),
            *(("data", f"{name} {ref}") for name, ref in run.refs.items()),
            *(("data", f"{each.name} {each.context} {each.source}") for each in details.data),
            *(("file", f"{each.path} ({size(each.n_bytes)})") for each in details.files),
        )
    )
    if details.metrics:
        screen.line()
        _show_metrics(screen, details.metrics)
    if run.note:
        screen.line()
        screen.verbatim(run.note)


def _show_metrics(screen: Screen, metrics: Sequence[Metric]) -> None:
    from cd4ml.cli.screen import number

    screen.table(
        ("metric", "latest", "step", "lowest", "highest", "points", "logged by"),
        (
            (
                each.name,
                number(each.number),
                str(each.step),
                number(each.lowest),
                number(each.highest),
                f"{max(each.n_points, 1):,}",
                each.by,
            )
            for each in metrics
        ),
    )


def _show_points(screen: Screen, points: list[Point]) -> None:
    from cd4ml.cli.screen import moment, number

    screen.table(
        ("step", "value", "logged"),
        ((str(point.step), number(point.value), moment(_time(point.time_ms))) for point in points),
    )


def _time(time_ms: int) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_ms / 1000, UTC)


def _show_files(screen: Screen, paths: list[Path]) -> None:
    for path in paths:
        screen.line(str(path))
    if not paths:
        screen.line("no file was logged")


def _show_said(screen: Screen, run: Run) -> None:
    screen.title(f"{run.ref} {run.name}".strip())
    screen.facts((*(("tag", f"{name} = {value}") for name, value in run.tags.items()),))
    if run.note:
        screen.verbatim(run.note)


def _show_deleted(screen: Screen, runs: list[Run]) -> None:
    screen.line(f"deleted {_refs(runs)}")
    screen.hint(f"cd4ml runs restore {' '.join(run.ref for run in runs)}")


def _refs(runs: Sequence[Run]) -> str:
    return ", ".join(run.ref for run in runs)
