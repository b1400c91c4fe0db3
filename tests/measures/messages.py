"""Whole error messages: they are interface."""

from __future__ import annotations

import re


def exactly(message: str) -> str:
    """A pattern for `pytest.raises(match=...)` that this message alone matches."""
    return f"^{re.escape(message)}$"
