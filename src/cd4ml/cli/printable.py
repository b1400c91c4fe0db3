"""Text from data and people, safe to print on a terminal."""

from __future__ import annotations

import unicodedata

_KEPT = "\n\t"


def printable(text: str) -> str:
    r"""The text without control characters, which could rewrite what the screen shows.

    Examples:
        >>> printable("delay\x1b[2J/1")
        'delay\ufffd[2J/1'
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    is_control = unicodedata.category(character) in ("Cc", "Cs") or character in _REVERSERS
    return "\ufffd" if is_control and character not in _KEPT else character


# they turn the direction of what follows: a name could be shown as another one
_REVERSERS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
