"""What a thing came from, what was made from it, and what is affected if it is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, UsageError, at_most_a_million

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.impact import Impact
    from cd4ml.loop.lineage import Lineage

FORMATS = ("text", "mermaid", "svg", "json")


def add(commands: Commands) -> None:
    """`lineage`."""
    parser = commands.add(
        "lineage",
        lineage,
        "what a thing came from, and what was made from it",
        "With --impact: which models, endpoints and windows are affected if it is wrong, and who\n"
        "is to be told. With --column only by the way of this column, as far as steps declare\n"
        "their columns.",
    )
    parser.add_argument(
        "ref",
        metavar="REF",
        help="flights@1, run/3, run/3/STEP, delay/2, release/2, plan/4, window/..., a prediction "
        "id or a content address",
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--up", action="store_true", help="only what it came from")
    ways.add_argument("--down", action="store_true", help="only what was made from it")
    ways.add_argument("--impact", action="store_true", help="what is affected if it is wrong")
    parser.add_argument("--column", default="", metavar="NAME", help="only by way of this column")
    parser.add_argument("--format", choices=FORMATS, default="text", help="(default: text)")
    parser.add_argument(
        "--limit", type=at_most_a_million, default=200, metavar="N", help="things (default: 200)"
    )


def lineage(given: Given) -> Answer[Lineage] | Answer[Impact]:
    """Walk the graph."""
    words = given.words
    if words.impact:
        return _impact(given)
    from cd4ml.loop.lineage import lineage as walk

    found = walk(
        given.project,
        words.ref,
        column=words.column,
        up=not words.down,
        down=not words.up,
        limit=words.limit,
    )
    shows = {"text": _show_lineage, "mermaid": _show_mermaid, "svg": _show_svg, "json": _show_json}
    return Answer(found, shows[words.format])


def _impact(given: Given) -> Answer[Impact]:
    from cd4ml.loop.impact import impact

    words = given.words
    if words.format not in ("text", "json"):
        msg = f"cd4ml lineage: --impact is told as text or json, not as {words.format}"
        raise UsageError(msg, hint="leave out --impact for a picture")
    found = impact(given.project, words.ref, column=words.column)
    return Answer(found, _show_impact if words.format == "text" else _show_json)


def _show_lineage(screen: Screen, found: Lineage) -> None:
    screen.title(f"{found.of.label} ({found.of.kind})")
    for title, sign in (("it came from", -1), ("made from it", 1)):
        lines = _lines(found, sign)
        if lines:
            screen.line()
            screen.table((title, "", "steps", "as", "of" if sign < 0 else "from"), lines)
    if not found.things:
        screen.line("it came from nothing that is known, and nothing was made from it", indent=2)
    if found.n_left_out:
        more = (
            "1 more thing is" if found.n_left_out == 1 else f"{found.n_left_out:,} more things are"
        )
        screen.hint(f"{more} farther away; --limit N shows them")


def _lines(found: Lineage, sign: int) -> list[tuple[str, ...]]:
    """The things on one side, each with the nearest thing that it is joined to."""
    things = {thing.id: thing for thing in (found.of, *found.things)}
    told: dict[str, tuple[str, str]] = {}
    for link in found.links:
        near, far = (link.child, link.parent) if sign < 0 else (link.parent, link.child)
        if abs(things[near].depth) == abs(things[far].depth) - 1:
            told.setdefault(far, (link.role, things[near].label))
    return [
        (thing.label, thing.kind, str(abs(thing.depth)), *told.get(thing.id, ("", "")))
        for thing in found.things
        if thing.depth * sign > 0
    ]


def _show_impact(screen: Screen, found: Impact) -> None:
    from cd4ml.cli.screen import counted

    verb = "is" if found.n_things == 1 else "are"
    things = counted(found.n_things, "thing")
    screen.title(f"if {found.of.label} is wrong, {things} {verb} affected")
    screen.facts(
        (
            *(("in charge", name) for name in found.in_charge),
            *(
                (
                    "answering",
                    f"{each.environment}: {each.version} as {each.role}, {each.weight_percent:g} % "
                    f"of requests ({each.plan})",
                )
                for each in found.endpoints
            ),
            ("releases", ", ".join(found.releases)),
            ("models", ", ".join(found.models)),
            ("runs", ", ".join(found.runs)),
            ("datasets", ", ".join(found.datasets)),
            ("windows", ", ".join(found.windows)),
            ("predictions", f"{found.n_predictions:,}" if found.windows else ""),
            *(("tell", f"{each.who}: {', '.join(each.why)}") for each in found.tell),
        )
    )


def _show_mermaid(_: Screen, found: Lineage) -> None:
    from cd4ml.cli.printable import printable
    from cd4ml.loop.picture import mermaid

    print(printable(mermaid(found)))


def _show_svg(_: Screen, found: Lineage) -> None:
    from cd4ml.cli.printable import printable
    from cd4ml.loop.picture import svg

    print(printable(svg(found)))


def _show_json(_: Screen, found: Lineage | Impact) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
