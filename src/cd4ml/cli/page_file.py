"""A page written beside the answer, to be kept or mailed."""

from __future__ import annotations

from pathlib import Path

from cd4ml.errors import InvalidInput


def write_page(place: str, page: str) -> None:
    """Write a page to a file.

    Raises:
        InvalidInput: If it cannot be written there.
    """
    try:
        Path(place).write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{place} cannot be written: {error.strerror}") from None
