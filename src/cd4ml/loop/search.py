"""Try several parameters at once."""

from __future__ import annotations

import functools
import os
import time
from datetime import datetime
from pathlib import Path

import msgspec
import sqlalchemy as sa

from cd4ml.errors import Conflict, NotFound
from cd4ml.experiments.mattered import mattered
from cd4ml.experiments.ownership import is_interrupted
from cd4ml.experiments.reporting import underway
from cd4ml.experiments.samplers import sampler_of
from cd4ml.experiments.schedule import best_of, cost_of
from cd4ml.experiments.search import Progress, SearchAtWork
from cd4ml.experiments.space import place_of
from cd4ml.experiments.tracking import list_runs
from cd4ml.experiments.trials import begin_run, new_search, unfinished
from cd4ml.experiments.workers import MakeExecutor, Outcome
from cd4ml.loop.executors import Where
from cd4ml.loop.interrupted import settle_interrupted
from cd4ml.loop.portion import Portion, portion_digest
from cd4ml.loop.refs import number_in
from cd4ml.loop.search_plan import code_of, key_of, plan_of, require_prices
from cd4ml.loop.train import (
    RunReport,
    datasets_now,
    pipeline_of,
    report_of,
    require_readers,
    train,
)
from cd4ml.loop.trial_executors import needs_of, trial_executor
from cd4ml.records.resources import Resources
from cd4ml.records.run import Run
from cd4ml.records.search import Search, SearchImportance, SearchPlan, Trial, TrialValue
from cd4ml.records.settings import SearchSettings
from cd4ml.store import lineage, people, rows
from cd4ml.store.project import Project, open_project

_ORPHANS_S = 10.0  # for processes whose search was killed to end as well


class SearchReport(msgspec.Struct, frozen=True, kw_only=True):
    """A search: its trials, the best of them, what mattered, and its runs, the newest first.

    `cost` is what its trials have cost together; None without prices.
    """

    search: Search
    trials: tuple[Trial, ...]
    best: Trial | None
    mattered: SearchImportance | None
    runs: tuple[RunReport, ...]
    cost: float | None = None


class SearchSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A search in a list: how far it is, and the best trial so far."""

    search: Search
    n_ended: int
    best: Trial | None


def search(
    project: Project,
    wanted: SearchSettings,
    *,
    name: str = "",
    as_of: datetime | None = None,
    actor: str,
    progress: Progress | None = None,
    where: Where = Where(),  # noqa: B008 - immutable
) -> SearchReport:
    """Run the pipeline for many values of its parameters, several at a time.

    A trial that fails is recorded and ends nothing else. Trials run in processes that are
    spawned once, with one thread for the numeric libraries for each CPU that a trial asks for,
    so that they share the cores; or as tasks on a Ray cluster. If the same was asked for before, on the same data and code, and was interrupted,
    that search goes on: no trial that ended is tried again.

    Args:
        project: Whose pipeline.
        wanted: What to try, and how.
        name: Of `[search.NAME]`, where it stands there.
        as_of: Try them on what was known at this moment; see `train`.
        actor: Who.
        progress: Is told of each trial that ends.
        where: Where trials are attempted, if not as `[run]` says.

    Raises:
        InvalidInput: If there is no parameter to try, one without values or with a value that
            no run could begin with, a cost without prices, or a trial asks for more than
            there is; nothing is tried then.
        NotAllowed: If a step takes a restricted dataset and the actor has none of its roles.
        Conflict: If another process is at work on the same search.
        ConfigurationError: If the sampler, or Ray, is not installed.
        Unavailable: If the Ray cluster cannot be reached.
        KeyboardInterrupt: If it was interrupted; says how to go on.
    """
    with project.database.read() as connection:
        people.actor(connection, actor)
    plan = plan_of(project, wanted, as_of=as_of, actor=actor)
    sampler_of(plan)  # what is not installed is said before anything is written
    key = key_of(plan)
    needs = needs_of(wanted, pipeline_of(project))
    with trial_executor(project, where, needs=needs, workers=plan.workers) as executor:
        with project.database.write() as connection:
            begun = unfinished(connection, key) or new_search(
                connection, plan, key=key, name=name, at=project.clock.now(), actor=actor
            )
        return _work_on(project, begun, actor, progress, executor, needs)


def resume(
    project: Project,
    ref: str,
    *,
    actor: str,
    progress: Progress | None = None,
    where: Where = Where(),  # noqa: B008 - immutable
) -> SearchReport:
    """Go on with a search that was interrupted, on the data that it began with.

    Where it goes on may be another place than where it began. What a trial asks for is what
    `[search.NAME]` says by now.

    Raises:
        InvalidInput: If a trial asks for more than there is.
        NotFound: If there is no such search.
        Conflict: If it is finished, another process is at work on it, or the code that its
            steps reach has changed since.
        NotAllowed: If a step takes a restricted dataset and the actor has none of its roles.
        KeyboardInterrupt: If it was interrupted; says how to go on.
    """
    with project.database.read() as connection:
        people.actor(connection, actor)
        begun = rows.get(connection, Search, number_in(ref, "search"))
    if begun.state == "finished":
        msg = f"{begun.ref} is finished: {begun.reason}"
        raise Conflict(msg, hint=f"cd4ml search show {begun.number}")
    pipeline = pipeline_of(project)
    require_readers(project, pipeline, begun.plan.data, actor=actor)
    if code_of(pipeline) != begun.plan.code:
        msg = f"the code that the steps reach has changed since {begun.ref} began"
        raise Conflict(msg, hint="its other trials could not be compared: begin a new search")
    require_prices(project, begun.plan.cost)
    needs = needs_of(project.settings.search.get(begun.name, SearchSettings()), pipeline)
    with trial_executor(project, where, needs=needs, workers=begun.plan.workers) as executor:
        return _work_on(project, begun, actor, progress, executor, needs)


def _work_on(
    project: Project,
    begun: Search,
    actor: str,
    progress: Progress | None,
    executor: MakeExecutor | None,
    needs: Resources,
) -> SearchReport:
    if begun.plan.portions:
        _trace_portions(project, begun.plan, actor)
    _wait_for_orphans(project, begun)
    at_work = SearchAtWork(
        begun, database=project.database, clock=project.clock, state=project.state
    )
    attempt = functools.partial(
        _attempt,
        folder=str(project.folder),
        plan=begun.plan,
        actor=actor,
        threads=max(1, int(needs.cpus)),
    )
    try:
        at_work.run(attempt, progress=progress, executor=executor)
    except KeyboardInterrupt:
        msg = f"{begun.ref} was interrupted\n  hint: cd4ml search resume {begun.number}"
        raise KeyboardInterrupt(msg) from None
    return search_report(project, begun.ref)


def search_report(project: Project, ref: str) -> SearchReport:
    """A search with all its trials and runs.

    Raises:
        NotFound: If there is none.
    """
    settle_interrupted(project)
    with project.database.read() as connection:
        found = _as_seen(project, rows.get(connection, Search, number_in(ref, "search")))
        trials = rows.find(connection, Trial, search=found.number)
        runs = list_runs(connection, search=found.number)
        reports = tuple(report_of(connection, each.run) for each in runs)
    return SearchReport(
        search=found,
        trials=tuple(trials),
        best=best_of(found.plan, trials) if found.plan.metric else None,
        mattered=mattered(found.plan, trials) if found.plan.metric else None,
        runs=reports,
        cost=cost_of(trials),
    )


def searches(project: Project, *, limit: int = 20) -> list[SearchSummary]:
    """The searches, the newest first."""
    with project.database.read() as connection:
        found = rows.find(connection, Search, newest_first=True, limit=limit)
        return [_summary(connection, _as_seen(project, each)) for each in found]


def reported_values(project: Project, ref: str) -> dict[int, list[tuple[int, float | None]]]:
    """What the trials of a search reported: position -> (step, value), by step."""
    number = number_in(ref, "search")
    found: dict[int, list[tuple[int, float | None]]] = {}
    with project.database.read() as connection:
        for each in rows.find(connection, TrialValue, search=number):
            found.setdefault(each.trial, []).append((each.step, each.value))
    return found


def places_of(plan: SearchPlan, trial: Trial) -> list[float]:
    """Where a trial lies in the space, from 0 to 1 along each parameter."""
    return [place_of(domain, trial.parameters[name]) for name, domain in plan.space.items()]


def settings_of(project: Project, name: str) -> SearchSettings:
    """What `[search.NAME]` wants.

    Raises:
        NotFound: If cd4ml.toml has no such table.
    """
    if name not in project.settings.search:
        known = ", ".join(project.settings.search) or "none"
        raise NotFound(f"no [search.{name}] in cd4ml.toml", hint=f"known: {known}")
    return project.settings.search[name]


def _summary(connection: sa.Connection, found: Search) -> SearchSummary:
    trials = rows.find(connection, Trial, search=found.number)
    return SearchSummary(
        search=found,
        n_ended=sum(trial.state in ("finished", "pruned", "failed") for trial in trials),
        best=best_of(found.plan, trials) if found.plan.metric else None,
    )


def _as_seen(project: Project, found: Search) -> Search:
    """The search; one whose process has ended without a word is interrupted."""
    if is_interrupted(found, project.state):
        return msgspec.structs.replace(found, state="interrupted")
    return found


def _trace_portions(project: Project, plan: SearchPlan, actor: str) -> None:
    """Let the lineage lead from the portions of rows to the version that they are of."""
    whole = datasets_now(project, plan.data, actor, plan.known_at)[plan.portion_of]
    with project.database.write() as connection:
        at = project.clock.now()
        for share in plan.portions[:-1]:
            digest = portion_digest(whole.digest, Portion(plan.portion_of, share, plan.portion_by))
            name = f"{share:.3g} of {whole.ref}"
            lineage.note(connection, address=digest, kind="dataset version", name=name, at=at)
            lineage.link(connection, digest, whole.digest, "portion of")


def _wait_for_orphans(project: Project, begun: Search) -> None:
    """Let the trials end whose search was killed: their processes notice it by themselves.

    Raises:
        Conflict: If one goes on.
    """
    deadline = time.monotonic() + _ORPHANS_S
    while is_interrupted(begun, project.state):
        settle_interrupted(project)
        with project.database.read() as connection:
            running = rows.find(connection, Run, search=begun.number, state="running")
        if not running:
            return
        if time.monotonic() > deadline:
            msg = f"{running[0].ref} of {begun.ref} is still running"
            raise Conflict(msg, hint="wait for its end, or end its process")
        time.sleep(0.05)


def _attempt(trial: Trial, *, folder: str, plan: SearchPlan, actor: str, threads: int) -> Outcome:
    """One trial, in a process of its own."""
    # before the libraries are loaded: two OpenMP pools on two cores cost 26 times
    for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(name, str(threads))
    project = _project(folder)

    def begins(connection: sa.Connection, run: Run) -> None:
        begin_run(connection, trial, run)

    with underway(trial, project.folder):
        report = train(
            project,
            overrides={**plan.fixed, **trial.parameters},
            data=plan.data,
            environment=plan.environment,
            as_of=plan.known_at,
            experiment=plan.experiment,
            search=trial.search,
            begins=begins,
            portion=_portion(plan, trial.rung),
            actor=actor,
            where=Where(executor="in-process"),  # this process is a worker itself
        )
    return Outcome(run=report.run.number, value=report.metrics.get(plan.metric))


def _portion(plan: SearchPlan, rung: int) -> Portion | None:
    if not plan.portions:
        return None
    return Portion(plan.portion_of, plan.portions[rung], plan.portion_by)


@functools.cache  # once a process: opening one takes as long as a small trial
def _project(folder: str) -> Project:
    return open_project(Path(folder))
