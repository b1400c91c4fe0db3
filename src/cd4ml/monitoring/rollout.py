"""What a new version did under one plan, next to the champion: the facts a release waits for."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING

import msgspec

from cd4ml.records.plan import Arm, Plan
from cd4ml.records.rollout import RolloutEvidence

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.measures.estimate import Estimate
    from cd4ml.store.log import PredictionLog

ALPHA = 0.05  # chance that the interval of one plan is ever wrong


def evidence(log: PredictionLog, plan: Plan, *, known_at: datetime) -> RolloutEvidence:
    """The evidence about a plan's new version in the collected log.

    The loss is the squared error (for a classifier the Brier score). A shadow and the
    champion are compared on the very same requests, a canary and the champion on requests
    given to one of them by chance. The interval of the difference is anytime-valid: it may be
    looked at after every prediction, and is for this plan alone.

    Args:
        log: The prediction log.
        plan: The plan in force; a version that answers alone is the new one itself.
        known_at: Labels count that had arrived by then.
    """
    import polars as pl

    new = _new_arm(plan)
    not_before = plan.made_at - timedelta(days=1)  # spares days; clocks may differ a little
    given = log.predictions(not_before, None, plan.environment, plan.number)
    known = log.labels(start=not_before, known_at=known_at).select("prediction_id", "value")
    columns = ("prediction_id", "role", "score", "value")
    rows = given.join(known, on="prediction_id", how="left").select(columns).collect()
    of_new = rows.filter(pl.col("role") == new.role)
    of_champion = rows.filter(pl.col("role") == "champion")
    counts = RolloutEvidence(
        n_new=of_new.height,
        n_champion=0 if new.role == "champion" else of_champion.height,
        n_labelled=_labelled(of_new).height,
        n_failed=of_new["score"].null_count(),
    )
    if new.role == "champion":
        return counts
    worse = _worse(_labelled(of_new), _labelled(of_champion), is_paired=new.role == "shadow")
    if worse is None or not (isfinite(worse.low) and isfinite(worse.high)):
        return counts
    return msgspec.structs.replace(counts, worse_low=worse.low, worse_high=worse.high)


def _new_arm(plan: Plan) -> Arm:
    """The canary or the shadow; the one arm of a plan that has no other."""
    return next((arm for arm in plan.arms if arm.role != "champion"), plan.arms[0])


def _labelled(rows: pl.DataFrame) -> pl.DataFrame:
    """The answers with a label, with the `loss` of each."""
    import polars as pl

    known = rows.filter(pl.col("score").is_not_null(), pl.col("value").is_not_null())
    return known.with_columns(loss=(pl.col("score") - pl.col("value")) ** 2)


def _worse(new: pl.DataFrame, champion: pl.DataFrame, *, is_paired: bool) -> Estimate | None:
    """Loss of the new version minus that of the champion; None until both have a label."""
    from cd4ml.measures.moments import moments
    from cd4ml.measures.sequential import asymptotic_sequence, difference_sequence

    if is_paired:
        both = new.join(champion, on="prediction_id", suffix="_champion")
        if both.height == 0:
            return None
        differences = both["loss"] - both["loss_champion"]
        return asymptotic_sequence(moments(differences), alpha=ALPHA).last()
    if new.height == 0 or champion.height == 0:
        return None
    of_new, of_champion = moments(new["loss"]), moments(champion["loss"])
    return difference_sequence(of_new, of_champion, alpha=ALPHA).last()
