"""One answered request."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from cd4ml.records.plan import Role


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of one version: the row of the prediction log.

    A request that a shadow also answered has two rows with the same
    `prediction_id`, one a role. `key` is the caller's own name for the request
    ("" if it gave none): what it knows the row by when the truth comes.
    """

    prediction_id: str
    answered_at: datetime
    environment: str
    plan: int
    role: Role
    model: str
    number: int
    artifact: str
    score: float | None  # None: this version failed on the request
    inputs: dict[str, Any]
    key: str = ""
