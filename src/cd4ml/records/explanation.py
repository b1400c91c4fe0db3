"""Why a model answers as it does: what each field adds to an answer, and how much each matters."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Unit = Literal["answer", "log-odds", "logarithm"]
Method = Literal["linear", "trees", "lightgbm", "xgboost", "shap", "sampled"]


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """What one field of a request adds to the raw answer, beside an average request.

    `field` names several ("hour, wind") where what encodes them mixes them; then `value` is an
    object with the value of each.
    """

    field: str
    value: Any  # as the request had it
    amount: float  # in the unit of the raw answer


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One answer taken apart: the base and all amounts add up to `raw`.

    The answer is `raw` itself, its logistic function where the unit is log-odds, and its
    exponential where the unit is a logarithm. `base` is what an average request gets.
    """

    answer: float
    raw: float
    base: float
    unit: Unit
    method: Method
    contributions: tuple[Contribution, ...]  # the largest first


class FieldImportance(msgspec.Struct, frozen=True, kw_only=True):
    """By how much a metric gets worse when a field's values are shuffled among the rows.

    `low` and `high` are the interval over the shuffles; around 0 the model does without it.
    """

    field: str
    value: float
    low: float
    high: float


class ExplanationEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What could be explained of a candidate, on the rows of the holdout.

    `shares` says for each field which part of all that is added to or taken from the base comes
    from it; they sum to 1. What could not be had is empty, and its reason says why.
    """

    artifact: str
    n_rows: int = 0  # on which contributions were taken
    method: Method | None = None
    unit: Unit | None = None
    largest_gap: float = 0.0  # between the sum of an answer's parts and its raw value
    shares: dict[str, float] = {}
    reason: str = ""
    metric: str = ""
    level: float | None = None  # of the metric, with nothing shuffled
    n_measured: int = 0  # rows on which importance was measured
    importance: tuple[FieldImportance, ...] = ()  # the largest first
    importance_reason: str = ""
