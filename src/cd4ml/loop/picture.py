"""Lineage as a picture: SVG that needs no script and no style sheet, or Mermaid.

Colours stand in attributes, so that the picture can be looked at anywhere, also where a
content security policy forbids inline styles; a style sheet may give others to its classes.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from urllib.parse import quote

from cd4ml.loop.layout import layout, without_shortcuts
from cd4ml.loop.lineage import Lineage, Thing

_WIDTH, _HEIGHT, _ACROSS, _DOWN, _EDGE = 160, 44, 34, 14, 12  # pixels
_MOST_ARROWS = 600  # of which it is asked whether they say something new
_SIGNS = 22  # of a name that fit into a box

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
    width = 2 * _EDGE + placed.n_layers * (_WIDTH + _ACROSS) - _ACROSS
    height = 2 * _EDGE + placed.n_rows * (_HEIGHT + _DOWN) - _DOWN
    roles: dict[tuple[str, str], list[str]] = {}
    for each in found.links:
        roles.setdefault((each.parent, each.child), []).append(each.role)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" role="group" '
            f'aria-label="{_text(_sentence(found))}" font-family="sans-serif" font-size="12">',
            *(
                _way(way, f"{', '.join(roles[arrow])}: {_pair(things, arrow)}")
                for arrow, way in placed.ways.items()
            ),
            *(
                _box(thing, *_corner(*placed.places[id]), found.of.id == id, link)
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
        f'  {names[thing.id]}["{_mermaid_text(thing.label)}<br/>{_mermaid_text(thing.kind)}"]'
        for thing in things
    ]
    arrows = [
        f"  {names[each.parent]} -->|{_mermaid_text(each.role)}| {names[each.child]}"
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


def _corner(layer: int, row: float) -> tuple[float, float]:
    return _EDGE + layer * (_WIDTH + _ACROSS), _EDGE + row * (_HEIGHT + _DOWN)


def _box(
    thing: Thing, x: float, y: float, is_start: bool, link: Callable[[Thing], str] | None
) -> str:
    family = _FAMILIES.get(thing.kind, "work")
    fill, stroke = _COLOURS[family]
    column = f", column {thing.column}" if thing.column not in ("", "*") else ""
    title = f"{thing.kind} {thing.name}{column}, {thing.seen_at:%Y-%m-%d %H:%M} UTC"
    drawn = (
        f"<title>{_text(title)}</title>"
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="{3 if is_start else 1}"/>'
        f'<text x="{x + 10:g}" y="{y + 17:g}" fill="{stroke}" font-size="10">{_text(thing.kind)}</text>'
        f'<text x="{x + 10:g}" y="{y + 34:g}" fill="#17212b">{_text(_short(thing.label))}</text>'
    )
    classes = f'class="thing {family}{" start" if is_start else ""}"'
    path = link(thing) if link else ""
    if not path:
        return f"<g {classes}>{drawn}</g>"
    return f'<a href="{_text(path)}" aria-label="{_text(title)}"><g {classes}>{drawn}</g></a>'


def _way(way: list[tuple[int, float]], title: str) -> str:
    """An arrow: from the right of its first box to the left of its last, through the layers."""
    corners = [_corner(*place) for place in way]
    x, y = corners[0][0] + _WIDTH, corners[0][1] + _HEIGHT / 2
    parts = [f"M{x:g} {y:g}"]
    for index, (left, top) in enumerate(corners[1:], start=1):
        middle, row = (x + left) / 2, top + _HEIGHT / 2
        parts.append(f"C{middle:g} {y:g} {middle:g} {row:g} {left:g} {row:g}")
        x, y = left, row
        if index < len(corners) - 1:
            x += _WIDTH
            parts.append(f"H{x:g}")
    tip = f"M{x - 7:g} {y - 4:g}L{x:g} {y:g}L{x - 7:g} {y + 4:g}"
    return (
        f'<path class="way" d="{"".join(parts)}{tip}" fill="none" stroke="#8a97a5">'
        f"<title>{_text(title)}</title></path>"
    )


def _short(name: str) -> str:
    """A name that fits into its box: its beginning and, with dates and numbers, its end."""
    if len(name) <= _SIGNS:
        return name
    half = _SIGNS // 2
    return f"{name[: half - 1]}…{name[-half:]}"


def _text(words: str) -> str:
    """Safe in SVG, also in an attribute; without the control characters that XML has none for."""
    return escape("".join(sign for sign in words if sign.isprintable()))


def _mermaid_text(words: str) -> str:
    """Safe between the quotes or bars of Mermaid, which knows entities by their number."""
    return "".join(
        sign if sign.isalnum() or sign in " .,@/_-:" else f"#{ord(sign)};"
        for sign in words
        if sign.isprintable()
    )
