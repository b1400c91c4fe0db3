"""What whoever computes a step is told: made when its inputs are there."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.pipeline.graph import StepDeclaration
from cd4ml.pipeline.plan import Outputs, Plan
from cd4ml.pipeline.task import Chance, Logged, Source, StepTask

if TYPE_CHECKING:
    from cd4ml.pipeline.executors.port import Executor
    from cd4ml.store.blobs import Blobs

_WITHOUT_NUMPY = {"cd4ml", "polars"}


class StepTasks:
    """The tasks of one run.

    Args:
        plan: What decides what it computes.
        executor: Who computes.
        blobs: Where outputs are kept.
        outputs: What there is of them by now.
        takers: Step or dataset -> open steps that need it, as it is now.
    """

    def __init__(
        self,
        plan: Plan,
        executor: Executor,
        blobs: Blobs,
        outputs: Outputs,
        takers: Mapping[str, set[str]],
    ) -> None:
        self._plan = plan
        self._executor = executor
        self._blobs = blobs
        self._outputs = outputs
        self._takers = takers

    def of(self, step: StepDeclaration, *, run: int, log: Path) -> StepTask:
        """The task of a step whose inputs are there; what it prints goes to `log`."""
        inputs = self._outputs.inputs(step)
        keeps = self._executor.keeps_output
        return StepTask(
            place=self._plan.place,
            step=step.name,
            where=step.where,
            inputs=tuple(self._source(each.name, each.hint) for each in step.inputs),
            parameters=self._plan.parameters(step),
            output=step.output,
            blobs=self._blobs,
            tables=self._executor.tables,
            holds=bool(self._takers.get(step.name)),
            last=tuple(
                address for name, address in inputs.items() if self._takers[name] == {step.name}
            ),
            log=log if keeps else None,
            chance=self._chance(step),
            logged=Logged(self._plan.state.absolute(), run),
            remembers=self._plan.code[step.name].remembers,
            is_settled=not self._executor.settles_later,
            is_debugged=not keeps,
        )

    def _chance(self, step: StepDeclaration) -> Chance:
        imported = self._plan.code[step.name].modules - sys.stdlib_module_names
        return Chance(self._plan.seed, needs_numpy=bool(imported - _WITHOUT_NUMPY))

    def _source(self, name: str, hint: str) -> Source:
        if name in self._outputs.found:
            return Source(hint, output=self._outputs.found[name])
        dataset = self._plan.datasets[name]
        return Source(
            hint, digest=dataset.digest, frame=dataset.scan(), holds=len(self._takers[name]) > 1
        )
