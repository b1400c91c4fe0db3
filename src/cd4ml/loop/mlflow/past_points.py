"""Points of a history as points of ours; what no run can keep is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from cd4ml.engines.mlflow.entities import moment
from cd4ml.engines.mlflow.past import PastModelMetric, PastPoint
from cd4ml.errors import InvalidInput
from cd4ml.records.logged_model import LoggedModelMetric
from cd4ml.records.point import Point
from cd4ml.store.storable import problem


class Points:
    """Walks over points; afterwards `left` says which could not be taken, and why."""

    def __init__(self, past: Iterable[PastPoint]) -> None:
        self._past = past
        self._left: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Point]:
        for name, value, step, time_ms in self._past:
            reason = problem(name) or _no_time(time_ms)
            if reason:
                self._left[f"the metric {name!r}: {reason}"] += 1
            else:
                yield Point(name, value, step, max(0, time_ms))

    @property
    def left(self) -> list[str]:
        """A sentence a metric."""
        return [
            f"{n} point{'s' if n > 1 else ''} of {what}" for what, n in sorted(self._left.items())
        ]


def model_metrics(
    past: Iterable[PastModelMetric], number_of: Callable[[str], int], leave: Callable[[str], None]
) -> list[LoggedModelMetric]:
    """The metrics of a logged model, on the datasets that they were measured on.

    Args:
        past: As they were logged.
        number_of: The number of the run with an id, 0 if it did not come over.
        leave: Is told what cannot be taken.
    """
    found = []
    for each in past:
        reason = problem(each.name) or _no_time(each.time_ms)
        if reason:
            leave(f"a point of the metric {each.name!r}: {reason}")
            continue
        is_nan = each.value != each.value
        metric = LoggedModelMetric(
            model=each.model,
            name=each.name,
            dataset=each.dataset,
            digest=each.digest,
            run=number_of(each.run),
            value=None if is_nan else each.value,
            is_nan=is_nan,
            step=each.step,
            logged_at=moment(max(0, each.time_ms)),
        )
        found.append(metric)
    return found


def _no_time(time_ms: int) -> str:
    try:
        moment(max(0, time_ms))
    except InvalidInput:
        return f"no calendar has the time {time_ms} (milliseconds since 1970)"
    return ""
