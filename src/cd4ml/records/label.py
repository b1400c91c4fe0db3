"""What the world, or somebody, said about a prediction."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A statement of what really happened after a prediction.

    A correction is a new label for the same prediction; the one with the latest
    `labelled_at` counts. `arrived_at` is when cd4ml learned of it.
    """

    prediction_id: str
    value: float
    labelled_at: datetime
    arrived_at: datetime
    labelled_by: str
