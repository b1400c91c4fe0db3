"""Lines of a CSV file in which nothing stands: they are no rows."""

from __future__ import annotations

from pathlib import Path

_CHUNK = 2**16  # bytes: as many as lie in a processor's cache
_LINE_END, _RETURN, _QUOTE = b'\n\r"'
_OVERLAP = 2


def has_blank_lines(path: Path) -> bool:
    """Whether a line is empty that does not belong to a text in quotes."""
    last, n_quotes = b"", 0  # before the bytes that are looked at
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            text = last + chunk
            if _is_in(text, n_quotes):
                return True
            last = text[-_OVERLAP:]
            n_quotes += text.count(b'"', 0, len(text) - len(last))
    return False


def _is_in(text: bytes, n_quotes: int) -> bool:
    import numpy as np

    data = np.frombuffer(text, dtype=np.uint8)
    ends = data == _LINE_END
    blank = ends[:-1] & ends[1:]
    if b"\r" in text:
        blank[:-1] |= ends[:-2] & (data[1:-1] == _RETURN) & ends[2:]
    places = np.flatnonzero(blank)
    if not places.size:
        return False
    before = np.cumsum(data == _QUOTE)[places] + n_quotes
    return bool((before % 2 == 0).any())
