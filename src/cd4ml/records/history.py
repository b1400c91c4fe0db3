"""What the released versions of a model were worth when they were let in."""

from __future__ import annotations

import msgspec


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one released version, from its own verdict on its own holdout."""

    version: str  # "delay/3"
    verdict: str  # "verdict/7"
    value: float
    n_rows: int


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The released versions' values of each metric that trends are asked of, oldest first."""

    of: dict[str, tuple[Past, ...]] = {}  # metric -> values
