"""The steps of one run, one after the other, each recorded when it is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from cd4ml.errors import Cd4mlError, Corrupted, NotFound, PipelineError
from cd4ml.pipeline.alive import LifeSign, end_interrupted
from cd4ml.pipeline.fingerprint import Reached, ReachedCode, fingerprint
from cd4ml.pipeline.graph import StepDeclaration, steps_in
from cd4ml.pipeline.module import imported, origin, traceback_below
from cd4ml.pipeline.sources import Sources
from cd4ml.pipeline.step_log import logging_step, take_over
from cd4ml.pipeline.storage import Output, load, store
from cd4ml.records.point import Point
from cd4ml.records.run import Run, StepRun
from cd4ml.store import columns, ledger, lineage, rows
from cd4ml.store.address import address_of_record
from cd4ml.store.storable import printable
from cd4ml.store.tracking.experiments import ensure_experiment
from cd4ml.store.tracking.logged import log_metrics, milliseconds

if TYPE_CHECKING:
    import polars as pl
    import sqlalchemy as sa

    from cd4ml.store.blobs import Blobs
    from cd4ml.store.clock import Clock
    from cd4ml.store.database import Database

StepState = Literal["running", "computed", "cached", "failed"]
Progress = Callable[[str, StepState, float], None]  # step, state, seconds since it began

_KEPT = 20_000  # characters of a traceback: its end


def _nobody(step: str, state: StepState, seconds: float) -> None:
    """Listens to the progress of a run that nobody watches."""


def _nothing(*_: object) -> None:
    """Happens where nothing else shall."""


class Hooks(NamedTuple):
    """What else happens when a run begins, and when it has ended.

    `begins` is called in the transaction that records the run: what it raises, and what it
    writes, counts for both. `began` and `ended` are called once the record is there.
    """

    begins: Callable[[sa.Connection, Run], None] = _nothing
    began: Callable[[Run], None] = _nothing
    ended: Callable[[Run], None] = _nothing


class DatasetInput(NamedTuple):
    """A dataset version as a run takes it: its ref, its digest, and how to read it."""

    ref: str
    digest: str
    scan: Callable[[], pl.LazyFrame]


class Plan(NamedTuple):
    """All that decides what a run computes."""

    sources: Sources
    state: Path
    steps: tuple[StepDeclaration, ...]  # in order
    values: dict[str, Any]  # "step.parameter" -> value
    datasets: dict[str, DatasetInput]
    code: dict[str, Reached]  # step -> the code it reaches
    environment: str


class Execution:
    """One run from its beginning to its end."""

    def __init__(
        self,
        plan: Plan,
        run: Run,
        *,
        database: Database,
        blobs: Blobs,
        clock: Clock,
        hooks: Hooks,
    ) -> None:
        self._plan = plan
        self._run = run
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._hooks = hooks
        self._outputs: dict[str, Output] = {}
        self._imported: ModuleType | None = None
        self._identities: dict[str, str] = {}
        self._metrics: dict[str, str] = {}  # metric -> the step it is of

    def run(self, progress: Progress | None = None) -> Run:
        """Do the steps in order; returns the finished run.

        Raises:
            PipelineError: If a step fails; the run is then recorded as failed.
        """
        life = self._begin()
        try:
            self._hooks.began(self._run)
            with ExitStack() as modules:
                for position, step in enumerate(self._plan.steps):
                    self._do(step, position, modules, progress or _nobody)
        except BaseException as error:  # also Ctrl-C: what is not running must not say so
            reason = error.message if isinstance(error, Cd4mlError) else _named(error)
            self._end("failed", printable(reason))
            raise
        else:
            return self._end("finished")
        finally:
            life.end()

    def _begin(self) -> LifeSign:
        with self._database.write() as connection:
            at = self._clock.now()
            end_interrupted(connection, self._plan.state, at=at)
            ensure_experiment(connection, self._run.experiment, at=at, actor=self._run.created_by)
            number = rows.next_number(connection, Run)
            self._run = msgspec.structs.replace(self._run, number=number)
            rows.insert(connection, self._run)
            ref = self._run.ref
            lineage.note(connection, address=ref, kind="run", name=ref, at=at)
            for digest in self._run.datasets.values():
                lineage.link(connection, ref, digest, "input")
            self._hooks.begins(connection, self._run)
            return LifeSign(self._plan.state, number)

    def _end(self, state: Literal["finished", "failed"], reason: str = "") -> Run:
        with self._database.write() as connection:
            at = self._clock.now()
            outputs = {name: output.address for name, output in self._outputs.items()}
            # as it is now: its steps may have tagged and described it
            run = rows.get(connection, Run, self._run.number, lock=True)
            self._run = msgspec.structs.replace(
                run, state=state, reason=reason, outputs=outputs, finished_at=at
            )
            rows.replace(connection, self._run)
            ledger.append(
                connection,
                at=at,
                actor=self._run.created_by,
                action=f"run.{state}",
                subject=self._run.ref,
                reason=reason,
                details={"code": self._run.code, "datasets": self._run.refs, "outputs": outputs},
            )
        self._hooks.ended(self._run)
        return self._run

    def _do(
        self, step: StepDeclaration, position: int, modules: ExitStack, progress: Progress
    ) -> None:
        progress(step.name, "running", 0.0)
        began = perf_counter()
        record = StepRun(
            run=self._run.number,
            step=step.name,
            position=position,
            fingerprint=self._fingerprint(step, self._plan.code[step.name]),
            state="computed",
            kind="json",
        )
        output = self._from_cache(record) if step.is_cached else None
        state: StepState = "cached" if output else "computed"
        try:
            if output is None:
                output = self._compute(step, self._module(modules))
            metrics = self._metrics_of(step, output)
        except PipelineError as error:
            self._record_failure(record, error, perf_counter() - began)
            progress(step.name, "failed", perf_counter() - began)
            raise
        seconds = perf_counter() - began
        self._outputs[step.name] = output
        self._identities[step.name] = self._identity(step, output)
        done = msgspec.structs.replace(
            self._with_written_files(record, step),
            state=state,
            kind=output.kind,
            output=output.address,
            seconds=seconds,
        )
        self._record(done, step, metrics)
        progress(step.name, state, seconds)

    def _fingerprint(self, step: StepDeclaration, code: Reached) -> str:
        inputs = self._inputs(step)
        return fingerprint(
            code=code.address,
            parameters=self._parameters(step),
            inputs={name: self._identities.get(name, address) for name, address in inputs.items()},
            environment=self._plan.environment,
        )

    def _identity(self, step: StepDeclaration, output: Output) -> str:
        """What stands for an output in the fingerprints of the steps that take it.

        The bytes of an estimator hold the names of its classes, not their code: the code
        that made it, and the estimators it was made from, count as well.
        """
        if output.kind != "model":
            return output.address
        made_from = [self._identities[name] for name in step.needs if name in self._identities]
        return address_of_record([output.address, self._plan.code[step.name].address, made_from])

    def _with_written_files(self, record: StepRun, step: StepDeclaration) -> StepRun:
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
        return msgspec.structs.replace(record, fingerprint=self._fingerprint(step, after))

    def _parameters(self, step: StepDeclaration) -> dict[str, Any]:
        return {p.name: self._plan.values[f"{step.name}.{p.name}"] for p in step.parameters}

    def _inputs(self, step: StepDeclaration) -> dict[str, str]:
        """Name -> content address of each input."""
        return {
            name: self._outputs[name].address
            if name in self._outputs
            else self._plan.datasets[name].digest
            for name in step.needs
        }

    def _from_cache(self, wanted: StepRun) -> Output | None:
        with self._database.read() as connection:
            found = rows.find(
                connection,
                StepRun,
                fingerprint=wanted.fingerprint,
                state="computed",
                limit=1,
                newest_first=True,
            )
        for known in found:
            try:
                self._blobs.path(known.output)
            except (NotFound, Corrupted):
                return None  # compute it again
            return msgspec.convert((known.kind, known.output), Output)
        return None

    def _module(self, modules: ExitStack) -> ModuleType:
        """The pipeline's module, imported once, with the code that was fingerprinted."""
        if self._imported is None:
            sources = self._plan.sources
            self._imported = modules.enter_context(imported(sources.folder, sources.start))
            for path in sources.edited():
                msg = f"{path.relative_to(sources.folder)} was edited while the run began"
                raise PipelineError(msg, hint="run again")
        return self._imported

    def _compute(self, step: StepDeclaration, module: ModuleType) -> Output:
        function = steps_in(module)[step.name].function
        arguments = [self._input(each.name, each.hint) for each in step.inputs]
        try:
            with self._logging(step):
                value = function(*arguments, **self._parameters(step))
        except (Exception, SystemExit) as error:
            where = origin(error, self._plan.sources.folder) or step.where
            msg = f"{where}: step {step.name!r} failed: {_named(error)}"
            hint = f"{self._run.ref} keeps the traceback; finished steps will not run again"
            raise PipelineError(msg, hint=hint) from error
        return store(self._blobs, value, hint=step.output, step=step.name)

    def _logging(self, step: StepDeclaration) -> AbstractContextManager[None]:
        return logging_step(
            self._plan.state,
            self._run.number,
            step.name,
            now=self._clock.now,
            blobs=lambda: self._blobs,
            database=lambda: self._database,
        )

    def _input(self, name: str, hint: str) -> Any:
        if name in self._outputs:
            return load(self._blobs, self._outputs[name], hint=hint)
        frame = self._plan.datasets[name].scan()
        return frame if hint == "LazyFrame" else frame.collect()

    def _metrics_of(self, step: StepDeclaration, output: Output) -> dict[str, float]:
        if output.kind != "metrics":
            return {}
        metrics: dict[str, float] = json.loads(self._blobs.get(output.address))
        for name in metrics:
            if self._metrics.setdefault(name, step.name) != step.name:
                msg = f"the steps {self._metrics[name]!r} and {step.name!r} both give {name!r}"
                raise PipelineError(msg, hint="a run has one value per metric: rename one of them")
        return metrics

    def _record(self, done: StepRun, step: StepDeclaration, metrics: dict[str, float]) -> None:
        inputs = self._inputs(step)
        with self._database.write() as connection:
            at = self._clock.now()
            rows.insert(connection, done)
            points = [Point(name, value, 0, milliseconds(at)) for name, value in metrics.items()]
            log_metrics(connection, done.run, points)
            columns.declare(connection, done.output, step.columns, inputs)
            if done.state == "cached":
                take_over(connection, done)
                return
            name = f"{done.step} of {self._run.ref}"
            lineage.note(connection, address=done.output, kind="step output", name=name, at=at)
            lineage.link(connection, done.output, self._run.ref, "output")
            for address in set(inputs.values()) - {done.output}:
                lineage.link(connection, done.output, address, "input")

    def _record_failure(self, record: StepRun, error: PipelineError, seconds: float) -> None:
        cause = error.__cause__
        reason = (
            traceback_below(cause, self._plan.sources.folder)[-_KEPT:] if cause else error.message
        )
        failed = msgspec.structs.replace(
            record, state="failed", reason=printable(reason), seconds=seconds
        )
        with self._database.write() as connection:
            rows.insert(connection, failed)


def _named(error: BaseException) -> str:
    """An exception in one line; the traceback has the rest."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
