"""Which values a trial gets: from a grid, at random, or where earlier trials did well.

A trial's values follow from the plan, its position, and the trials that had ended some
places before it: the same whoever asks, also after an interruption.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cd4ml.errors import ConfigurationError
from cd4ml.experiments.space import combination, n_steps, sample, values_of
from cd4ml.records.search import Choices, Domain, Range, SearchPlan, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

Draw = Callable[[int, Sequence[Trial]], dict[str, Any]]  # position, trials before -> values


def n_behind(plan: SearchPlan) -> int:
    """How many trials before one it does not look at: they may still be underway.

    So a trial's values do not depend on which of two that ran at once was quicker.
    """
    return 2 * (plan.workers - 1)


def sampler_of(plan: SearchPlan) -> Draw:
    """The function that gives a trial its values.

    Raises:
        ConfigurationError: If the plan wants a sampler that is not installed.
    """
    if plan.sampler == "grid":
        return lambda position, _: combination(plan.space, position)
    if plan.sampler == "random":
        chosen = sample(plan.space, plan.n_trials, seed=plan.seed)
        return lambda position, _: chosen[position]
    return _Tpe(plan).draw


class _Tpe:
    """Optuna's tree-structured Parzen estimator, over trials that we keep."""

    def __init__(self, plan: SearchPlan) -> None:
        self._plan = plan
        self._distributions = {name: _distribution(domain) for name, domain in plan.space.items()}
        self._study = _study(plan)
        self._n_known = 0  # trials that the study was told of

    def draw(self, position: int, before: Sequence[Trial]) -> dict[str, Any]:
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        self._tell(before[self._n_known : max(0, position - n_behind(self._plan))])
        # a sampler of its own for each trial: nothing is to be remembered that a killed
        # search could not know again
        chance = random.Random(f"{self._plan.seed}/{position}")
        self._study.sampler = TPESampler(seed=chance.getrandbits(32))
        asked = self._study.ask(self._distributions)
        drawn = {
            name: _value(domain, asked.params[name]) for name, domain in self._plan.space.items()
        }
        self._study.tell(asked, state=TrialState.FAIL)  # its end is told in its turn
        return drawn

    def _tell(self, ended: Sequence[Trial]) -> None:
        from optuna.trial import TrialState, create_trial

        for trial in ended:
            self._n_known += 1
            if trial.value is None:
                continue
            is_pruned = trial.state == "pruned"
            told = create_trial(
                params={
                    name: _choice(domain, trial.parameters[name])
                    for name, domain in self._plan.space.items()
                },
                distributions=self._distributions,
                value=trial.value,
                state=TrialState.PRUNED if is_pruned else TrialState.COMPLETE,
                intermediate_values={0: trial.value} if is_pruned else {},
            )
            self._study.add_trial(told)


def _study(plan: SearchPlan) -> Study:
    try:
        import optuna
    except ImportError:
        msg = 'the sampler "tpe" needs Optuna, which is not installed'
        raise ConfigurationError(msg, hint="pip install optuna, or --sampler random") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts that Optuna calls experimental
        return optuna.create_study(
            direction="maximize" if plan.direction == "higher" else "minimize"
        )


def _distribution(domain: Domain) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(domain, Choices):  # by their place: 1, 1.0 and True are three values
        return CategoricalDistribution(range(len(domain.values)))
    if domain.is_log and domain.is_whole:
        return IntDistribution(int(domain.low), int(domain.high), log=True)
    if domain.is_whole or domain.step is not None:
        return IntDistribution(0, n_steps(domain) - 1)
    return FloatDistribution(domain.low, domain.high, log=domain.is_log)


def _value(domain: Domain, drawn: Any) -> Any:
    """The value that Optuna's number means."""
    if isinstance(domain, Choices):
        return domain.values[drawn]
    return (values_of(domain) or ())[drawn] if _is_indexed(domain) else drawn


def _choice(domain: Domain, value: Any) -> Any:
    """The number that stands for a value at Optuna."""
    if isinstance(domain, Choices):
        return [repr(each) for each in domain.values].index(repr(value))
    if _is_indexed(domain):
        return round((value - domain.low) / (domain.step or 1.0))
    return value


def _is_indexed(domain: Range) -> bool:
    return not domain.is_log and (domain.is_whole or domain.step is not None)
