"""A stretch of production, measured."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cd4ml.records.finding import Finding, Outcome


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What monitoring measured between `start` (included) and `end` (excluded).

    `coverage` is the share of predictions that have their label by now.
    Findings cover input drift, prediction drift and realised performance.
    """

    environment: str
    model: str
    start: datetime
    end: datetime
    champion: int  # the version that answered most of it
    n_predictions: int
    n_labels: int
    coverage: float
    findings: tuple[Finding, ...]
    outcome: Outcome
    measured_at: datetime

    @property
    def ref(self) -> str:
        """`window/environment/model/day`, the day on which it began."""
        return window_ref(self.environment, self.model, self.start)


def window_ref(environment: str, model: str, start: datetime) -> str:
    """The name of the window of a model that began at a moment.

    Examples:
        >>> window_ref("production", "delay", datetime(2013, 2, 1))
        'window/production/delay/2013-02-01'
    """
    return f"window/{environment}/{model}/{start:%Y-%m-%d}"
