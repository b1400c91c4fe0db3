"""The pipeline once a key of the data: one model a city, a shop, an airport."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.data.partition import keys_of, known_keys, missing_keys
from cd4ml.errors import Cd4mlError, InvalidInput
from cd4ml.experiments.search import Trial, run_trials
from cd4ml.loop.compare import run_report
from cd4ml.loop.cut import Cut
from cd4ml.loop.train import RunReport, datasets_now, pipeline_of, prepared, train
from cd4ml.pipeline.run import DatasetInput
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
    """The runs of a partition, in the order of its keys."""

    column: str
    datasets: tuple[str, ...]  # of which a key's run takes only that key's rows
    runs: tuple[KeyRun, ...]


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
        workers: How many keys at a time; several take processes of their own.
        actor: Who.
        progress: Is told of each key that ends.

    Raises:
        InvalidInput: If no dataset has the column, a key has no rows, or no run could begin.
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
    ended = _attempted(project, chosen, attempt, workers, progress)
    return PartitionReport(
        column=column,
        datasets=names,
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


def _attempted(
    project: Project,
    keys: list[str],
    attempt: functools.partial[int],
    workers: int,
    progress: Progress | None,
) -> list[Trial]:
    trials = [{KEY: key} for key in keys]
    if workers > 1:
        apart = functools.partial(_in_process, folder=str(project.folder), attempt=attempt)
        return run_trials(trials, apart, workers=workers, progress=progress)
    ended: list[Trial] = []
    for position, parameters in enumerate(trials):
        ended.append(_here(position, parameters, attempt, project))
        if progress is not None:
            progress(ended[-1], len(ended), len(trials))
    return ended


def _here(
    position: int, parameters: dict[str, Any], attempt: functools.partial[int], project: Project
) -> Trial:
    """One key, in this process."""
    try:
        run = attempt(parameters, project)
    except Exception as error:  # whatever goes wrong with one key: the next may do better
        reason = (
            error.message if isinstance(error, Cd4mlError) else f"{type(error).__name__}: {error}"
        )
        return Trial(position=position, parameters=parameters, state="failed", reason=reason)
    return Trial(position=position, parameters=parameters, state="finished", run=run)


def _in_process(parameters: dict[str, Any], *, folder: str, attempt: functools.partial[int]) -> int:
    """One key, in a process of its own; returns the number of its run."""
    with open_project(Path(folder)) as project:
        return attempt(parameters, project)


def _attempt(
    parameters: dict[str, Any],
    project: Project,
    *,
    column: str,
    datasets: tuple[str, ...],
    data: dict[str, str],
    arguments: dict[str, Any],
) -> int:
    cut = Cut(column, str(parameters[KEY]), datasets)
    return train(project, data=data, cut=cut, **arguments).run.number


def _is_numbered(ref: str) -> bool:
    return ref.partition("@")[2].isdigit()
