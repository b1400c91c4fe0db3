"""Past candidates by another policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.records.replay import Rejudged, Replay, Replayed


def add_to(nouns: Commands) -> None:
    """`gate replay`."""
    parser = nouns.add(
        "replay",
        replay,
        "judge all past candidates by another policy, from stored evidence alone",
        "Says which releases it would have stopped, and which good ones it would have blocked,\n"
        "beside what production showed later. Nothing is computed anew, nothing is written. What\n"
        "nobody looked at then is said, not guessed.",
    )
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="with [[gate]] tables, such as another cd4ml.toml (default: the project's own)",
    )
    parser.add_argument(
        "--in", dest="environment", default="", metavar="ENVIRONMENT", help="(default: the last)"
    )


def replay(given: Given) -> Answer[Replay]:
    """Judge them again."""
    from cd4ml.loop.replay import replay as judge_again

    words = given.words
    found = judge_again(given.project, policy=words.policy, environment=words.environment)
    return Answer(found, _show)


def _show(screen: Screen, found: Replay) -> None:
    from cd4ml.cli.screen import counted, short

    stopped = sum(each.again.is_stopped for each in found.candidates)
    screen.title(f"policy {short(found.policy)} on {counted(len(found.candidates), 'candidate')}")
    screen.facts(
        (
            ("would have stopped", f"{stopped:,}"),
            ("of bad releases", _of(found.caught, found.caught + found.missed, found.recall)),
            ("good ones among them", _of(found.blocked, found.blocked + found.caught, None)),
        )
    )
    screen.table(
        ("candidate", "then", "by this policy", f"in {found.environment}", "because"),
        (_line(each) for each in found.candidates),
    )
    for each in found.candidates:
        for unseen in each.again.unseen:
            screen.line(f"{each.verdict}: {unseen.gate}: {unseen.reason}", style="dim", hanging=2)


def _of(n: int, of: int, share: float | None) -> str:
    ratio = "" if share is None else f" ({share:.0%})"
    return f"{n:,} of {of:,}{ratio}" if of else "-"


def _line(each: Replayed) -> tuple[str, ...]:
    name = f"{each.version or each.run} ({each.verdict})"
    return name, each.then, each.again.outcome, each.shown, _because(each.again) or each.shown_by


def _because(again: Rejudged) -> str:
    """The finding that stops it, the worst first."""
    stopping = [f for f in again.findings if again.is_stopped and f.outcome == again.outcome]
    if not stopping:
        return ""
    first, *more = stopping
    value = "" if first.value is None else f": {first.value:.4g}"
    return f"{first.gate}{value}" + (f", and {len(more)} more" if more else "")
