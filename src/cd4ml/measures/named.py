"""What measures are called and which way they go: all that is known of them without rows."""

from __future__ import annotations

from math import inf
from typing import Literal

import msgspec


class Named(msgspec.Struct, frozen=True):
    """A measure that a gate or a monitor may ask for by name.

    `is_paired` says that two models can be compared by it on the same rows, with an interval;
    `of`, which targets it is for; `constant`, which one answer a trivial model gives to every
    row: the mean of the training targets, their median, or none that would say anything.
    """

    name: str
    direction: Literal["higher", "lower"]  # which is better
    unit: str
    is_paired: bool = True
    of: Literal["classes", "amounts"] = "classes"
    constant: Literal["mean", "median"] | None = "mean"
    has_threshold: bool = False  # whether a score counts as an answer from some value on

    @property
    def best(self) -> float:
        """The value of a model that is always right; nothing is better."""
        return 1.0 if self.direction == "higher" else 0.0

    @property
    def worst(self) -> float:
        """The value that nothing is worse than; infinite where a model may be wrong without end."""
        if self.direction == "higher":
            return -inf if self.name == "r2" else 0.0
        return 1.0 if self.name in ("brier", "false_positive_rate") else inf


_OF_TARGET = "unit of the target"

NAMED: dict[str, Named] = {
    each.name: each
    for each in (
        Named("auc", "higher", "share of pairs"),
        Named("brier", "lower", "squared probability"),
        Named("log_loss", "lower", "nats"),
        Named("accuracy", "higher", "share of rows", has_threshold=True),
        Named("recall", "higher", "share of positive rows", constant=None, has_threshold=True),
        Named(
            "precision", "higher", "share of positive answers", constant=None, has_threshold=True
        ),
        Named(
            "false_positive_rate",
            "lower",
            "share of negative rows",
            constant=None,
            has_threshold=True,
        ),
        Named("f1", "higher", "harmonic mean of two shares", constant=None, has_threshold=True),
        Named("mae", "lower", _OF_TARGET, of="amounts", constant="median"),
        Named("rmse", "lower", _OF_TARGET, of="amounts"),
        Named("median_absolute_error", "lower", _OF_TARGET, of="amounts", constant="median"),
        Named("mape", "lower", "share of the target", of="amounts", constant="median"),
        Named("r2", "higher", "share of variance", of="amounts"),
    )
}
