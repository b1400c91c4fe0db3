"""How traffic moves to a new version, and what the judge saw of it."""

from __future__ import annotations

from typing import Literal

import msgspec


class RolloutStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a rollout.

    `shadow`: requests are copied to the new version, its answer is logged, not
    used. `canary`: `weight_percent` of the requests are answered by it. `full`:
    all of them. A step ends after `predictions` of the new version and, if
    `labels` is set, when as many of them have their label.
    """

    mode: Literal["shadow", "canary", "full"]
    weight_percent: float = 0.0
    predictions: int = 0
    labels: int = 0


class RolloutEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the new version did under the step's plan, next to the champion.

    `worse` is the anytime-valid interval of (loss of the new version - loss of
    the champion) on labelled predictions; None until both have some.
    """

    n_new: int = 0
    n_champion: int = 0
    n_labelled: int = 0
    n_failed: int = 0
    worse_low: float | None = None
    worse_high: float | None = None
