"""Lineage as a picture: SVG that needs no script and no style sheet, or Mermaid.

Colours stand in attributes, so that the picture can be looked at anywhere, also where a
content security policy forbids inline styles; a style sheet may give others to its classes.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from cd4ml.loop.drawing import (
    HEIGHT,
    WIDTH,
    corner,
    mermaid_text,
    short,
    size_of,
    text,
    way_of,
)
from cd4ml.loop.layout import layout, without_shortcuts
from cd4ml.loop.lineage import Lineage, Thing

_MOST_ARROWS = 600  # of which it is asked whether they say something new

# kind -> what it belongs to, and the two colours of that
_FAMILIES = {
    "dataset version": "data",
    "labels": "data",
    "run": "work",
    "step output": "work",
    "job": "work",
    "trigger": "work",
    "model": "model",
    "model version": "model",
    "verdict": "decision",
    "approval": "decision",
    "release": "decision",
    "plan": "production",
    "window": "production",
    "alert": "production",
    "prediction": "production",
}
_COLOURS = {
    "data": ("#e6f0f7", "#0b5d8f"),
    "work": ("#eef1f4", "#626e7c"),
    "model": ("#efe8f7", "#7d5ba6"),
    "decision": ("#fcefdf", "#984a00"),
    "production": ("#e5f3ec", "#1a7350"),
}


def svg(found: Lineage, link: Callable[[Thing], str] | None = None) -> str:
    """The part of the graph as one SVG element, from sources on the left to uses on the right.

    Args:
        found: What to draw.
        link: Where a thing leads to; "" or nothing leads nowhere.
    """
    things = {thing.id: thing for thing in (found.of, *found.things)}
    arrows = list(dict.fromkeys((each.parent, each.child) for each in found.links))
    if len(arrows) <= _MOST_ARROWS:  # what a longer way shows as well only hides the others
        arrows = without_shortcuts(arrows)
    placed = layout(list(things), arrows)
    width, height = size_of(placed.n_layers, placed.n_rows)
    roles: dict[tuple[str, str], list[str]] = {}
    for each in found.links:
        roles.setdefault((each.parent, each.child), []).append(each.role)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" role="group" '
            f'aria-label="{text(_sentence(found))}" font-family="sans-serif" font-size="12">',
            *(
                way_of(way, f"{', '.join(roles[arrow])}: {_pair(things, arrow)}")
                for arrow, way in placed.ways.items()
            ),
            *(
                _box(thing, *corner(*placed.places[id]), found.of.id == id, link)
                for id, thing in things.items()
            ),
            "</svg>",
        ]
    )


def mermaid(found: Lineage) -> str:
    """The part of the graph as a Mermaid flowchart, as Markdown pages show it."""
    things = [found.of, *found.things]
    names = {thing.id: f"n{i}" for i, thing in enumerate(things)}
    nodes = [
        f'  {names[thing.id]}["{mermaid_text(thing.label)}<br/>{mermaid_text(thing.kind)}"]'
        for thing in things
    ]
    arrows = [
        f"  {names[each.parent]} -->|{mermaid_text(each.role)}| {names[each.child]}"
        for each in found.links
    ]
    return "\n".join(
        ["flowchart LR", *nodes, *arrows, f"  style {names[found.of.id]} stroke-width:3px"]
    )


def lineage_path(thing: Thing) -> str:
    """The page of the console that shows a thing's own lineage."""
    column = f"&column={quote(thing.column, safe='')}" if thing.column not in ("", "*") else ""
    return f"/lineage?of={quote(thing.address, safe='')}{column}"


def _sentence(found: Lineage) -> str:
    above = sum(thing.depth < 0 for thing in found.things)
    below = len(found.things) - above
    return f"Lineage of {found.of.label}: it comes from {above} things, {below} come from it"


def _pair(things: dict[str, Thing], arrow: tuple[str, str]) -> str:
    return f"{things[arrow[0]].label} to {things[arrow[1]].label}"


def _box(
    thing: Thing, x: float, y: float, is_start: bool, link: Callable[[Thing], str] | None
) -> str:
    family = _FAMILIES.get(thing.kind, "work")
    fill, stroke = _COLOURS[family]
    column = f", column {thing.column}" if thing.column not in ("", "*") else ""
    title = f"{thing.kind} {thing.name}{column}, {thing.seen_at:%Y-%m-%d %H:%M} UTC"
    drawn = (
        f"<title>{text(title)}</title>"
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="{3 if is_start else 1}"/>'
        f'<text x="{x + 10:g}" y="{y + 17:g}" fill="{stroke}" font-size="10">{text(thing.kind)}</text>'
        f'<text x="{x + 10:g}" y="{y + 34:g}" fill="#17212b">{text(short(thing.label))}</text>'
    )
    classes = f'class="thing {family}{" start" if is_start else ""}"'
    path = link(thing) if link else ""
    if not path:
        return f"<g {classes}>{drawn}</g>"
    return f'<a href="{text(path)}" aria-label="{text(title)}"><g {classes}>{drawn}</g></a>'
