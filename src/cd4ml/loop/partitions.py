"""The pipeline once a key of the data: one model a city, a shop, an airport."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from cd4ml.data.partition import keys_of, known_keys, missing_keys, rows_without_key
from cd4ml.errors import Cd4mlError, InvalidInput
from cd4ml.experiments.trials import DIED
from cd4ml.experiments.workers import MakeExecutor, Outcome, Workers
from cd4ml.loop.compare import run_report
from cd4ml.loop.cut import Cut
from cd4ml.loop.executors import Where, open_executor, which
from cd4ml.loop.train import RunReport, datasets_now, pipeline_of, prepared, train
from cd4ml.loop.trial_executors import needs_of, trial_executor
from cd4ml.pipeline.run import DatasetInput
from cd4ml.records.search import Trial
from cd4ml.records.settings import SearchSettings
from cd4ml.store.project import Project, open_project

if TYPE_CHECKING:
    from cd4ml.pipeline.run import Pipeline

Progress = Callable[[Trial, int, int], None]  # the key that ended, how many did, of how many

KEY = "key"  # the parameter of the trials that the keys are run as


class KeyRun(msgspec.Struct, frozen=True, kw_only=True):
    """One key's run; None, with the reason, where it did not finish."""

    key: str
    run: RunReport | None = None
    reason: str = ""


class PartitionReport(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of a partition, in the order of its keys.

    `n_without` are rows of the first dataset that have no key, and were taken by none of the runs.
    """

    column: str
    datasets: tuple[str, ...]  # of which a key's run takes only that key's rows
    runs: tuple[KeyRun, ...]
    n_without: int = 0


def train_each(
    project: Project,
    by: str,
    *,
    keys: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    data: Mapping[str, str] | None = None,
    environment: str = "",
    as_of: datetime | None = None,
    experiment: str = "default",
    workers: int = 1,
    actor: str,
    progress: Progress | None = None,
    where: Where = Where(),  # noqa: B008 - immutable
) -> PartitionReport:
    """Run the pipeline once a key, each time on the rows of that key only.

    Steps that depend on none of the datasets that are cut are computed once. All keys take
    the same versions. A key that fails does not stop the others.

    Args:
        project: Whose pipeline.
        by: A column: every dataset that a step takes and that has it is cut, and the keys are
            those of the first of them in `cd4ml.toml`; or `dataset.column`, for one alone.
        keys: These keys only; all of them by default.
        overrides: As `train`.
        data: As `train`.
        environment: As `train`.
        as_of: As `train`.
        experiment: As `train`.
        workers: How many keys at a time; several take processes of their own, or calls of a
            Ray cluster, each with what the hungriest step asks for.
        actor: Who.
        progress: Is told of each key that ends.
        where: Where the steps are computed, if not as `[run]` says.

    Raises:
        InvalidInput: If no dataset has the column, a key has no rows, no run could begin, or
            no machine of the cluster has what a key asks for.
        ConfigurationError: If Ray is not installed.
        Unavailable: If the Ray cluster cannot be reached.
        NotAllowed: If a step takes a restricted dataset and the actor has none of its roles.
    """
    pipeline = pipeline_of(project)
    wanted = prepared(
        project,
        pipeline,
        environment=environment,
        data=data,
        parameters=overrides,
        experiment=experiment,
        actor=actor,
    )
    inputs = datasets_now(project, wanted.data, actor, as_of)
    column, names = _to_cut(project, pipeline, by, inputs)
    chosen = _chosen(column, names[0], inputs[names[0]], keys)
    attempt = functools.partial(
        _attempt,
        column=column,
        datasets=names,
        data={name: each.ref for name, each in inputs.items() if _is_numbered(each.ref)},
        arguments={
            "overrides": dict(overrides or {}),
            "environment": environment,
            "as_of": as_of,
            "experiment": experiment,
            "actor": actor,
        },
    )
    trials = [Trial(search=0, position=i, parameters={KEY: key}) for i, key in enumerate(chosen)]
    outcomes = (
        _in_turn(project, trials, attempt, where)
        if workers == 1
        else _apart(project, pipeline, trials, attempt, workers, where)
    )
    ended = _settled(outcomes, progress, len(trials))
    return PartitionReport(
        column=column,
        datasets=names,
        n_without=0 if keys else rows_without_key(inputs[names[0]].scan(), column),
        runs=tuple(
            KeyRun(
                key=trial.parameters[KEY],
                run=run_report(project, f"run/{trial.run}") if trial.run else None,
                reason=trial.reason,
            )
            for trial in ended
        ),
    )


def _to_cut(
    project: Project, pipeline: Pipeline, by: str, inputs: Mapping[str, DatasetInput]
) -> tuple[str, tuple[str, ...]]:
    """The column, and the datasets that are cut by it: the first one has the keys."""
    only, _, column = by.rpartition(".")
    taken = {name for step in pipeline.graph.steps for name in step.needs}
    names = [name for name in project.settings.data if name in taken and only in ("", name)]
    if only and not names:
        msg = f"no step takes a dataset named {only!r}"
        raise InvalidInput(msg, hint=f"known: {', '.join(sorted(taken & set(inputs))) or 'none'}")
    columns = {name: inputs[name].scan().collect_schema().names() for name in names}
    found = tuple(name for name in names if column in columns[name])
    if not found:
        where = f"the dataset {only!r} has" if only else "none of the datasets has"
        every = sorted({each for name in names for each in columns[name]})
        msg = f"{where} no column {column!r}" if only else f"{where} a column {column!r}"
        raise InvalidInput(msg, hint=f"known: {', '.join(every) or 'none'}")
    return column, found


def _chosen(column: str, name: str, taken: DatasetInput, keys: Sequence[str]) -> list[str]:
    if twice := next((key for key in keys if keys.count(key) > 1), ""):
        raise InvalidInput(f"the key {twice!r} is given twice", hint="each key has one run")
    if keys:
        _refuse_unknown_keys(column, name, taken, keys)
        return list(keys)
    known = keys_of(taken.scan(), column, name)
    if not known:
        msg = f"{taken.ref} has no row with a {column}, so there is no key to run for"
        raise InvalidInput(msg)
    return known


def _refuse_unknown_keys(column: str, name: str, taken: DatasetInput, keys: Sequence[str]) -> None:
    unknown = missing_keys(taken.scan(), column, name, keys)
    if not unknown:
        return
    hint = ""
    with suppress(InvalidInput):  # more than could be listed
        hint = f"known: {known_keys(keys_of(taken.scan(), column, name))}"
    raise InvalidInput(f"no row of {taken.ref} has {column} {unknown[0]!r}", hint=hint)


def _settled(
    outcomes: Iterable[tuple[Trial, Outcome]], progress: Progress | None, n: int
) -> list[Trial]:
    """The keys with what became of them, in their own order."""
    ended: dict[int, Trial] = {}
    for trial, outcome in outcomes:
        state: Literal["finished", "failed"] = "finished" if outcome.run else "failed"
        done = msgspec.structs.replace(trial, state=state, run=outcome.run, reason=outcome.reason)
        ended[trial.position] = done
        if progress is not None:
            progress(done, len(ended), n)
    return [ended[position] for position in sorted(ended)]


def _in_turn(
    project: Project, trials: Sequence[Trial], attempt: functools.partial[int], where: Where
) -> Iterator[tuple[Trial, Outcome]]:
    """One key after the other; the same workers, or cluster, compute the steps of all."""
    with open_executor(project, where) as executor:
        for trial in trials:
            yield trial, _here(trial, functools.partial(attempt, executor=executor), project)


def _apart(
    project: Project,
    pipeline: Pipeline,
    trials: Sequence[Trial],
    attempt: functools.partial[int],
    workers: int,
    where: Where,
) -> Iterator[tuple[Trial, Outcome]]:
    """Several keys at a time, each in a process of this machine or of a cluster."""
    is_ray = which(project, where) == "ray"
    # a process of a cluster is a worker itself
    steps = Where(executor="in-process") if is_ray else where
    work = functools.partial(
        _in_process,
        folder=str(project.folder),
        attempt=functools.partial(attempt, where=steps),
    )
    if not is_ray:
        yield from _at_once(trials, work, workers)
        return
    needs = needs_of(SearchSettings(), pipeline)
    with trial_executor(project, where, needs=needs, workers=workers) as executor:
        yield from _at_once(trials, work, workers, executor)


def _at_once(
    trials: Sequence[Trial],
    attempt: Callable[[Trial], Outcome],
    workers: int,
    executor: MakeExecutor | None = None,
) -> Iterator[tuple[Trial, Outcome]]:
    """As many as there are workers; whatever was underway when one died is tried again alone."""
    waiting, suspects = deque(trials), list[Trial]()
    with Workers(attempt, workers, executor) as processes:
        while waiting or processes.n_underway:
            n_free = min(workers - processes.n_underway, len(waiting))
            processes.begin([waiting.popleft() for _ in range(n_free)])
            for each in processes.wait():
                if each.outcome is None:
                    suspects.append(each.trial)
                else:
                    yield each.trial, each.outcome
    for suspect in suspects:
        with Workers(attempt, 1, executor) as processes:
            processes.begin([suspect])
            while processes.n_underway:
                for each in processes.wait():
                    yield each.trial, each.outcome or Outcome(reason=each.lost or DIED)


def _here(trial: Trial, attempt: functools.partial[int], project: Project) -> Outcome:
    """One key, in this process."""
    try:
        return Outcome(run=attempt(trial.parameters, project))
    except Cd4mlError as error:
        return Outcome(reason=error.message)
    except Exception as error:  # whatever goes wrong with one key: the next may do better
        return Outcome(reason=f"{type(error).__name__}: {error}")


def _in_process(trial: Trial, *, folder: str, attempt: functools.partial[int]) -> Outcome:
    """One key, in a process of its own."""
    with open_project(Path(folder)) as project:
        return Outcome(run=attempt(trial.parameters, project))


def _attempt(
    parameters: dict[str, Any],
    project: Project,
    *,
    column: str,
    datasets: tuple[str, ...],
    data: dict[str, str],
    arguments: dict[str, Any],
    **steps: Any,  # where they are computed, or by whom
) -> int:
    cut = Cut(column, str(parameters[KEY]), datasets)
    return train(project, data=data, cut=cut, **arguments, **steps).run.number


def _is_numbered(ref: str) -> bool:
    return ref.partition("@")[2].isdigit()
