"""All that decides what a run computes, and what is known of its outputs so far."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec

from cd4ml.pipeline.dataset_input import DatasetInput
from cd4ml.pipeline.fingerprint import Reached, ReachedCode, fingerprint
from cd4ml.pipeline.graph import StepDeclaration
from cd4ml.pipeline.named_folders import digest_of_folder, folders_of_value, is_folder
from cd4ml.pipeline.said_values import texts_said_in
from cd4ml.pipeline.sources import Sources
from cd4ml.pipeline.storage import Kind, Output
from cd4ml.pipeline.task import Place
from cd4ml.records.run import StepRun
from cd4ml.store.address import address_of_record


class Plan(NamedTuple):
    """All that decides what a run computes."""

    sources: Sources
    place: Place
    state: Path
    steps: tuple[StepDeclaration, ...]  # in order
    values: dict[str, Any]  # "step.parameter" -> value
    datasets: dict[str, DatasetInput]
    code: dict[str, Reached]  # step -> the code it reaches
    environment: str
    seed: int = 0
    is_shared: bool = True  # whether outputs are taken from, and offered to, other databases
    takes_models: bool = False  # also models: loading one runs code

    @property
    def shared_kinds(self) -> frozenset[Kind]:
        """The kinds of output that are taken from other databases with the same blobs."""
        kinds = frozenset[Kind](get_args(Kind)) if self.is_shared else frozenset[Kind]()
        return kinds if self.takes_models else kinds - {"model"}

    def parameters(self, step: StepDeclaration) -> dict[str, Any]:
        """Name -> value of each parameter of a step."""
        return {p.name: self.values[f"{step.name}.{p.name}"] for p in step.parameters}

    def meant(self) -> dict[str, dict[str, str]]:
        """Step -> files of the project that its code or parameters may mean, with their addresses.

        What is not there has the address "". A name that ends in "/" is a folder, with all it holds.
        """
        return {
            step.name: {**self.code[step.name].meant, **self._given(step)} for step in self.steps
        }

    def _given(self, step: StepDeclaration) -> dict[str, str]:
        """What parameters mean; where tables are read unseen, also what settings and variables do."""
        reached, folder, values = self.code[step.name], self.sources.folder, self.parameters(step)
        files = self.sources.named_files.of_value(values)
        names: set[str] = set()
        if reached.reads_tables:
            own = (folder / name for name in sorted(reached.named) if not is_folder(name))
            said = [text for path in own for text in texts_said_in(path)]
            said += [os.environ.get(name, "") for name in sorted(reached.variables)]
            files += self.sources.files_in(said)
            names = folders_of_value(folder, [values, said])
        return {
            **{str(path.relative_to(folder)): self.sources.digest_now(path) for path in files},
            **{name: digest_of_folder(folder / name) for name in names},
        }


class Outputs:
    """The outputs of a run as they come, and the fingerprints that follow from them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.found: dict[str, Output] = {}
        self._identities: dict[str, str] = {}

    @property
    def addresses(self) -> dict[str, str]:
        """Step -> content address of its output."""
        in_order = [step.name for step in self._plan.steps if step.name in self.found]
        return {name: self.found[name].address for name in in_order}

    def add(self, step: StepDeclaration, output: Output, beside: Mapping[str, str]) -> None:
        """A step has this output, of what it read beside its fingerprint."""
        self.found[step.name] = output
        self._identities[step.name] = self._identity(step, output, beside)

    def inputs(self, step: StepDeclaration) -> dict[str, str]:
        """Name -> content address of each input."""
        return {
            name: self.found[name].address
            if name in self.found
            else self._plan.datasets[name].digest
            for name in step.needs
        }

    def fingerprint(self, step: StepDeclaration, code: Reached | None = None) -> str:
        """The fingerprint of a step whose inputs are there."""
        inputs = self.inputs(step)
        reached = code or self._plan.code[step.name]
        return fingerprint(
            code=reached.address,
            parameters=self._plan.parameters(step),
            inputs={name: self._identities.get(name, address) for name, address in inputs.items()},
            environment=reached.environment or self._plan.environment,
            seed=self._plan.seed,
        )

    def with_written_files(self, record: StepRun, step: StepDeclaration) -> StepRun:
        """The record under the fingerprint that counts the files the step itself wrote.

        The code names a file that was not there before: without this the next run would
        take it for a new input.
        """
        before = self._plan.code[step.name]
        if not any(path.is_file() for path in before.absent):
            return record
        sources = Sources(self._plan.sources.folder, self._plan.sources.start)
        after = ReachedCode(sources).by(step.module, step.function)
        if not before.is_extended_by(after):
            return record  # the code was edited meanwhile
        after = after._replace(environment=before.environment, variables=before.variables)
        return msgspec.structs.replace(record, fingerprint=self.fingerprint(step, after))

    def _identity(self, step: StepDeclaration, output: Output, beside: Mapping[str, str]) -> str:
        """What stands for an output in the fingerprints of the steps that take it.

        The bytes of an estimator hold the names of its classes, not their code: the code
        that made it and what it imports, and the estimators it was made from, count as well.
        """
        if output.kind != "model":
            return output.address
        made_from = [self._identities[name] for name in step.needs if name in self._identities]
        code = self._plan.code[step.name]
        known = [output.address, code.address, code.environment, made_from]
        return address_of_record([*known, dict(beside)] if beside else known)
