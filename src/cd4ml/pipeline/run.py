"""A pipeline, and a run of it: what is to be run, on what, with which values."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cd4ml.errors import InvalidInput, PipelineError
from cd4ml.pipeline.cache import find_output
from cd4ml.pipeline.cost import cost
from cd4ml.pipeline.dataset_input import DatasetInput
from cd4ml.pipeline.declared import declared_steps
from cd4ml.pipeline.dependencies import Dependencies
from cd4ml.pipeline.distributions import Distributions
from cd4ml.pipeline.environment import present_environment
from cd4ml.pipeline.execution import Execution, Progress, StepState
from cd4ml.pipeline.executors.pool import Workers
from cd4ml.pipeline.fingerprint import ReachedCode
from cd4ml.pipeline.graph import Graph, StepDeclaration, build
from cd4ml.pipeline.logs import Listener, StepLogs, logs_folder
from cd4ml.pipeline.notes import digest_of_variable
from cd4ml.pipeline.origin import origin_of
from cd4ml.pipeline.parameters import values_of
from cd4ml.pipeline.plan import Outputs, Plan
from cd4ml.pipeline.recording import Hooks, Recorder
from cd4ml.pipeline.sources import Sources
from cd4ml.pipeline.task import Place, declare, leave, load_polars, prepare
from cd4ml.pipeline.usage import Usage
from cd4ml.pipeline.watch import Seen
from cd4ml.records.run import Run
from cd4ml.records.settings import PriceSettings
from cd4ml.store.address import address_of_record

if TYPE_CHECKING:
    from cd4ml.pipeline.executors.port import Executor
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.clock import Clock
    from cd4ml.store.database import Database

__all__ = ["DatasetInput", "Hooks", "Pipeline", "Progress", "Purpose", "run_pipeline"]


class Purpose(NamedTuple):
    """What a run was asked for; the fields are those of `Run`."""

    environment_name: str = ""
    overrides: Mapping[str, Any] = MappingProxyType({})
    partition: str = ""


class Pipeline:
    """A project's pipeline as its files are now; nothing is computed yet.

    Args:
        folder: The project's folder.
        module: The module with the steps.
        state: The project's folder for what cd4ml keeps (`.cd4ml`).
        datasets: The names of the datasets that steps may take.
        also: Files below the folder that a run needs beside its code: the settings.
        data: The paths and patterns of the datasets' own files, which are no code.
        seed: Of the chance in its steps.
        is_shared: Whether outputs are taken from, and offered to, others with the same blobs.
        takes_models: Whether models are taken from them too: loading one runs code.
        variables: Environment variables that count for every step, beside those that it is
            seen to read.
        executor: Imports the module, where that is needed to know its steps, and keeps it
            imported for computing them; this process by default, and then forgets it.

    Raises:
        PipelineError: If the module cannot be imported, a step cannot be declared as it
            is, or the steps and datasets do not fit together.
    """

    def __init__(
        self,
        folder: Path,
        module: str,
        *,
        state: Path,
        datasets: Collection[str],
        also: Collection[str] = (),
        data: Collection[str] = (),
        seed: int = 0,
        is_shared: bool = True,
        takes_models: bool = False,
        variables: Collection[str] = (),
        executor: Executor | None = None,
    ) -> None:
        self.module = module
        self.seed = seed
        self.is_shared = is_shared
        self.takes_models = takes_models
        self.state = state
        self.also = also
        self.data = data
        self.sources = Sources(folder, module)
        self.folder = self.sources.folder
        self.environment = present_environment()
        self.place = Place(self.folder, module, token=os.urandom(8).hex())
        environment = address_of_record(self.environment)
        self.declared = declared_steps(
            self.sources,
            environment=environment,
            state=state,
            declare=lambda: self._declared(executor),
        )
        if executor is not None and executor.keeps_output:
            # what it imports is there when the data are; a run that computes nothing ends it
            executor.submit(prepare, self.place)
        self.graph: Graph = build(self.declared.steps, datasets)
        distributions = Distributions(self.environment, state)
        self.reached = ReachedCode(self.sources, distributions, variables)

    def _declared(self, executor: Executor | None) -> tuple[tuple[StepDeclaration, ...], Seen]:
        if executor is not None:
            declared = executor.submit(declare, self.place)
            load_polars()  # meanwhile: who reads the data needs it here
            return declared.result()
        try:
            return declare(self.place)
        finally:
            leave()

    def require_possible(self, parameters: Mapping[str, Any]) -> None:
        """Refuse values with which a run could not begin.

        Args:
            parameters: "step.parameter" -> value, where it differs from the declared one.

        Raises:
            InvalidInput: If a parameter is unknown or a value has the wrong type.
            PipelineError: If a parameter without a default is not given.
        """
        values_of(self.graph.steps, parameters, self.graph.steps, seed=self.seed)

    def code_files(self) -> list[str]:
        """The files that the steps' code names or is, beside Python's."""
        reached = [self.reached.by(step.module, step.function) for step in self.graph.steps]
        names = {name for each in reached for name in each.files}
        return sorted(str(self.folder / name) for name in names)

    def variables(self) -> dict[str, str]:
        """The environment variables that count, with the digests of their values."""
        reached = [self.reached.by(step.module, step.function) for step in self.graph.steps]
        names = sorted(set[str]().union(*(each.variables for each in reached)))
        return {**self.declared.variables, **{name: digest_of_variable(name) for name in names}}


def run_pipeline(
    pipeline: Pipeline,
    *,
    database: Database,
    blobs: Blobs,
    clock: Clock,
    actor: str,
    datasets: Mapping[str, DatasetInput],
    as_of: datetime | None = None,
    experiment: str,
    search: int = 0,
    purpose: Purpose = Purpose(),  # noqa: B008 - immutable
    targets: Collection[str] = (),
    parameters: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    listener: Listener | None = None,
    hooks: Hooks = Hooks(),  # noqa: B008 - immutable
    executor: Executor | None = None,
    prices: PriceSettings = PriceSettings(),  # noqa: B008 - immutable
) -> Run:
    """Run the pipeline, or what the targets need of it; returns the finished run.

    Writes one short transaction for the steps that have finished meanwhile. A step whose
    fingerprint was computed before, in any run, is taken from there if its output still is
    what was stored; so a run that was killed, asked for again, goes on where it was.

    Args:
        pipeline: Which.
        database: Where the run is recorded.
        blobs: Where outputs are kept.
        clock: Tells when.
        actor: Who.
        datasets: Name -> the version to take, at least for those that are needed.
        as_of: The moment whose knowledge they are; None for the versions as they are.
        experiment: The question that the run belongs to.
        search: The number of the search that the run is a trial of; 0 for none.
        purpose: What it was asked for that its data and parameters do not show.
        targets: Steps to run, with what they need; all by default.
        parameters: "step.parameter" -> value, where it differs from the declared one.
        progress: Is told when a step begins and ends.
        listener: Is told what steps print, while they do.
        hooks: What else happens when the run begins and has ended.
        executor: Computes the steps, and is left open; by default one worker process, which
            ends with the run.
        prices: What an hour costs.

    Raises:
        InvalidInput: If a target, parameter or dataset is unknown, a value has the wrong
            type; nothing is recorded.
        PipelineError: If a step asks for more than there is; nothing is recorded. If a step
            fails; the run is recorded as failed, with the reason.
    """
    plan = _planned(pipeline, targets, parameters or {}, datasets, blobs)
    run = _begun(
        pipeline,
        plan,
        blobs,
        experiment=experiment,
        search=search,
        as_of=as_of,
        purpose=purpose,
        at=clock.now(),
        actor=actor,
    )
    with _open(executor) as opened:
        _refuse_what_lacks(plan, opened, database, blobs)
        variables = {**run.variables, **opened.variables}
        run = msgspec.structs.replace(run, hardware=opened.hardware, variables=variables)
        execution = Execution(
            plan,
            Recorder(run, state=pipeline.state, database=database, clock=clock, hooks=hooks),
            opened,
            database=database,
            blobs=blobs,
            logs=lambda run: StepLogs(logs_folder(plan.state, run.number), blobs, listener),
            cost=_priced(prices),
            progress=progress or _nobody,
        )
        return execution.run()


def _planned(
    pipeline: Pipeline,
    targets: Collection[str],
    parameters: Mapping[str, Any],
    datasets: Mapping[str, DatasetInput],
    blobs: Blobs,
) -> Plan:
    """All that decides what will be computed."""
    steps = pipeline.graph.needed_for(targets)
    return Plan(
        sources=pipeline.sources,
        place=pipeline.place,
        state=pipeline.state,
        steps=steps,
        datasets=_taken(steps, pipeline.graph, datasets),
        values=values_of(steps, parameters, pipeline.graph.steps, seed=pipeline.seed),
        code={step.name: pipeline.reached.by(step.module, step.function) for step in steps},
        seed=pipeline.seed,
        is_shared=pipeline.is_shared,
        takes_models=pipeline.takes_models,
        environment=blobs.put_record(pipeline.environment),
    )


def _begun(
    pipeline: Pipeline,
    plan: Plan,
    blobs: Blobs,
    *,
    experiment: str,
    search: int,
    as_of: datetime | None,
    purpose: Purpose,
    at: datetime,
    actor: str,
) -> Run:
    """The record of a run that begins, without its number: where from, on what, what for."""
    origin = origin_of(
        pipeline.sources,
        plan.code.values(),
        pipeline.environment,
        also=pipeline.also,
        data=pipeline.data,
        state=pipeline.state,
        blobs=blobs,
    )
    return Run(
        number=0,  # given when it begins
        experiment=experiment,
        search=search,
        state="running",
        **origin._asdict(),
        code=address_of_record({name: reached.address for name, reached in plan.code.items()}),
        environment=plan.environment,
        parameters=plan.values,
        datasets={name: each.digest for name, each in plan.datasets.items()},
        refs={name: each.ref for name, each in plan.datasets.items()},
        as_of=as_of,
        environment_name=purpose.environment_name,
        overrides=dict(purpose.overrides),
        partition=purpose.partition,
        started_at=at,
        created_by=actor,
    )


def _priced(prices: PriceSettings) -> Callable[[list[tuple[Usage, StepDeclaration]]], float | None]:
    """What the steps that were computed cost, with the time from now on."""
    began = perf_counter()

    def price(used: list[tuple[Usage, StepDeclaration]]) -> float | None:
        work = [(usage, step.resources) for usage, step in used]
        return cost(prices, work, seconds=perf_counter() - began)

    return price


def _nobody(step: str, state: StepState, seconds: float) -> None:
    """Listens to the progress of a run that nobody watches."""


@contextmanager
def _open(executor: Executor | None) -> Iterator[Executor]:
    """The executor that was given; else a worker process for the time of the block."""
    opened: Executor = executor or Workers()
    try:
        yield opened
    finally:
        leave()  # what was imported here, if steps were computed here
        if executor is None:
            opened.shutdown(cancel=True)


def _refuse_what_lacks(plan: Plan, executor: Executor, database: Database, blobs: Blobs) -> None:
    """Refuse a run before it begins if a step that has to be computed asks for what is not there.

    What was computed elsewhere, and needs nothing that has to be computed, is taken from there.
    """
    if not any(executor.hardware.lacks(step.resources) for step in plan.steps):
        return
    outputs = Outputs(plan)
    dependencies = Dependencies(plan.sources, plan.code, plan.meant())
    for step in plan.steps:
        is_open = any(name in plan.code and name not in outputs.found for name in step.needs)
        found = (
            None
            if is_open or not step.is_cached
            else find_output(
                database,
                blobs,
                outputs.fingerprint(step),
                holds=dependencies.hold,
                shared_kinds=plan.shared_kinds,
            )
        )
        if found is not None:
            outputs.add(step, found.output, found.beside)
        elif missing := executor.hardware.lacks(step.resources):
            msg = f"{step.where}: step {step.name!r} asks for {missing}"
            raise PipelineError(msg, hint="run it where there is more, or let it ask for less")


def _taken(
    steps: tuple[StepDeclaration, ...], graph: Graph, datasets: Mapping[str, DatasetInput]
) -> dict[str, DatasetInput]:
    needed = sorted({name for step in steps for name in step.needs} - set(graph.names))
    for name in needed:
        if name not in datasets:
            msg = f"the dataset {name!r} has no version to run with"
            raise InvalidInput(msg, hint=f"given: {', '.join(sorted(datasets)) or 'none'}")
    return {name: datasets[name] for name in needed}
