"""Markdown of people as HTML: headings, paragraphs, lists, code; everything else as it is typed.

No HTML of theirs gets through: every character is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from markupsafe import Markup

_HEADING = re.compile(r"(#{1,6}) +(.+?)(?: +#+)?")
_ITEM = re.compile(r"(?:[-*+]|\d+[.)]) +(.+)")
_FENCE = re.compile(r"(?:```|~~~).*")
_INLINE = re.compile(r"`([^`\n]+)`|\*\*([^*\n]+)\*\*")


def html_of(text: str, *, below: int = 2) -> Markup:
    r"""A text in Markdown as HTML.

    Args:
        text: What people wrote.
        below: The level of the heading that it stands under: its own begin one further down.

    Examples:
        >>> html_of("# Use\n- by **desks**\n- not by <b>doctors</b>")
        Markup('<h3>Use</h3>\n<ul><li>by <strong>desks</strong></li><li>not by &lt;b&gt;doctors&lt;/b&gt;</li></ul>')
    """
    return Markup("\n").join(_blocks(text.splitlines(), below))


def below(text: str, *, level: int = 2) -> str:
    r"""A text in Markdown with its headings so far down that it can stand under one of this level.

    Examples:
        >>> below("# Use\n```\n# no heading\n```")
        '### Use\n```\n# no heading\n```'
    """
    lines, is_code = [], False
    for line in text.splitlines():
        is_code ^= bool(_FENCE.fullmatch(line.strip()))
        found = None if is_code else _HEADING.fullmatch(line.strip())
        lines.append(f"{'#' * min(6, level + len(found[1]))} {found[2]}" if found else line)
    return "\n".join(lines)


def _blocks(lines: list[str], below: int) -> Iterator[Markup]:
    kept: list[str] = []
    fence: list[str] | None = None
    for line in lines:
        if fence is not None and _FENCE.fullmatch(line.strip()):
            yield Markup("<pre><code>{}</code></pre>").format("\n".join(fence))
            fence = None
        elif fence is not None:
            fence.append(line)
        elif _FENCE.fullmatch(line.strip()):
            yield from _prose(kept, below)
            kept, fence = [], []
        else:
            kept.append(line)
    if fence is not None:  # never closed
        yield Markup("<pre><code>{}</code></pre>").format("\n".join(fence))
    yield from _prose(kept, below)


def _prose(lines: list[str], below: int) -> Iterator[Markup]:
    kinds = groupby(lines, key=_kind)
    for kind, group in kinds:
        texts = [line.strip() for line in group]
        if kind == "heading":
            yield from (_heading(text, below) for text in texts)
        elif kind == "item":
            items = [_ITEM.fullmatch(text) for text in texts]
            yield Markup("<ul>{}</ul>").format(
                Markup("").join(
                    Markup("<li>{}</li>").format(_inline(item[1])) for item in items if item
                )
            )
        elif kind == "words":
            yield Markup("<p>{}</p>").format(_inline("\n".join(texts)))


def _kind(line: str) -> str:
    stripped = line.strip()
    if not stripped:
        return "nothing"
    if _HEADING.fullmatch(stripped):
        return "heading"
    return "item" if _ITEM.fullmatch(stripped) else "words"


def _heading(text: str, below: int) -> Markup:
    found = _HEADING.fullmatch(text)
    assert found is not None
    level = min(6, below + len(found[1]))
    return Markup("<h{0}>{1}</h{0}>").format(level, _inline(found[2]))


def _inline(text: str) -> Markup:
    parts: list[str | Markup] = []
    end = 0
    for found in _INLINE.finditer(text):
        parts.append(text[end : found.start()])
        tag, inner = ("code", found[1]) if found[1] else ("strong", found[2])
        parts.append(Markup("<{0}>{1}</{0}>").format(Markup(tag), inner))
        end = found.end()
    return Markup("").join([*parts, text[end:]])
