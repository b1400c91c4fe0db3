"""The kinds of gate that need more than the rows of the holdout, and what gathers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from cd4ml.loop.gathering.asked import Asked

# (asked, the policy's gates of this kind) -> the kind's own record (`gates.kinds.Kind.record`)
Gather = Callable[[Asked, tuple[Any, ...]], msgspec.Struct]

GATHER: dict[str, Gather] = {}
