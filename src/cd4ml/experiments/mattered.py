"""Which parameters of a search mattered, as far as its trials tell."""

from __future__ import annotations

from collections.abc import Iterable

from cd4ml.experiments.space import place_of
from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.importance import importance
from cd4ml.records.search import ParameterImportance, SearchImportance, SearchPlan, Trial


def mattered(plan: SearchPlan, trials: Iterable[Trial]) -> SearchImportance | None:
    """The importance of each parameter, the most important first; None where it cannot be told.

    Of trials on a portion of the rows only those of the first rung count: later ones were
    chosen for being good.

    Args:
        plan: Of the search.
        trials: Its trials.
    """
    known = [
        (trial.parameters, trial.value)
        for trial in trials
        if trial.state == "finished" and trial.value is not None and trial.rung == 0
    ]
    places = [
        [place_of(domain, parameters[name]) for name, domain in plan.space.items()]
        for parameters, _ in known
    ]
    try:
        found = importance(places, [value for _, value in known], seed=plan.seed % 2**32)
    except UndefinedMeasure:
        return None
    ranked = sorted(zip(plan.space, found.shares, strict=True), key=lambda each: -each[1])
    return SearchImportance(
        parameters=tuple(
            ParameterImportance(parameter=name, share=float(share)) for name, share in ranked
        ),
        together=found.together,
        explained=found.explained,
        n_trials=len(known),
    )
