"""The kinds of gate: what refuses one that cannot be meant, and what judges it.

A kind's module is read with every policy, so it imports NumPy, Polars and the measures only
inside `judge`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.gates import metric

if TYPE_CHECKING:
    import msgspec

    from cd4ml.gates.evidence import Evidence
    from cd4ml.records.finding import Finding


class Kind(NamedTuple):
    """What is done with the gates of one kind.

    `record` is what `loop.gathering` brings for it, None if the rows of the holdout are enough;
    the judge finds it in `Evidence.gathered` under the kind's name.
    """

    require_possible: Callable[[Any, str], None]  # (gate, "gate[0]"); raises ConfigurationError
    judge: Callable[[Any, Evidence], list[Finding]]  # (gate, evidence); pure
    record: type[msgspec.Struct] | None = None


KINDS: dict[str, Kind] = {
    "metric": Kind(metric.require_possible, metric.judge),
}
