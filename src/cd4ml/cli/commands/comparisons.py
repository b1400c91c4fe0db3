"""Compare runs: list them, or put some beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.page_file import write_page
from cd4ml.cli.words import Commands, Parser, UsageError, at_most_a_million

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.experiments.compare import Comparison, Difference
    from cd4ml.loop.train import RunReport
    from cd4ml.records.curve import Curves
    from cd4ml.records.pair import Pair, Scored

_BINS = 10  # of a calibration that are shown
_CALIBRATED = 2  # runs; more are for a page


def add(commands: Commands) -> None:
    """`compare`."""
    parser = commands.add(
        "compare",
        compare,
        "list runs with their metrics, or show what differs between some",
        "Without RUN the newest ones are listed, with two or more what differs between them:\n"
        "parameters, data, code, environment, metrics with their curves, and answers to the same\n"
        "rows. The best value of a metric has a star.",
    )
    parser.add_argument("runs", metavar="RUN", nargs="*", help="run/3 or 3")
    parser.add_argument("--html", metavar="FILE", default="", help="write it as a page, too")
    _add_curves(parser)
    parser.add_argument("--experiment", default="", metavar="NAME", help="list only its runs")
    parser.add_argument(
        "--search", type=at_most_a_million, default=0, metavar="NUMBER", help="only its trials"
    )
    parser.add_argument(
        "--partition", default="", metavar="COLUMN[=KEY]", help="only those that --for-each made"
    )
    parser.add_argument("--best", default="", metavar="METRIC", help="list the best ones first")
    parser.add_argument(
        "--limit", type=at_most_a_million, default=20, metavar="N", help="(default: 20)"
    )


def _add_curves(parser: Parser) -> None:
    parser.add_argument(
        "--curve",
        dest="curves",
        action="append",
        default=[],
        metavar="METRIC",
        help="only its curve (default: of all logged at several steps); may be repeated",
    )
    parser.add_argument(
        "--by",
        choices=("step", "time"),
        default="step",
        help="what curves are drawn over: steps, or seconds since the first one (default: step)",
    )
    parser.add_argument(
        "--smooth",
        type=float,
        default=0.0,
        metavar="WEIGHT",
        help="of what came before in a curve: 0 to below 1 (default: 0)",
    )


def compare(given: Given) -> Answer[list[RunReport]] | Answer[Comparison]:
    """Runs side by side."""
    words = given.words
    if words.runs:
        from cd4ml.loop.compare import compare as find_differences

        found = find_differences(
            given.project, words.runs, curves=words.curves, smoothing=words.smooth
        )
        if words.html:
            from cd4ml.web.experiment_report import comparison_report

            write_page(words.html, comparison_report(found, by=words.by))
        return Answer(found, lambda screen, each: _show_comparison(screen, each, words.by))
    if words.html:
        raise UsageError("cd4ml compare: --html needs runs", hint="cd4ml compare --help")
    from cd4ml.loop.compare import listed_runs

    listed = listed_runs(
        given.project,
        experiment=words.experiment,
        search=words.search,
        partition=words.partition,
        sort_by=words.best,
        limit=words.limit,
    )
    return Answer(listed, _show_runs)


def _show_runs(screen: Screen, reports: list[RunReport]) -> None:
    from cd4ml.cli.screen import moment, number

    metrics = list(dict.fromkeys(name for report in reports for name in report.metrics))
    keyed = ["partition"] if any(report.run.partition for report in reports) else []
    screen.table(
        ("run", "state", "experiment", *keyed, *metrics, "began", "by"),
        (
            (
                report.run.ref,
                report.run.state,
                report.run.experiment,
                *([report.run.partition or "-"] if keyed else []),
                *(number(report.metrics.get(name)) for name in metrics),
                moment(report.run.started_at),
                report.run.created_by,
            )
            for report in reports
        ),
    )


def _show_comparison(screen: Screen, comparison: Comparison, by: str) -> None:
    lines = [
        (
            each.name if each.kind == "metric" else f"{each.kind} {each.name}",
            *(_value(each, place) for place in range(len(each.values))),
        )
        for each in comparison.differences
    ]
    if not lines:
        screen.line(f"{', '.join(comparison.runs)} do not differ")
    else:
        _show_differences(screen, comparison, lines)
    for curves in comparison.curves:
        _show_curves(screen, curves, by)
    _show_slices(screen, comparison)
    for pair in comparison.pairs:
        _show_pair(screen, pair)
    _show_answers(screen, comparison)


def _show_curves(screen: Screen, curves: Curves, by: str) -> None:
    from cd4ml.cli.screen import number
    from cd4ml.cli.sparkline import sparkline

    known = [v for each in curves.runs for v in each.values if v is not None]
    if not known:
        return
    places = {each.run: each.steps if by == "step" else each.seconds for each in curves.runs}
    across = min(map(min, places.values())), max(map(max, places.values()))
    between = min(known), max(known)
    smoothed = f", smoothed by {curves.smoothing:g}" if curves.smoothing else ""
    unit = "step" if by == "step" else "second"
    screen.line()
    screen.title(f"{curves.metric} from {unit} {across[0]:g} to {across[1]:g}{smoothed}")
    screen.table(
        ("run", "first", f"{number(between[0])} to {number(between[1])}", "last", "points"),
        (
            (
                each.run,
                number(each.values[0]),
                sparkline(places[each.run], each.values, across=across, between=between),
                number(each.values[-1]),
                f"{each.n_points:,}",
            )
            for each in curves.runs
        ),
    )


def _show_slices(screen: Screen, comparison: Comparison) -> None:
    """Slices beside each other; for two runs the table of their differences holds them."""
    from cd4ml.cli.screen import number

    if len(comparison.on_the_same_rows) <= 2:
        return
    screen.line()
    screen.title("on the same rows")
    screen.table(
        ("metric", *comparison.on_the_same_rows, "rows"),
        (
            (
                f"{each.metric}[{each.slice}]" if each.slice else each.metric,
                *(number(value) for value in each.values),
                f"{each.n:,}",
            )
            for each in comparison.slices
        ),
    )


def _show_answers(screen: Screen, comparison: Comparison) -> None:
    """What each run said at 0.5, and whether its probabilities came true."""
    scored = {each.run: each for pair in comparison.pairs for each in (pair.first, pair.second)}
    told = [each for each in scored.values() if each.confusion is not None]
    if not told:
        return
    screen.line()
    screen.title("yes at 0.5 or above, beside what came true")
    screen.table(
        ("run", "yes, true", "yes, not", "no, true", "no, not"),
        (
            (each.run, f"{c.true_positive:,}", f"{c.false_positive:,}",
             f"{c.false_negative:,}", f"{c.true_negative:,}")
            for each in told
            if (c := each.confusion)
        ),
    )  # fmt: skip
    for each in told if len(told) <= _CALIBRATED else ():
        _show_calibration(screen, each)


def _show_calibration(screen: Screen, scored: Scored) -> None:
    bins = scored.calibration[:_BINS]
    if not bins:
        return
    screen.line()
    screen.title(f"{scored.run}: probability said, share that came true")
    screen.table(
        ("said", "came true", "95 % interval", "rows", ""),
        (
            (
                f"{each.said:.2f}",
                f"{each.observed:.2f}",
                f"{each.low:.2f} to {each.high:.2f}",
                f"{each.n:,}",
                "" if each.low <= each.said <= each.high else "differs",
            )
            for each in bins
        ),
    )


def _show_pair(screen: Screen, pair: Pair) -> None:
    from cd4ml.cli.screen import counted, number

    screen.line()
    both = f"{pair.second.run} beside {pair.first.run}"
    if pair.reason:
        screen.line(f"{both}: not on the same rows: {pair.reason}")
        return
    screen.title(f"{both}, on the same {counted(pair.n_rows, 'row')}")
    screen.table(
        ("metric", pair.first.run, pair.second.run, "difference", "95 % interval", "rows", ""),
        (
            (
                f"{each.metric}[{each.slice}]" if each.slice else each.metric,
                number(each.first),
                number(each.second),
                f"{each.difference:+.4g}",
                f"{each.low:+.4g} to {each.high:+.4g}",
                f"{each.n:,}",
                "differs" if each.is_told_apart else "may be chance",
            )
            for each in pair.metrics
        ),
    )
    if pair.p_value is not None:
        screen.line(
            f"Only {pair.first.run} is right on {pair.only_first}, only {pair.second.run} on "
            f"{pair.only_second} rows: p = {pair.p_value:.3g} (McNemar)."
        )
    if len({each.slice for each in pair.metrics}) > 1:
        screen.line("Of many slices some differ by chance.", style="dim")


def _show_differences(screen: Screen, comparison: Comparison, lines: list[tuple[str, ...]]) -> None:
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
