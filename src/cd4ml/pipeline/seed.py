"""Chance that is the same in every run: the generators that whole programs share, seeded."""

from __future__ import annotations

import random
import sys

from cd4ml.store.digest import PREFIX, address_of

PARAMETER = (
    "seed"  # a step that asks for a parameter of this name, without a default, gets the run's
)

_BITS = 32


def seed_everything(seed: int, step: str, *, needs_numpy: bool) -> None:
    """Set Python's, numpy's and torch's own generators before a step.

    Each step has chance of its own: how much of it one step uses is nothing to another.

    Args:
        seed: Of the run.
        step: Its name.
        needs_numpy: Whether the step may import numpy itself, later.
    """
    own = _of_step(seed, step)
    random.seed(own)
    if needs_numpy or "numpy" in sys.modules:
        import numpy as np

        np.random.seed(own)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "manual_seed"):
        torch.manual_seed(own)


def _of_step(seed: int, step: str) -> int:
    """A number of 32 bits from a run's seed and a step's name.

    Examples:
        >>> _of_step(0, "delay") == _of_step(0, "delay") != _of_step(1, "delay")
        True
    """
    digest = address_of(f"{seed}\0{step}".encode()).removeprefix(PREFIX)
    return int(digest[: _BITS // 4], 16)
