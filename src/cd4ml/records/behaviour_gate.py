"""`kind = "behaviour"`: what the candidate has to do in its real serving process."""

from __future__ import annotations

import msgspec


class BehaviourGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="behaviour",
):
    """`kind = "behaviour"`: the candidate is served, asked, and keeps every promise of a model.

    Answers do not move by more than `tolerance` (in their own unit; rounding is always let
    through) with the fields of `invariant`, and never fall or rise with those of `increasing` and
    `decreasing`. A limit on latency or memory is asked of single rows over HTTP.
    """

    invariant: tuple[str, ...] = ()
    increasing: tuple[str, ...] = ()
    decreasing: tuple[str, ...] = ()
    tolerance: float = 0.0
    latency_p99_ms: float | None = None
    memory_mb: float | None = None  # of the serving process, at its peak
    rows: int = 200  # recorded ones that are asked about
    requests: int = 500  # of the load


LEAST_REQUESTS = 100
MOST_ROWS, MOST_REQUESTS = 10_000, 100_000
