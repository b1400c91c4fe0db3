"""What a run says of itself."""

from __future__ import annotations

import msgspec

from cd4ml.records.run import Run, StepRun


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its steps and metrics."""

    run: Run
    steps: tuple[StepRun, ...]
    metrics: dict[str, float | None]
    seconds: float = 0.0  # of work, as the steps took it
