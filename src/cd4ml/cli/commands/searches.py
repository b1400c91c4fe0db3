"""Try many values of parameters: begin a search, go on with one, look at it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cd4ml.cli import assignments
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.page_file import write_page
from cd4ml.cli.words import Commands, Parser, at_most_a_million, day_or_time

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.search import SearchReport, SearchSummary
    from cd4ml.records.search import SearchImportance, SearchPlan, Trial
    from cd4ml.records.settings import SearchSettings

_SHOWN = 20  # trials
_BELIEVED = 0.5  # share of the variance of trials that a forest foretells
_OWN_FLAGS = (
    "sampler",
    "trials",
    "seed",
    "metric",
    "direction",
    "workers",
    "patience",
    "minutes",
    "work_minutes",
    "cost",
    "cpus",
    "gpus",
    "memory",
    "prune",
    "portions",
    "portion_of",
    "portion_by",
    "experiment",
)


def add(commands: Commands) -> None:
    """`search start`, `resume`, `show` and `list`."""
    nouns = commands.group(
        "search",
        "try many values of parameters, several at a time",
        "`cd4ml search --try ...` is short for `cd4ml search start --try ...`.",
    )
    _add_start(nouns)
    parser = nouns.add(
        "resume",
        resume,
        "go on with a search that was interrupted",
        "On the data that it began with; no trial that ended is tried again.",
    )
    _takes_search(parser)
    takes_ray(parser)
    parser = nouns.add("show", show, "show a search: its trials, the best ones first")
    _takes_search(parser)
    parser.add_argument(
        "--limit", type=at_most_a_million, default=_SHOWN, metavar="N", help=f"(default: {_SHOWN})"
    )
    parser.add_argument("--html", metavar="FILE", default="", help="write it as a page, too")
    parser = nouns.add("list", list_searches, "list searches, newest first")
    parser.add_argument(
        "--limit", type=at_most_a_million, default=_SHOWN, metavar="N", help=f"(default: {_SHOWN})"
    )


def _add_start(nouns: Commands) -> None:
    parser = nouns.add(
        "start",
        start,
        "begin a search, or go on with the same one that was interrupted",
        "What to try is in [search.NAME] of cd4ml.toml, or in --try; options go before the file.\n"
        "Without --trials every combination is tried, with --trials so many at random, with\n"
        "--metric as well so many where earlier ones did well. Leaves with 1 if none finished.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="of [search.NAME]")
    _add_space(parser)
    parser.add_argument(
        "--as-of",
        dest="as_of",
        metavar="MOMENT",
        type=day_or_time,
        help="on what was known then: the versions published, the rows arrived by 2013-03-01",
    )
    parser.add_argument("--experiment", metavar="NAME", help="the question its runs belong to")
    _add_sampling(parser)
    _add_ends(parser)
    _add_portions(parser)
    _add_place(parser)


def _add_space(parser: Parser) -> None:
    parser.add_argument(
        "--try",
        dest="space",
        metavar="STEP.PARAMETER=VALUES",
        type=assignments.pair,
        action="append",
        default=[],
        help="1,2,3 or a range: 50..500, 0.01..1:log, 0..1:0.1; may be repeated",
    )
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="STEP.PARAMETER=VALUE",
        type=assignments.setting,
        action="append",
        default=[],
        help="another value than the code's, in all trials; may be repeated",
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


def _add_sampling(parser: Parser) -> None:
    parser.add_argument("--sampler", choices=("grid", "random", "tpe"), help="(default: see above)")
    parser.add_argument("--trials", type=at_most_a_million, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, metavar="N", help="the same one, the same trials")
    parser.add_argument("--metric", metavar="NAME", help="what trials are judged by")
    parser.add_argument(
        "--direction", choices=("higher", "lower"), help="which of its values are better"
    )
    parser.add_argument(
        "--workers", type=at_most_a_million, metavar="N", help="trials at a time (default: 2)"
    )


def _add_ends(parser: Parser) -> None:
    parser.add_argument(
        "--patience",
        type=at_most_a_million,
        metavar="N",
        help="end after N trials without a better one",
    )
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="begin no trial after so many minutes"
    )
    parser.add_argument(
        "--work-minutes",
        dest="work_minutes",
        type=float,
        metavar="N",
        help="begin no trial after so many minutes of all trials together",
    )
    parser.add_argument(
        "--cost", type=float, metavar="N", help="begin no trial once all cost so much, by [prices]"
    )
    parser.add_argument(
        "--prune",
        choices=("median", "halving"),
        help="end trials early by what their steps report()",
    )


def _add_portions(parser: Parser) -> None:
    parser.add_argument(
        "--portions",
        type=_portions,
        metavar="SHARE,...",
        help="successive halving: try on a portion of the rows, the best on more: 0.1,0.3,1",
    )
    parser.add_argument(
        "--portion-of", dest="portion_of", metavar="DATASET", help="(default: the only one)"
    )
    parser.add_argument(
        "--portion-by",
        dest="portion_by",
        metavar="COLUMN",
        help="the newest rows by this column of time (default: by a hash of the row)",
    )


def _add_place(parser: Parser) -> None:
    takes_ray(parser)
    for name, what in (("cpus", "CPUs"), ("gpus", "GPUs")):
        parser.add_argument(
            f"--{name}",
            type=float,
            metavar="N",
            help=f"{what} for each trial (default: as its hungriest step asks for)",
        )
    parser.add_argument("--memory", metavar="4GB", help="memory for each trial")


def takes_ray(parser: Parser) -> None:
    """Trials on a cluster."""
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        default="",
        help="try them on this Ray cluster; auto finds one, local starts one here",
    )


def _portions(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        msg = f"expected shares like 0.1,0.3,1, got {text!r}"
        raise argparse.ArgumentTypeError(msg) from None


def _takes_search(parser: Parser) -> None:
    parser.add_argument("search", metavar="NUMBER", help="search/3 or 3")


def start(given: Given) -> Answer[SearchReport]:
    """Begin a search, or go on with the same."""
    from cd4ml.cli.screen import trials
    from cd4ml.loop.executors import Where
    from cd4ml.loop.search import search

    words = given.words
    wanted = _wanted(given)
    with trials(is_quiet=given.is_json) as tell:
        report = search(
            given.project,
            wanted,
            name=words.name,
            as_of=words.as_of,
            actor=given.actor,
            progress=tell,
            where=Where(ray=words.ray),
        )
    return answer(report)


def _wanted(given: Given) -> SearchSettings:
    """What `[search.NAME]` says, with what was typed put before it."""
    import msgspec

    from cd4ml.loop.search import settings_of
    from cd4ml.records.settings import SearchSettings

    words = given.words
    written = settings_of(given.project, words.name) if words.name else SearchSettings()
    typed = {name: getattr(words, name) for name in _OWN_FLAGS if getattr(words, name) is not None}
    tried = assignments.once(words.space, "--try", command="search")
    fixed = assignments.once(words.settings, "--set", command="search")
    data = assignments.once(words.datasets, "--data", command="search")
    typed["space"] = {**_without(written.space, fixed), **tried}
    typed["set"] = {**_without(written.set, tried), **fixed}
    typed["data"] = {**written.data, **data}
    return msgspec.structs.replace(written, **typed)


def _without(written: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """What is written, without what was typed to be otherwise."""
    return {name: value for name, value in written.items() if name not in typed}


def resume(given: Given) -> Answer[SearchReport]:
    """Go on with a search."""
    from cd4ml.cli.screen import trials
    from cd4ml.loop.executors import Where
    from cd4ml.loop.search import resume as go_on

    words = given.words
    with trials(is_quiet=given.is_json) as tell:
        report = go_on(
            given.project,
            words.search,
            actor=given.actor,
            progress=tell,
            where=Where(ray=words.ray),
        )
    return answer(report)


def show(given: Given) -> Answer[SearchReport]:
    """Show a search."""
    from cd4ml.loop.search import search_report

    limit = given.words.limit
    report = search_report(given.project, given.words.search)
    if given.words.html:
        from cd4ml.web.experiment_report import search_report as page_of

        write_page(given.words.html, page_of(report))
    return Answer(report, lambda screen, value: _show(screen, value, limit))


def list_searches(given: Given) -> Answer[list[SearchSummary]]:
    """List searches."""
    from cd4ml.loop.search import searches

    return Answer(searches(given.project, limit=given.words.limit), _show_list)


def answer(report: SearchReport) -> Answer[SearchReport]:
    """What a search that was run answers: 1 if none of its trials finished."""
    has_run = any(trial.state == "finished" for trial in report.trials)
    return Answer(report, _show_all, exit_code=0 if has_run else 1)


def _show_all(screen: Screen, report: SearchReport) -> None:
    _show(screen, report, _SHOWN)


def _show(screen: Screen, report: SearchReport, limit: int) -> None:
    from cd4ml.cli.screen import counted, number

    found, plan = report.search, report.search.plan
    screen.title(f"{found.ref} {found.state}" + (f": {found.reason}" if found.reason else ""))
    screen.facts(_facts(report))
    metrics = _metrics(report)
    screen.table(
        ("trial", "run", "state", *_short(plan.space), *metrics, "seconds"),
        (
            (
                str(trial.position),
                f"run/{trial.run}" if trial.run else "-",
                trial.state,
                *(_value(trial.parameters.get(name)) for name in plan.space),
                *(number(values.get(trial.position)) for values in metrics.values()),
                f"{trial.seconds:.2f}",
            )
            for trial in _best_first(report)[:limit]
        ),
    )
    if len(report.trials) > limit:
        screen.line(f"and {counted(len(report.trials) - limit, 'trial')} more", style="dim")
    for trial in report.trials:
        if trial.state == "failed":
            screen.line(f"  - trial {trial.position}: {trial.reason}")
    if report.mattered:
        _show_mattered(screen, report.mattered)
    if report.best and report.search.state == "finished":
        n = sum(trial.state == "finished" for trial in report.trials)
        screen.line(
            f"The best of {n} looks better than it is: these rows have chosen it.", style="dim"
        )
    screen.hint(_next(report))


def _show_mattered(screen: Screen, mattered: SearchImportance) -> None:
    screen.title("what mattered")
    shares = [(each.parameter, each.share) for each in mattered.parameters]
    screen.facts(
        (name, f"{share:.0%}") for name, share in (*shares, ("only together", mattered.together))
    )
    if mattered.explained < _BELIEVED:
        screen.line(
            f"Not to be believed yet: {mattered.n_trials} trials foretell each other badly "
            f"(R2 {mattered.explained:.2f})."
        )


def _facts(report: SearchReport) -> list[tuple[str, str]]:
    found, plan = report.search, report.search.plan
    states = [trial.state for trial in report.trials]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    judged = f"{plan.metric}, {plan.direction} is better" if plan.metric else ""
    return [
        ("trials", ", ".join(counts)),
        ("sampler", f"{plan.sampler}, seed {plan.seed}" if plan.sampler != "grid" else "grid"),
        ("metric", judged),
        ("portions", _portions_shown(plan)),
        ("cost", _cost_shown(report)),
        ("experiment", plan.experiment),
        ("by", found.created_by),
    ]


def _cost_shown(report: SearchReport) -> str:
    limit = report.search.plan.cost
    if report.cost is None:
        return f"at most {limit:g}" if limit else ""
    return f"{report.cost:.4g}" + (f", at most {limit:g}" if limit else "")


def _short(names: Iterable[str]) -> list[str]:
    """Parameters without their step, where that leaves no two alike."""
    whole = list(names)
    last = [name.rpartition(".")[2] for name in whole]
    return [
        short if last.count(short) == 1 else name for name, short in zip(whole, last, strict=True)
    ]


def _metrics(report: SearchReport) -> dict[str, dict[int, float | None]]:
    """What is shown of each trial: the search's metric; all of the run where it has none."""
    metric = report.search.plan.metric
    if metric:
        return {metric: {trial.position: trial.value for trial in report.trials}}
    measured = {each.run.number: each.metrics for each in report.runs}
    names = dict.fromkeys(name for metrics in measured.values() for name in metrics)
    return {
        name: {trial.position: measured.get(trial.run, {}).get(name) for trial in report.trials}
        for name in names
    }


def _portions_shown(plan: SearchPlan) -> str:
    shares = ", ".join(f"{share:g}" for share in plan.portions)
    return f"{shares} of {plan.portion_of}" if shares else ""


def _best_first(report: SearchReport) -> list[Trial]:
    plan = report.search.plan
    if not plan.metric:
        return list(report.trials)
    sign = -1.0 if plan.direction == "higher" else 1.0

    def order(trial: Trial) -> tuple[Any, ...]:
        is_worse = trial.state != "finished" or trial.value is None
        return (is_worse, -trial.rung, sign * (trial.value or 0.0), trial.position)

    return sorted(report.trials, key=order)


def _next(report: SearchReport) -> str:
    found = report.search
    if found.state == "interrupted":
        return f"cd4ml search resume {found.number}"
    if report.best:
        return f"cd4ml gate run/{report.best.run}"
    return f"cd4ml compare --search {found.number} --best METRIC"


def _show_list(screen: Screen, found: list[SearchSummary]) -> None:
    from cd4ml.cli.screen import moment, number

    screen.table(
        ("search", "name", "state", "experiment", "trials", "best", "metric", "began", "by"),
        (
            (
                each.search.ref,
                each.search.name,
                each.search.state,
                each.search.plan.experiment,
                str(each.n_ended),
                number(each.best.value) if each.best else "-",
                each.search.plan.metric,
                moment(each.search.started_at),
                each.search.created_by,
            )
            for each in found
        ),
    )


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
