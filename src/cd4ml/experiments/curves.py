"""Metrics of several runs over their training, read for a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.records.curve import Curves, RunCurve
from cd4ml.records.run import Metric
from cd4ml.store.tracking.history import columns_from, metrics_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

_MOST = 12  # metrics that are drawn unasked
_MACHINE = "system/"


def curves_of(
    connection: Connection,
    runs: Sequence[int],
    *,
    metrics: Sequence[str] = (),
    smoothing: float = 0.0,
    width: int = 200,
) -> tuple[Curves, ...]:
    """The curves of runs beside each other, one drawing a metric.

    Args:
        connection: Of a read transaction.
        runs: Their numbers, in the order in which they are shown.
        metrics: Which; by default those that a run has logged at several steps, what the
            machine did last, at most twelve.
        smoothing: The weight of what came before, 0 to below 1.
        width: About how many points of each are enough.

    Raises:
        NotFound: If none of the runs has such a metric.
        InvalidInput: If the smoothing is out of its range.
    """
    if not 0 <= smoothing < 1:
        raise InvalidInput(f"expected a smoothing from 0 to below 1, got {smoothing:g}")
    known = metrics_of(connection, runs)
    for name in metrics:
        if not any(each.name == name for each in known):
            there = ", ".join(sorted({each.name for each in known})) or "none"
            raise NotFound(f"none of these runs has the metric {name!r}", hint=f"known: {there}")
    having = {name: {each.run for each in known if each.name == name} for name in metrics}
    having = having or _logged_at_several_steps(known)
    return tuple(
        Curves(
            metric=name,
            runs=tuple(
                _curve(connection, run, name, smoothing, width)
                for run in dict.fromkeys(runs)
                if run in there
            ),
            smoothing=smoothing,
        )
        for name, there in having.items()
    )


def _logged_at_several_steps(known: Sequence[Metric]) -> dict[str, set[int]]:
    names = {each.name for each in known if each.n_points > 1}
    shown = sorted(names, key=lambda name: (name.startswith(_MACHINE), name))[:_MOST]
    return {name: {each.run for each in known if each.name == name} for name in shown}


def _curve(connection: Connection, run: int, metric: str, smoothing: float, width: int) -> RunCurve:
    import numpy as np

    from cd4ml.measures.smoothing import smoothed
    from cd4ml.measures.thinning import thinned

    columns = columns_from(connection, run, metric)
    order = np.argsort(columns.steps, kind="stable")
    values = smoothed(columns.values[order], smoothing)
    places, few = thinned(np.arange(len(order)), values, width)
    chosen = order[places]
    seconds = (columns.times_ms[chosen] - columns.times_ms.min(initial=2**62)) / 1000
    return RunCurve(
        run=f"run/{run}",
        steps=tuple(columns.steps[chosen].tolist()),
        seconds=tuple(seconds.tolist()),
        values=tuple(value if np.isfinite(value) else None for value in few.tolist()),
        n_points=len(order),
    )
