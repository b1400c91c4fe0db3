"""Try several parameters at once."""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from cd4ml.experiments.search import Trial, run_trials, sample, start_search
from cd4ml.experiments.search import grid as combinations
from cd4ml.experiments.tracking import list_runs
from cd4ml.loop.executors import Where
from cd4ml.loop.names import require_name
from cd4ml.loop.train import RunReport, pipeline_of, report_of, require_readers, train
from cd4ml.store import people
from cd4ml.store.project import Project, open_project

Progress = Callable[[Trial, int, int], None]  # the trial that ended, how many did, of how many


class SearchReport(msgspec.Struct, frozen=True, kw_only=True):
    """A search: its trials, and the runs that finished, the newest first."""

    search: int
    trials: tuple[Trial, ...]
    runs: tuple[RunReport, ...]


def search(
    project: Project,
    *,
    grid: Mapping[str, Sequence[Any]],
    trials: int = 0,
    seed: int = 0,
    workers: int = 2,
    data: Mapping[str, str] | None = None,
    as_of: datetime | None = None,
    experiment: str = "default",
    actor: str,
    progress: Progress | None = None,
) -> SearchReport:
    """Run the pipeline for many values of its parameters, several at a time.

    A trial that fails is recorded and ends nothing else. Each trial is a process of its
    own with one thread for the numeric libraries, so that trials share the cores.

    Args:
        project: Whose pipeline.
        grid: "step.parameter" -> the values to try.
        trials: So many combinations at random; all of them by default.
        seed: Of the random choice.
        workers: How many trials at a time.
        data: Dataset name -> version, where it is not the newest.
        as_of: Try them on what was known at this moment; see `train`.
        experiment: The question that the runs belong to.
        actor: Who.
        progress: Is told of each trial that ends.

    Raises:
        InvalidInput: If there is no parameter to try, one without values or with a value that
            no run could begin with; nothing is tried then.
        NotAllowed: If a step takes a restricted dataset and the actor has none of its roles.
        KeyboardInterrupt: If it was interrupted; says how to see what was finished.
    """
    require_name(experiment, "an experiment")
    chosen = sample(grid, trials, seed=seed) if trials else combinations(grid)
    _refuse_impossible(project, chosen, data, actor)
    with project.database.write() as connection:
        people.actor(connection, actor)
        number = start_search(
            connection, space=grid, n_trials=len(chosen), at=project.clock.now(), actor=actor
        )
    attempt = functools.partial(
        _attempt,
        folder=str(project.folder),
        data=dict(data or {}),
        as_of=as_of,
        experiment=experiment,
        search=number,
        actor=actor,
    )
    try:
        ended = run_trials(chosen, attempt, workers=workers, progress=progress)
    except KeyboardInterrupt:
        msg = f"search {number} was interrupted\n  hint: cd4ml compare --search {number}"
        raise KeyboardInterrupt(msg) from None
    with project.database.read() as connection:
        runs = [report_of(connection, each.run) for each in list_runs(connection, search=number)]
    return SearchReport(search=number, trials=tuple(ended), runs=tuple(runs))


def _refuse_impossible(
    project: Project,
    chosen: Sequence[Mapping[str, Any]],
    data: Mapping[str, str] | None,
    actor: str,
) -> None:
    """Say what no trial could begin with before the first one does."""
    pipeline = pipeline_of(project)
    require_readers(project, pipeline, data or {}, actor=actor)
    for combination in chosen:
        pipeline.require_possible(combination)


def _attempt(
    parameters: dict[str, Any],
    *,
    folder: str,
    data: dict[str, str],
    as_of: datetime | None,
    experiment: str,
    search: int,
    actor: str,
) -> int:
    """One trial, in a process of its own; returns the number of its run."""
    _end_with_parent()
    # before the libraries are loaded: two OpenMP pools on two cores cost 26 times
    for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(name, "1")
    with open_project(Path(folder)) as project:
        report = train(
            project,
            overrides=parameters,
            data=data,
            as_of=as_of,
            experiment=experiment,
            search=search,
            actor=actor,
            where=Where(executor="in-process"),  # this process is a worker itself
        )
    return report.run.number


@functools.cache  # once a process
def _end_with_parent() -> None:
    # killed without a word, the parent leaves trials behind that wait for work for ever
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, name="parent-watch", daemon=True).start()
