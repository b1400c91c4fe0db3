"""What came over of a history, and what did not."""

from __future__ import annotations

import msgspec

_MOST_NAMED = 20  # things in the report that could not be brought


class Brought(msgspec.Struct, kw_only=True):
    """What came over, and what did not: with the reason, the first twenty of them."""

    experiments: int = 0
    runs: int = 0
    updated: int = 0  # runs that had gone on since they were brought
    known: int = 0  # runs that were here as they are there
    points: int = 0
    files: int = 0
    logged_models: int = 0
    models: int = 0
    versions: int = 0
    aliases: int = 0
    left: list[str] = []
    n_left: int = 0

    def leave(self, what: str) -> None:
        """Note what could not be brought, and why."""
        self.n_left += 1
        if len(self.left) < _MOST_NAMED:
            self.left.append(what)
