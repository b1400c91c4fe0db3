"""How the project delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, at_most_a_million

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.records.delivery import Delivery


def add_to(commands: Commands) -> None:
    """`metrics`."""
    parser = commands.add(
        "metrics",
        metrics,
        "how often, how fast and how safely the project releases",
        "Release frequency, lead time from commit and from data, change failure rate, time to\n"
        "restore, drift to fix, label latency and gate pass rate, from the ledger. What each of\n"
        "them counts is defined in docs/metrics.md.",
    )
    parser.add_argument(
        "--by",
        choices=("day", "week", "month", "all"),
        default="all",
        help="stretches of time in UTC (default: all)",
    )
    parser.add_argument(
        "--in", dest="environment", default="", metavar="ENVIRONMENT", help="(default: the last)"
    )
    parser.add_argument("--model", default="", metavar="NAME", help="only this one's")
    parser.add_argument(
        "--last", type=at_most_a_million, default=12, metavar="N", help="stretches (default: 12)"
    )


def metrics(given: Given) -> Answer[list[Delivery]]:
    """The figures."""
    from cd4ml.loop.metrics import metrics as measure

    words = given.words
    found = measure(
        given.project,
        by=words.by,
        environment=words.environment,
        model=words.model,
        last=words.last,
    )
    return Answer(found, _show_total if words.by == "all" else _show_stretches)


def _show_total(screen: Screen, found: list[Delivery]) -> None:
    from cd4ml.cli.screen import moment
    from cd4ml.loop.delivery_words import figures_of

    (total,) = found
    screen.title(f"from {moment(total.start)} to {moment(total.end)}")
    screen.facts(figures_of(total))


def _show_stretches(screen: Screen, found: list[Delivery]) -> None:
    from cd4ml.loop.delivery_words import COLUMNS, row_of

    screen.table(COLUMNS, (row_of(stretch) for stretch in found))
