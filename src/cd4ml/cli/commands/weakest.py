"""Gates: the slices on which a candidate is weakest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.records.weakest import Weakest


def add_to(nouns: Commands) -> None:
    """`gate slices`."""
    parser = nouns.add(
        "slices",
        slices,
        "the slices of the holdout on which a candidate is weakest",
        "All values of all columns and of all pairs of columns are searched, numbers in four\n"
        "ranges. Shown is what is worse than all rows beyond chance, the worst first.",
    )
    parser.add_argument("verdict", metavar="VERDICT", help="verdict/3 or 3")
    parser.add_argument("--metric", default="", help="by default the first one that was gated")
    parser.add_argument("--most", type=int, default=10, help="so many are shown; 10 by default")
    parser.add_argument(
        "--min-rows", type=int, default=100, help="smaller slices are not looked at; 100 by default"
    )


def slices(given: Given) -> Answer[Weakest]:
    """The weakest slices of a verdict's candidate."""
    from cd4ml.loop.weakest import weakest

    words = given.words
    found = weakest(
        given.project,
        words.verdict,
        metric=words.metric,
        most=words.most,
        min_rows=words.min_rows,
    )
    return Answer(found, _show)


def _show(screen: Screen, found: Weakest) -> None:
    from cd4ml.cli.screen import number

    screen.title(f"{found.verdict}: {found.metric} = {number(found.level)} on all rows")
    if not found.slices:
        screen.line(f"none of {found.n_searched:,} slices is worse beyond chance")
        return
    screen.line(f"worse beyond chance, of {found.n_searched:,} slices searched", style="dim")
    screen.table(
        ("slice", "value", "low", "high", "rows"),
        (
            (f.slice, number(f.value), number(f.low), number(f.high), f"{f.n_rows:,}")
            for f in found.slices
        ),
    )
