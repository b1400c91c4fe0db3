"""Past candidates by another policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.records.finding import Finding
    from cd4ml.records.replay import Replay, Replayed


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
            ("would have stopped", f"{stopped:,} of {len(found.candidates):,}"),
            ("bad releases stopped", _of(found.caught, found.caught + found.missed)),
            ("good releases blocked", _of(found.blocked, found.blocked + found.kept)),
        )
    )
    screen.table(
        ("candidate", "verdict", "then", "by this policy", f"in {found.environment}"),
        (
            (each.version or each.run, each.verdict, each.then, each.again.outcome, each.shown)
            for each in found.candidates
        ),
    )
    for each in found.candidates:
        for line in _remarks(each):
            screen.line(f"  - {each.version or each.run}: {line}")


def _of(n: int, of: int) -> str:
    return f"{n:,} of {of:,}" if of else "none is known"


def _remarks(each: Replayed) -> list[str]:
    """What stops it, what nobody looked at, and what production showed."""
    stopping = [f for f in each.again.findings if f.outcome == each.again.outcome]
    return [
        *([_asked(finding) for finding in stopping] if each.again.is_stopped else []),
        *(f"{unseen.gate}: {unseen.reason}" for unseen in each.again.unseen),
        *([f"{each.shown}: {each.shown_by}"] if each.shown != "unknown" else []),
    ]


def _asked(finding: Finding) -> str:
    value = finding.reason if finding.value is None else f"{finding.value:.4g}"
    return f"{finding.gate}: {value}"
