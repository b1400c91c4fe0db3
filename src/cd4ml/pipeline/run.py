"""A pipeline, and a run of it: what is to be run, on what, with which values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.errors import InvalidInput
from cd4ml.pipeline.declared import declared_steps
from cd4ml.pipeline.environment import present_environment
from cd4ml.pipeline.execution import DatasetInput, Execution, Hooks, Plan, Progress
from cd4ml.pipeline.fingerprint import ReachedCode
from cd4ml.pipeline.graph import Graph, StepDeclaration, build
from cd4ml.pipeline.origin import origin_of
from cd4ml.pipeline.parameters import values_of
from cd4ml.pipeline.sources import Sources
from cd4ml.records.run import Run
from cd4ml.store.address import address_of_record

if TYPE_CHECKING:
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
    ) -> None:
        self.module = module
        self.state = state
        self.also = also
        self.data = data
        self.sources = Sources(folder, module)
        self.folder = self.sources.folder
        self.environment = present_environment()
        environment = address_of_record(self.environment)
        steps = declared_steps(self.sources, environment=environment, state=state)
        self.graph: Graph = build(steps, datasets)

    def require_possible(self, parameters: Mapping[str, Any]) -> None:
        """Refuse values with which a run could not begin.

        Args:
            parameters: "step.parameter" -> value, where it differs from the declared one.

        Raises:
            InvalidInput: If a parameter is unknown or a value has the wrong type.
            PipelineError: If a parameter without a default is not given.
        """
        values_of(self.graph.steps, parameters, self.graph.steps)


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
    hooks: Hooks = Hooks(),  # noqa: B008 - immutable
) -> Run:
    """Run the pipeline, or what the targets need of it; returns the finished run.

    Writes one short transaction per finished step. A step whose fingerprint was computed
    before, in any run, is taken from there if its output still is what was stored; so a
    run that was killed, asked for again, goes on where it was.

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
        hooks: What else happens when the run begins and has ended.

    Raises:
        InvalidInput: If a target, parameter or dataset is unknown or a value has the wrong
            type; nothing is recorded.
        PipelineError: If a step fails; the run is recorded as failed, with the reason.
    """
    steps = pipeline.graph.needed_for(targets)
    taken = _taken(steps, pipeline.graph, datasets)
    code = ReachedCode(pipeline.sources)
    plan = Plan(
        sources=pipeline.sources,
        state=pipeline.state,
        steps=steps,
        values=values_of(steps, parameters or {}, pipeline.graph.steps),
        datasets=taken,
        code={step.name: code.by(step.module, step.function) for step in steps},
        environment=blobs.put_record(pipeline.environment),
    )
    origin = origin_of(
        pipeline.sources,
        plan.code.values(),
        pipeline.environment,
        also=pipeline.also,
        data=pipeline.data,
        state=pipeline.state,
        blobs=blobs,
    )
    run = Run(
        number=0,  # given when it begins
        experiment=experiment,
        search=search,
        state="running",
        **origin._asdict(),
        code=address_of_record({name: reached.address for name, reached in plan.code.items()}),
        environment=plan.environment,
        parameters=plan.values,
        datasets={name: each.digest for name, each in taken.items()},
        refs={name: each.ref for name, each in taken.items()},
        as_of=as_of,
        environment_name=purpose.environment_name,
        overrides=dict(purpose.overrides),
        partition=purpose.partition,
        started_at=clock.now(),
        created_by=actor,
    )
    execution = Execution(plan, run, database=database, blobs=blobs, clock=clock, hooks=hooks)
    return execution.run(progress)


def _taken(
    steps: tuple[StepDeclaration, ...], graph: Graph, datasets: Mapping[str, DatasetInput]
) -> dict[str, DatasetInput]:
    needed = sorted({name for step in steps for name in step.needs} - set(graph.names))
    for name in needed:
        if name not in datasets:
            msg = f"the dataset {name!r} has no version to run with"
            raise InvalidInput(msg, hint=f"given: {', '.join(sorted(datasets)) or 'none'}")
    return {name: datasets[name] for name in needed}
