"""Try many values of parameters: begin a search, go on with one, look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cd4ml.cli import assignments
from cd4ml.cli.cluster import takes_cluster, where_of
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.page_file import write_page
from cd4ml.cli.search_options import OWN_FLAGS, takes_plan
from cd4ml.cli.search_screen import SHOWN, show_all, show_list, show_search
from cd4ml.cli.words import Commands, Parser, at_most_a_million

if TYPE_CHECKING:
    from cd4ml.loop.search import SearchReport, SearchSummary
    from cd4ml.records.settings import SearchSettings


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
    _takes_number(parser)
    takes_cluster(parser)
    parser = nouns.add("show", show, "show a search: its trials, the best ones first")
    _takes_number(parser)
    parser.add_argument(
        "--limit", type=at_most_a_million, default=SHOWN, metavar="N", help=f"(default: {SHOWN})"
    )
    parser.add_argument("--html", metavar="FILE", default="", help="write it as a page, too")
    parser = nouns.add("list", list_searches, "list searches, newest first")
    parser.add_argument(
        "--limit", type=at_most_a_million, default=SHOWN, metavar="N", help=f"(default: {SHOWN})"
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
    takes_plan(parser)


def _takes_number(parser: Parser) -> None:
    parser.add_argument("search", metavar="NUMBER", help="search/3 or 3")


def start(given: Given) -> Answer[SearchReport]:
    """Begin a search, or go on with the same."""
    from cd4ml.cli.screen import trials
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
            where=where_of(words),
        )
    return answer(report)


def _wanted(given: Given) -> SearchSettings:
    """What `[search.NAME]` says, with what was typed put before it."""
    import msgspec

    from cd4ml.loop.search import settings_of
    from cd4ml.records.settings import SearchSettings

    words = given.words
    written = settings_of(given.project, words.name) if words.name else SearchSettings()
    typed = {name: getattr(words, name) for name in OWN_FLAGS if getattr(words, name) is not None}
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
    from cd4ml.loop.search import resume as go_on

    words = given.words
    with trials(is_quiet=given.is_json) as tell:
        report = go_on(
            given.project,
            words.search,
            actor=given.actor,
            progress=tell,
            where=where_of(words),
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
    return Answer(report, lambda screen, value: show_search(screen, value, limit))


def list_searches(given: Given) -> Answer[list[SearchSummary]]:
    """List searches."""
    from cd4ml.loop.search import searches

    return Answer(searches(given.project, limit=given.words.limit), show_list)


def answer(report: SearchReport) -> Answer[SearchReport]:
    """What a search that was run answers: 1 if none of its trials finished."""
    has_run = any(trial.state == "finished" for trial in report.trials)
    return Answer(report, show_all, exit_code=0 if has_run else 1)
