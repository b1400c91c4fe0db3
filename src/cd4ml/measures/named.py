"""What measures are called and which way they go: all that is known of them without rows."""

from __future__ import annotations

from typing import Literal

import msgspec


class Named(msgspec.Struct, frozen=True):
    """A measure that a gate or a monitor may ask for by name.

    `is_paired` says that two models can be compared by it on the same rows, with an interval.
    """

    name: str
    direction: Literal["higher", "lower"]  # which is better
    unit: str
    is_paired: bool = True

    @property
    def best(self) -> float:
        """The value of a model that is always right; nothing is better."""
        return 1.0 if self.direction == "higher" else 0.0


NAMED: dict[str, Named] = {
    each.name: each
    for each in (
        Named("auc", "higher", "share of pairs"),
        Named("brier", "lower", "squared probability"),
        Named("log_loss", "lower", "nats"),
        Named("accuracy", "higher", "share of rows"),
    )
}
