"""The pipeline as its files are now: what needs what, and what each step depends on."""

from __future__ import annotations

from typing import Any

import msgspec

from cd4ml.loop.train import pipeline_of
from cd4ml.pipeline.graph import StepDeclaration
from cd4ml.store.project import Project


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """A step as it is declared.

    `unseen` says why every file of the project counts as its code; "" if what it reaches could
    be followed. `files` are those that its code names, or is, beside Python's modules.
    """

    name: str
    where: str  # file:line
    inputs: tuple[str, ...]
    parameters: dict[str, Any]  # with their defaults; None also where there is none
    output: str  # what it says it returns
    is_command: bool
    is_cached: bool
    unseen: str
    files: tuple[str, ...]
    variables: tuple[str, ...]  # of the environment


class PipelineView(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline: its datasets, and its steps in an order in which they can run."""

    module: str
    datasets: tuple[str, ...]
    steps: tuple[StepView, ...]

    @property
    def arrows(self) -> tuple[tuple[str, str], ...]:
        """From what is needed to the step that needs it."""
        return tuple((name, step.name) for step in self.steps for name in step.inputs)


def show_pipeline(project: Project) -> PipelineView:
    """The project's pipeline.

    Raises:
        PipelineError: If it cannot be built.
    """
    pipeline = pipeline_of(project)
    steps = pipeline.graph.steps
    needed = dict.fromkeys(name for step in steps for name in step.needs)
    return PipelineView(
        module=pipeline.module,
        datasets=tuple(name for name in needed if name not in pipeline.graph.names),
        steps=tuple(_view(step, pipeline.reached.by(step.module, step.function)) for step in steps),
    )


def _view(step: StepDeclaration, reached: Any) -> StepView:
    return StepView(
        name=step.name,
        where=step.where,
        inputs=step.needs,
        parameters={each.name: each.default for each in step.parameters},
        output=step.output,
        is_command=step.is_command,
        is_cached=step.is_cached,
        unseen=reached.unseen,
        files=tuple(sorted(name for name in reached.named if not name.endswith(".py"))),
        variables=tuple(sorted(reached.variables)),
    )
