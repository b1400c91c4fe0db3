"""From what somebody wants to try to the plan of a search, refused before anything begins."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from math import isfinite

from cd4ml.errors import InvalidInput
from cd4ml.experiments.space import examples, refuse_uncountable, size, space_of
from cd4ml.experiments.tracking import Direction, better
from cd4ml.loop.asked import asked
from cd4ml.loop.names import require_name
from cd4ml.loop.train import EMPTY, datasets_now, pipeline_of, require_readers
from cd4ml.pipeline.run import DatasetInput, Pipeline
from cd4ml.records.search import Domain, Sampler, SearchPlan
from cd4ml.records.settings import SearchSettings
from cd4ml.store.address import address_of_record
from cd4ml.store.project import Project

_MOST = 1_000_000  # trials
_MOST_WORKERS = 1000


def plan_of(
    project: Project, wanted: SearchSettings, *, as_of: datetime | None, actor: str
) -> SearchPlan:
    """The plan of a search, on the data and the code as they are now.

    Raises:
        InvalidInput: If it cannot be: no parameter to try, a value that no run could begin
            with, a metric that is needed and not named.
        NotAllowed: If a step takes a restricted dataset and the actor has none of its roles.
        NotFound: If a version of a dataset is not there.
    """
    require_name(wanted.experiment, "an experiment")
    space = space_of(wanted.space)
    sampler = wanted.sampler or _sampler(wanted)
    _refuse_impossible(wanted, sampler)
    require_prices(project, wanted.cost)
    pipeline = pipeline_of(project)
    resolved = asked(
        project, environment=wanted.environment, data=wanted.data, parameters=wanted.set
    )
    require_readers(project, pipeline, resolved.data, actor=actor)
    for values in examples(space):
        pipeline.require_possible({**resolved.parameters, **values})
    inputs = datasets_now(project, resolved.data, actor, as_of)
    return SearchPlan(
        space=space,
        sampler=sampler,
        n_trials=_n_trials(wanted, sampler, space),
        seed=wanted.seed,
        metric=wanted.metric,
        direction=wanted.direction or _direction(wanted.metric),
        workers=wanted.workers,
        patience=wanted.patience,
        budget_s=wanted.minutes * 60,
        work_s=wanted.work_minutes * 60,
        cost=wanted.cost,
        pruner=wanted.prune or "",
        portions=wanted.portions,
        portion_of=_portion_of(wanted, pipeline, inputs) if wanted.portions else "",
        portion_by=wanted.portion_by,
        fixed={name: v for name, v in resolved.parameters.items() if name not in space},
        environment=wanted.environment,
        data={name: each.ref for name, each in inputs.items() if not each.ref.endswith(EMPTY)},
        as_of=as_of.isoformat() if as_of else "",
        experiment=wanted.experiment,
        code=code_of(pipeline),
    )


def key_of(plan: SearchPlan) -> str:
    """The digest of all that was asked for: who asks for the same again has the same key."""
    return address_of_record(plan)


def code_of(pipeline: Pipeline) -> str:
    """The address of the code that the steps reach."""
    code, steps = pipeline.reached, pipeline.graph.steps
    return address_of_record(
        {step.name: code.by(step.module, step.function).address for step in steps}
    )


def require_prices(project: Project, cost: float) -> None:
    """Refuse a search that ends by its cost where nothing has a price.

    Raises:
        InvalidInput: If there are no prices.
    """
    if cost and not project.settings.prices.are_given:
        msg = f"trials are to cost {cost:g} at most, and cd4ml.toml has no prices"
        hint = "[prices] with cpu_hour, gpu_hour, memory_gb_hour or machine_hour"
        raise InvalidInput(msg, hint=hint)


def _sampler(wanted: SearchSettings) -> Sampler:
    if not wanted.trials:
        return "grid"
    return "tpe" if wanted.metric else "random"


def _n_trials(wanted: SearchSettings, sampler: Sampler, space: Mapping[str, Domain]) -> int:
    if sampler == "grid":
        refuse_uncountable(space)
    n_combinations = size(space)
    if sampler == "grid" and n_combinations is not None:
        if n_combinations > _MOST:
            msg = f"the grid has {n_combinations:,} combinations"
            raise InvalidInput(msg, hint="--trials N tries only so many of them")
        return n_combinations
    if sampler == "random" and n_combinations is not None:
        return min(wanted.trials, n_combinations)
    return wanted.trials


def _refuse_impossible(wanted: SearchSettings, sampler: Sampler) -> None:
    """What no search can be, whatever the pipeline."""
    for problem, hint in (
        (_number_problem(wanted), ""),
        (_trials_problem(wanted, sampler), "--trials 50"),
        (_metric_problem(wanted, sampler), "--metric auc"),
        (_portions_problem(wanted.portions), "for instance 0.1,0.3,1"),
        (_twice(wanted), "what is tried has no one value"),
    ):
        if problem:
            raise InvalidInput(problem, hint=hint)


def _number_problem(wanted: SearchSettings) -> str:
    if not 1 <= wanted.workers <= _MOST_WORKERS:
        return f"expected 1 to {_MOST_WORKERS:,} workers, got {wanted.workers}"
    for name, amount in (
        ("patience", wanted.patience),
        ("minutes", wanted.minutes),
        ("work_minutes", wanted.work_minutes),
        ("cost", wanted.cost),
    ):
        if not (isfinite(amount) and amount >= 0):
            return f"expected {name} of 0 or more, got {amount}"
    return ""


def _trials_problem(wanted: SearchSettings, sampler: Sampler) -> str:
    if not 0 <= wanted.trials <= _MOST:
        return f"expected 1 to {_MOST:,} trials, got {wanted.trials}"
    if sampler != "grid" and not wanted.trials:
        return f'the sampler "{sampler}" needs the number of trials'
    if sampler == "grid" and wanted.trials:
        return "a grid tries every combination, and has no number of trials"
    return ""


def _metric_problem(wanted: SearchSettings, sampler: Sampler) -> str:
    if wanted.metric:
        return ""
    for is_wanted, what in (
        (sampler == "tpe", 'the sampler "tpe" learns'),
        (bool(wanted.prune), "trials are pruned"),
        (bool(wanted.patience), "patience ends"),
        (bool(wanted.portions), "trials are promoted"),
    ):
        if is_wanted:
            return f"{what} by a metric, and none is named"
    return ""


def _portions_problem(portions: tuple[float, ...]) -> str:
    if not portions:
        return ""
    is_rising = all(a < b for a, b in pairwise(portions))
    if portions[0] > 0 and is_rising and portions[-1] == 1 and len(portions) > 1:
        return ""
    shown = ",".join(f"{portion:g}" for portion in portions)
    return f"expected rising portions of the rows from above 0 to 1, got {shown}"


def _twice(wanted: SearchSettings) -> str:
    both = sorted(wanted.space.keys() & wanted.set.keys())
    return f"the parameter {both[0]!r} is both tried and set" if both else ""


def _direction(metric: str) -> Direction:
    if not metric:
        return "higher"
    known = better(metric)
    if known is None:
        msg = f"whether higher or lower is better cannot be told from the name {metric!r}"
        raise InvalidInput(msg, hint="--direction higher, or --direction lower")
    return known


def _portion_of(
    wanted: SearchSettings, pipeline: Pipeline, inputs: Mapping[str, DatasetInput]
) -> str:
    taken = {name for step in pipeline.graph.steps for name in step.needs} & inputs.keys()
    if wanted.portion_of in taken:
        return wanted.portion_of
    if not wanted.portion_of and len(taken) == 1:
        return next(iter(taken))
    known = ", ".join(sorted(taken)) or "none"
    if wanted.portion_of:
        msg = f"no step takes a dataset named {wanted.portion_of!r}"
        raise InvalidInput(msg, hint=f"known: {known}")
    msg = "portions of which dataset? The steps take several"
    raise InvalidInput(msg, hint=f"--portion-of NAME; known: {known}")
