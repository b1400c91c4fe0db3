"""Builders of plans and trials."""

from typing import Any

from cd4ml.experiments.space import space_of
from cd4ml.records.search import SearchPlan, Trial


def plan(space: dict[str, Any] | None = None, **changes: Any) -> SearchPlan:
    """A plan of random trials, judged by their auc."""
    values: dict[str, Any] = {
        "space": space_of(space or {"step.x": "0..1000"}),
        "sampler": "random",
        "n_trials": 10,
        "metric": "auc",
    }
    return SearchPlan(**{**values, **changes})


def ended(position: int, value: float | None, **changes: Any) -> Trial:
    """A trial that has finished with a value; failed without one."""
    values: dict[str, Any] = {
        "search": 1,
        "position": position,
        "parameters": {"step.x": position},
        "state": "failed" if value is None else "finished",
        "value": value,
        "run": position + 1,
    }
    return Trial(**{**values, **changes})
