"""What people may call things."""

from __future__ import annotations

from cd4ml.errors import InvalidInput

_LONGEST = 100  # characters


def require_name(text: str, what: str) -> None:
    """Let no name through that a list could not show.

    Raises:
        InvalidInput: If it is empty, too long, not printable, or begins or ends with a space.

    Examples:
        >>> require_name("how strong?", "an experiment")
        >>> require_name("", "an experiment")
        Traceback (most recent call last):
        cd4ml.errors.InvalidInput: an experiment has a name of 1 to 100 printable characters, got ''
          hint: spaces may stand within it, not around it
    """
    if not (text.isprintable() and text == text.strip() and 0 < len(text) <= _LONGEST):
        msg = f"{what} has a name of 1 to {_LONGEST} printable characters, got {text[:_LONGEST]!r}"
        raise InvalidInput(msg, hint="spaces may stand within it, not around it")
