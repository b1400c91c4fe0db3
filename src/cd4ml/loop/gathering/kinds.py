"""The kinds of gate that need more than the rows of the holdout, and what gathers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from cd4ml.loop.gathering import representation
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.gathering.behaviour import gather_behaviour
from cd4ml.loop.gathering.contract import gather_contract
from cd4ml.loop.gathering.data import gather_data
from cd4ml.loop.gathering.explanation import gather_explanation
from cd4ml.loop.gathering.history import gather_history
from cd4ml.loop.gathering.leakage import gather_leakage
from cd4ml.loop.gathering.skew import gather_skew

# (asked, the policy's gates of this kind) -> the kind's own record (`gates.kinds.Kind.record`)
Gather = Callable[[Asked, tuple[Any, ...]], msgspec.Struct]

GATHER: dict[str, Gather] = {
    "representation": representation.gather,
    "trend": gather_history,
    "data": gather_data,
    "leakage": gather_leakage,
    "skew": gather_skew,
    "contract": gather_contract,
    "behaviour": gather_behaviour,
    "explanation": gather_explanation,
}
