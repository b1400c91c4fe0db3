"""`[[gate]]`: what a candidate must stand, one record a kind.

A table in `cd4ml.toml` says its `kind`; without one it is `metric`. To add a kind: its record here,
a row in `gates.kinds`, and, if it needs more than the rows of the holdout, one in `loop.gathering.kinds`.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

KIND = "kind"
DEFAULT_KIND = "metric"


class MetricGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field=KIND,
    tag="metric",
):
    """`kind = "metric"`, which may be left out: limits on one metric, judged on the holdout.

    `better_than = "trivial"` asks for the interval to lie on the better side of a
    model that knows only the base rate. `no_worse_than = { champion = 0.005 }`
    compares on the same rows and refuses when the candidate is worse by more.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    better_than: Literal["trivial"] | None = None
    no_worse_than: dict[str, float] = {}


Gate = MetricGate  # | the other kinds
KINDS_OF_GATE: tuple[type[msgspec.Struct], ...] = get_args(Gate) or (Gate,)


def kind_of(gate: msgspec.Struct | type[msgspec.Struct]) -> str:
    """What `kind` says in `cd4ml.toml` of a gate, or of its record.

    Examples:
        >>> kind_of(MetricGate(metric="auc", at_least=0.6))
        'metric'
    """
    return str(gate.__struct_config__.tag)
