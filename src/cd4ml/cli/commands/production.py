"""What is, or was, in production."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, day_or_time

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.production import Decision, InProduction, Serving


def add_to(commands: Commands) -> None:
    """`production`."""
    parser = commands.add(
        "production",
        production,
        "what is in production, or was at a moment: versions, shares, releases, approvals",
        "From the plans that every release, step of a rollout and undo has left; nothing of it\n"
        "is guessed from what is there now.",
    )
    parser.add_argument(
        "--at", type=day_or_time, metavar="MOMENT", help='such as "2013-03-03 14:00" (UTC)'
    )
    parser.add_argument(
        "--in", dest="environment", default="", metavar="ENVIRONMENT", help="(default: the last)"
    )
    parser.add_argument("--model", default="", metavar="NAME", help="only this one")


def production(given: Given) -> Answer[list[InProduction]]:
    """What answered at a moment."""
    from cd4ml.loop.production import production as answer

    words = given.words
    found = answer(given.project, at=words.at, environment=words.environment, model=words.model)
    return Answer(found, _show)


def _show(screen: Screen, found: list[InProduction]) -> None:
    from cd4ml.cli.screen import moment

    if not found:
        screen.line("nothing: no release had begun")
    for each in found:
        until = f"until {moment(each.until)}" if each.until else "which holds now"
        at = f"{each.model} in {each.environment} at {moment(each.at)} UTC"
        screen.title(f"{at}: {each.plan}, since {moment(each.since)}, {until}")
        screen.table(
            ("version", "as", "share", "by release", "asked for by", "answers in that hour"),
            (_line(serving) for serving in each.versions),
        )
        for serving in each.versions:
            for decision in serving.approved:
                screen.line(f"{serving.release} {_decided(decision)}", indent=2)


def _line(serving: Serving) -> tuple[str, ...]:
    return (
        serving.version,
        serving.role,
        f"{serving.weight_percent:g} %",
        serving.release,
        serving.requested_by,
        f"{serving.answered:,}",
    )


def _decided(decision: Decision) -> str:
    from cd4ml.cli.screen import moment

    how = " in advance" if decision.is_standing else ""
    why = f": {decision.reason}" if decision.reason else ""
    return f"approved{how} by {decision.by} at {moment(decision.at)}{why}"
