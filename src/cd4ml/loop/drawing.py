"""How boxes and arrows of a graph are drawn: SVG that needs no script and no style sheet."""

from __future__ import annotations

from html import escape

WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 160, 44, 34, 14, 12  # pixels

_SIGNS = 22  # of a name that fit into a box


def corner(layer: int, row: float) -> tuple[float, float]:
    """The upper left corner of a box."""
    return EDGE + layer * (WIDTH + ACROSS), EDGE + row * (HEIGHT + DOWN)


def size_of(n_layers: int, n_rows: int) -> tuple[int, int]:
    """Width and height of a picture."""
    return 2 * EDGE + n_layers * (WIDTH + ACROSS) - ACROSS, 2 * EDGE + n_rows * (
        HEIGHT + DOWN
    ) - DOWN


def way_of(way: list[tuple[int, float]], title: str) -> str:
    """An arrow: from the right of its first box to the left of its last, through the layers."""
    corners = [corner(*place) for place in way]
    x, y = corners[0][0] + WIDTH, corners[0][1] + HEIGHT / 2
    parts = [f"M{x:g} {y:g}"]
    for index, (left, top) in enumerate(corners[1:], start=1):
        middle, row = (x + left) / 2, top + HEIGHT / 2
        parts.append(f"C{middle:g} {y:g} {middle:g} {row:g} {left:g} {row:g}")
        x, y = left, row
        if index < len(corners) - 1:
            x += WIDTH
            parts.append(f"H{x:g}")
    tip = f"M{x - 7:g} {y - 4:g}L{x:g} {y:g}L{x - 7:g} {y + 4:g}"
    return (
        f'<path class="way" d="{"".join(parts)}{tip}" fill="none" stroke="#8a97a5">'
        f"<title>{text(title)}</title></path>"
    )


def short(name: str) -> str:
    """A name that fits into its box: its beginning and, with dates and numbers, its end."""
    if len(name) <= _SIGNS:
        return name
    half = _SIGNS // 2
    return f"{name[: half - 1]}…{name[-half:]}"


def text(words: str) -> str:
    """Safe in SVG, also in an attribute; without the control characters that XML has none for."""
    return escape("".join(sign for sign in words if sign.isprintable()))


def mermaid_text(words: str) -> str:
    """Safe between the quotes or bars of Mermaid, which knows entities by their number."""
    return "".join(
        sign if sign.isalnum() or sign in " .,@/_-:" else f"#{ord(sign)};"
        for sign in words
        if sign.isprintable()
    )
