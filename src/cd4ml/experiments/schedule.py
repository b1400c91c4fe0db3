"""Which trial comes next, and when a search is over: decided from its plan and its trials."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cd4ml.experiments.samplers import Draw, n_behind, sampler_of
from cd4ml.records.search import SearchPlan, Trial

_ENDED = frozenset(["finished", "pruned", "failed"])


class Schedule:
    """The trials of a search so far, and what follows from them.

    Nothing here depends on which of two trials that ran at once ended first: the
    same plan gives the same trials, also when a search was interrupted. (What a pruner
    decides may depend on it.)
    """

    def __init__(self, plan: SearchPlan, number: int, trials: Iterable[Trial] = ()) -> None:
        self._plan = plan
        self._number = number
        self._trials = sorted(trials, key=lambda trial: trial.position)
        self._draw: Draw = sampler_of(plan)

    @property
    def trials(self) -> list[Trial]:
        """Those there are, by position."""
        return list(self._trials)

    @property
    def n_ended(self) -> int:
        """How many have ended."""
        return sum(trial.state in _ENDED for trial in self._trials)

    @property
    def n_total(self) -> int:
        """How many there will be, if nothing ends the search before."""
        return sum(rung_sizes(self._plan))

    def put(self, trial: Trial) -> None:
        """A trial as it is now: begun, ended or waiting again."""
        if trial.position == len(self._trials):
            self._trials.append(trial)
        else:
            self._trials[trial.position] = trial

    def next(self, *, spent_s: float) -> Trial | None:
        """The trial to begin now, as it is when it has begun; None if none may.

        Args:
            spent_s: Seconds that the search has taken so far.
        """
        if self.end(spent_s=spent_s):
            return None
        for trial in self._trials:
            if trial.state == "waiting":
                return msgspec.structs.replace(
                    trial, state="running", run=0, attempts=trial.attempts + 1
                )
        sizes = rung_sizes(self._plan)
        for rung, n in enumerate(sizes):
            n_begun = sum(trial.rung == rung for trial in self._trials)
            if n_begun < n:
                return self._promoted(rung, n_begun) if rung else self._drawn(n_begun)
        return None

    def _drawn(self, position: int) -> Trial | None:
        known = max(0, position - n_behind(self._plan))
        if self._looks_back and any(t.state not in _ENDED for t in self._trials[:known]):
            return None
        values = self._draw(position, self._trials)
        return Trial(search=self._number, position=position, parameters=values)

    @property
    def _looks_back(self) -> bool:
        return self._plan.sampler == "tpe"

    def _promoted(self, rung: int, n_begun: int) -> Trial | None:
        """The next of the best of the rung below, once all of that have ended."""
        below = [trial for trial in self._trials if trial.rung == rung - 1]
        if any(trial.state not in _ENDED for trial in below):
            return None
        ranked = best_first(self._plan, below)
        if n_begun >= len(ranked):  # too many failed
            return None
        chosen = ranked[n_begun]
        return Trial(
            search=self._number,
            position=len(self._trials),
            parameters=chosen.parameters,
            rung=rung,
            promoted_from=chosen.position,
        )

    def end(self, *, spent_s: float) -> str:
        """Why no trial begins any more; "" while one may."""
        plan = self._plan
        if plan.budget_s and spent_s >= plan.budget_s:
            return f"its {plan.budget_s:g} seconds were over"
        work_s = sum(trial.seconds for trial in self._trials)
        if plan.work_s and work_s >= plan.work_s:
            return f"its trials had worked for {plan.work_s:g} seconds"
        cost = cost_of(self._trials) or 0.0
        if plan.cost and cost >= plan.cost:
            return f"its trials had cost {cost:.4g}, of {plan.cost:g} at most"
        if plan.patience and self._n_without_a_better_one() >= plan.patience:
            return f"no better trial among the last {plan.patience}"
        return ""

    def _n_without_a_better_one(self) -> int:
        """Trials since the best one, of those that ended with all before them."""
        since, best = 0, None
        for trial in self._trials:
            if trial.state not in _ENDED or trial.rung:
                break
            value = comparable(self._plan, trial)
            if trial.state == "finished" and value is not None and (best is None or value > best):
                since, best = 0, value
            else:
                since += 1
        return since


def rung_sizes(plan: SearchPlan) -> list[int]:
    """How many trials each rung has: about as many rows are read in each.

    Examples:
        >>> plan = SearchPlan(space={}, sampler="random", n_trials=20, portions=(0.1, 0.3, 1.0))
        >>> rung_sizes(plan)
        [20, 6, 2]
    """
    if not plan.portions:
        return [plan.n_trials]
    first = plan.portions[0]
    # a hair more: 20 * 0.3 is less than 6
    return [max(1, int(plan.n_trials * first / portion + 1e-9)) for portion in plan.portions]


def cost_of(trials: Iterable[Trial]) -> float | None:
    """What trials have cost together; None if no cost of any is known.

    Examples:
        >>> tried = {"search": 1, "parameters": {}}
        >>> cost_of([Trial(position=0, cost=0.5, **tried), Trial(position=1, **tried)])
        0.5
    """
    known = [trial.cost for trial in trials if trial.cost is not None]
    return sum(known) if known else None


def comparable(plan: SearchPlan, trial: Trial) -> float | None:
    """A trial's value so that higher is better; None if it has none."""
    if trial.value is None:
        return None
    return trial.value if plan.direction == "higher" else -trial.value


def best_first(plan: SearchPlan, trials: Iterable[Trial]) -> list[Trial]:
    """The finished trials with a value: the best first, of equals the earlier one."""
    known = [trial for trial in trials if trial.state == "finished" and trial.value is not None]
    return sorted(known, key=lambda trial: (-(comparable(plan, trial) or 0.0), trial.position))


def best_of(plan: SearchPlan, trials: Iterable[Trial]) -> Trial | None:
    """The best trial of the last rung that any finished; None if none has a value."""
    ranked = best_first(plan, trials)
    last = max((trial.rung for trial in ranked), default=0)
    return next((trial for trial in ranked if trial.rung == last), None)
