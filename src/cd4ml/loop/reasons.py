"""Why something is done: who reads the ledger later asks that first."""

from __future__ import annotations

from cd4ml.errors import InvalidInput


def require_reason(reason: str, doing: str, *, hint: str) -> None:
    """Let nothing be done for no reason.

    Raises:
        InvalidInput: If the reason says nothing.

    Examples:
        >>> require_reason("better in every slice", "approving release/2", hint="")
        >>> require_reason(" ", "approving release/2", hint="say what convinced you")
        Traceback (most recent call last):
        cd4ml.errors.InvalidInput: approving release/2 needs a reason
          hint: say what convinced you
    """
    if not reason.strip():
        raise InvalidInput(f"{doing} needs a reason", hint=hint)
