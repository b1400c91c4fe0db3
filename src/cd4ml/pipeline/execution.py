"""The steps of one run: each begun when its inputs are there, and recorded when it is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from cd4ml.errors import Cd4mlError, PipelineError, TimedOut, WorkerLost
from cd4ml.pipeline.cache import find_output
from cd4ml.pipeline.dependencies import Dependencies
from cd4ml.pipeline.graph import StepDeclaration
from cd4ml.pipeline.interruption import in_one_piece, interrupted_in_order, undisturbed
from cd4ml.pipeline.logged_steps import collect_logged, keep_lines
from cd4ml.pipeline.logs import StepLogs
from cd4ml.pipeline.plan import Outputs, Plan
from cd4ml.pipeline.recording import EndedStep, Recorder
from cd4ml.pipeline.shared_outputs import share
from cd4ml.pipeline.storage import Output
from cd4ml.pipeline.task import Computed, Failure, compute, named
from cd4ml.pipeline.tasks import StepTasks
from cd4ml.pipeline.telling import Progress as Progress
from cd4ml.pipeline.telling import StepState as StepState
from cd4ml.pipeline.telling import Telling
from cd4ml.pipeline.turns import Turns
from cd4ml.pipeline.usage import Usage
from cd4ml.pipeline.watch import Seen
from cd4ml.pipeline.work import StepWork, has_room
from cd4ml.records.run import Run, StepRun
from cd4ml.store.storable import printable

if TYPE_CHECKING:
    from cd4ml.pipeline.executors.port import Executor
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.database import Database

# a wait without an end is not interrupted once Polars is loaded: its SIGINT handler has SA_RESTART
_LOOK_S = 0.1
_TURN_S = 0.02  # between two looks whether another run has computed a step


class Execution:
    """One run from its beginning to its end."""

    def __init__(
        self,
        plan: Plan,
        recorder: Recorder,
        executor: Executor,
        *,
        database: Database,
        blobs: Blobs,
        logs: Callable[[Run], StepLogs],
        cost: Callable[[list[tuple[Usage, StepDeclaration]]], float | None],
        progress: Progress,
    ) -> None:
        self._plan = plan
        self._recorder = recorder
        self._executor = executor
        self._is_later = executor.settles_later
        self._database = database
        self._blobs = blobs
        self._open_logs = logs
        self._cost = cost
        self._telling = Telling(database, blobs, progress)
        self._turns = Turns(plan.state)
        self._outputs = Outputs(plan)
        self._dependencies = Dependencies(plan.sources, plan.code, plan.meant())
        self._positions = {step.name: place for place, step in enumerate(plan.steps)}
        self._lacking = {step.name: self._steps_in(step.needs) for step in plan.steps}
        self._takers: dict[str, set[str]] = {}  # step or dataset -> open steps that need it
        for step in plan.steps:
            for name in step.needs:
                self._takers.setdefault(name, set()).add(step.name)
        self._tasks = StepTasks(plan, executor, blobs, self._outputs, self._takers)
        self._works: list[StepWork] = []  # all that were ever ready
        self._ready: list[StepWork] = []
        self._working: list[StepWork] = []
        self._ended: list[tuple[StepWork, EndedStep]] = []  # not recorded yet
        self._metrics: dict[str, str] = {}  # metric -> the step it is of
        self._used: list[tuple[Usage, StepDeclaration]] = []
        self._failure: PipelineError | None = None

    def run(self) -> Run:
        """Do the steps; returns the finished run.

        Raises:
            PipelineError: If a step fails; the run is then recorded as failed. What others
                were computing by then is finished and recorded first.
            KeyboardInterrupt: If it was interrupted; says how to go on.
        """
        life = self._recorder.begin()
        self._logs = self._open_logs(self._recorder.run)
        try:
            with interrupted_in_order():
                with in_one_piece():
                    self._recorder.began()
                self._do_all()
        except BaseException as error:  # also Ctrl-C: what is not running must not say so
            with undisturbed():
                self._cancel()
                reason = error.message if isinstance(error, Cd4mlError) else named(error)
                self._end("failed", printable(reason))
                life.end()
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(self._interrupted) from None
            raise
        else:
            run = self._end("finished")
            life.end()
            return run
        finally:
            for work in self._works:
                work.end_turn()
            self._turns.close()
            self._telling.end()
            self._logs.end()
            life.let_go()

    @property
    def _interrupted(self) -> str:
        return f"{self._recorder.run.ref} was interrupted\n  hint: the same command goes on there"

    def _end(self, state: Literal["finished", "failed"], reason: str = "") -> Run:
        cost = self._cost(self._used)
        return self._recorder.end(state, outputs=self._outputs.addresses, cost=cost, reason=reason)

    def _do_all(self) -> None:
        self._make_ready([step.name for step in self._plan.steps])
        while self._ready or self._working:
            self._tell()
            if self._failure is None:
                self._begin_what_can()
            self._record()
            self._settle_what_ended()
            if self._failure is not None and not self._working:
                self._record_all()
                raise self._failure
        self._record_all()

    def _steps_in(self, names: Iterable[str]) -> set[str]:
        return {name for name in names if name in self._positions}

    def _make_ready(self, names: Iterable[str]) -> None:
        """Of these steps those that lack nothing are ready; kept in the order of the plan."""
        for name in names:
            if not self._lacking[name]:
                step = self._plan.steps[self._positions[name]]
                self._telling.note(name, "running")
                work = StepWork(step, self._record_of(step))
                self._works.append(work)
                self._ready.append(work)
        self._ready.sort(key=lambda work: work.record.position)

    def _record_of(self, step: StepDeclaration) -> StepRun:
        return StepRun(
            run=self._recorder.run.number,
            step=step.name,
            position=self._positions[step.name],
            fingerprint=self._outputs.fingerprint(step),
            state="computed",
            kind="json",
        )

    def _begin_what_can(self) -> None:
        """Begin steps in the order of the plan, those that follow from cached ones included."""
        place = 0
        while place < len(self._ready) and self._failure is None:
            work = self._ready[place]
            if not (work.is_due and self._begin(work)):
                place += 1
                continue
            self._ready.remove(work)
            if work.future is None:  # it was cached: what it made ready may come earlier
                place = 0

    def _begin(self, work: StepWork) -> bool:
        """Take a step from the cache, or have it computed; False if it has to wait."""
        asked = [other.step.resources for other in self._working]
        has_place = has_room(
            work.step.resources, asked, self._executor.capacity, self._executor.workers
        )
        if work.is_to_be_computed and not has_place:
            return False
        if work.step.is_cached and work.turn is None:
            work.turn = self._turns.take(work.record.fingerprint)
            if work.turn is None:
                return self._wait_for_turn(work)
            known = find_output(
                self._database,
                self._blobs,
                work.record.fingerprint,
                holds=self._dependencies.hold,
                shared_kinds=self._plan.shared_kinds,
            )
            if known is not None:
                work.record = msgspec.structs.replace(work.record, beside=known.beside)
                self._add(work, known.output, "cached")
                return True
            work.is_to_be_computed = True
            if not has_place:
                work.end_turn()
                return False
        self._submit(work)
        return True

    def _wait_for_turn(self, work: StepWork) -> bool:
        if not work.is_told_to_wait:
            self._telling.note(work.step.name, "waiting")
        work.is_told_to_wait = True
        return False

    def _submit(self, work: StepWork) -> None:
        # what a step is built on is written down when it begins: it may bring us all down
        if any(ended.record.state == "computed" for _, ended in self._ended):
            self._record()
        step, run = work.step, self._recorder.run.number
        work.n_attempts += 1
        self._working.append(work)
        work.future = self._executor.submit(
            compute,
            self._tasks.of(step, run=run, log=self._logs.path(step.name)),
            resources=step.resources,
            timeout_s=step.patience.timeout_s,
        )

    def _settle_what_ended(self) -> None:
        futures: list[Future[Any]] = [
            work.future for work in self._working if work.future is not None
        ]
        futures += self._telling.settling
        if futures:
            patience = _TURN_S if self._ready else _LOOK_S
            wait(futures, timeout=patience, return_when=FIRST_COMPLETED)
        elif self._ready and self._failure is None:
            time.sleep(_TURN_S)
        self._logs.follow([work.step.name for work in self._working])
        self._collect()
        for work in list(self._working):
            if work.future is not None and work.future.done():
                self._working.remove(work)
                self._settle(work)

    @in_one_piece()
    def _collect(self) -> None:
        """Let what the steps log be seen while they are computed."""
        collect_logged(self._database, self._plan.state, self._recorder.run.number)

    def _settle(self, work: StepWork) -> None:
        computed = self._result(work)
        keep_lines(self._plan.state, self._recorder.run.number, computed.lines)
        self._used.append((computed.usage, work.step))
        work.record = msgspec.structs.replace(
            work.record,
            seconds=computed.usage.seconds,
            cpu_seconds=computed.usage.cpu_seconds,
            peak_memory=computed.usage.peak_memory,
            worker=computed.worker,
            attempts=work.n_attempts,
        )
        if computed.output is not None:
            beyond = self._dependencies.without_what_is_read(computed.imported)
            self._keep(work, computed.output, computed.seen.and_also(beyond))
        elif computed.failure is not None:
            self._fail_or_retry(work, computed.failure)

    def _result(self, work: StepWork) -> Computed:
        assert work.future is not None
        try:
            return work.future.result()
        except (TimedOut, WorkerLost, CancelledError) as error:
            what = error.message if isinstance(error, Cd4mlError) else "it was cancelled"
            message = f"{work.step.where}: step {work.step.name!r} failed: {what}"
            hint = error.hint if isinstance(error, Cd4mlError) else ""
            usage = Usage(seconds=work.seconds)
            return Computed(None, Failure(message, hint), usage, "")

    def _keep(self, work: StepWork, output: Output, seen: Seen) -> None:
        """Keep what was computed, under its fingerprint only if it is of what that says."""
        if edited := self._dependencies.edited(work.step, seen):
            msg = f"{edited} was edited while the run went on"
            self._fail(work, Failure(msg, "run again: steps that were finished are kept"))
            return
        record = self._outputs.with_written_files(work.record, work.step)
        is_extended = record != work.record
        if seen.moved or (not is_extended and self._dependencies.moved(work.step, seen)):
            record = msgspec.structs.replace(record, fingerprint="")
        beside = self._dependencies.of(work.step, seen)
        work.record = msgspec.structs.replace(record, beside=beside)
        self._add(work, output, "computed")

    def _add(self, work: StepWork, output: Output, state: Literal["computed", "cached"]) -> None:
        """A step has its output: what waited for it may begin, and it will be recorded."""
        step = work.step
        try:
            metrics = self._metrics_of(step, output)
        except PipelineError as error:
            self._fail(work, Failure(error.message, error.hint))
            return
        self._outputs.add(step, output, work.record.beside)
        record = msgspec.structs.replace(
            work.record,
            state=state,
            kind=output.kind,
            output=output.address,
            log=self._logs.keep(step.name) if state == "computed" else "",
        )
        inputs = self._outputs.inputs(step)
        self._ended.append((work, EndedStep(record, step, inputs, metrics)))
        self._telling.note(step.name, state, record.seconds or work.seconds)
        for name in step.needs:
            self._takers[name].discard(step.name)
        takers = self._takers.get(step.name, set())
        for name in takers:
            self._lacking[name].discard(step.name)
        self._make_ready(takers)

    def _metrics_of(self, step: StepDeclaration, output: Output) -> dict[str, float]:
        if output.kind != "metrics":
            return {}
        metrics: dict[str, float] = json.loads(self._blobs.get(output.address))
        for name in metrics:
            if self._metrics.setdefault(name, step.name) != step.name:
                msg = f"the steps {self._metrics[name]!r} and {step.name!r} both give {name!r}"
                raise PipelineError(msg, hint="a run has one value per metric: rename one of them")
        return metrics

    def _fail_or_retry(self, work: StepWork, failure: Failure) -> None:
        patience = work.step.patience
        if failure.may_pass and work.n_attempts <= patience.retries and self._failure is None:
            work.pause()
            self._ready.append(work)
        else:
            self._fail(work, failure)

    def _fail(self, work: StepWork, failure: Failure) -> None:
        kept = f"{self._recorder.run.ref} keeps the traceback; finished steps will not run again"
        hint = kept if failure.traceback else failure.hint
        record = msgspec.structs.replace(
            work.record,
            state="failed",
            reason=printable(failure.traceback or failure.message),
            log=self._logs.keep(work.step.name),
        )
        self._ended.append((work, EndedStep(record, work.step, {}, {})))
        self._telling.note(work.step.name, "failed", record.seconds or work.seconds)
        self._failure = self._failure or PipelineError(failure.message, hint=hint)

    @in_one_piece()
    def _record(self) -> None:
        """Write down what has ended, in one transaction."""
        if not self._ended:
            return
        self._collect()
        self._recorder.steps((ended for _, ended in self._ended), is_settled=not self._is_later)
        ended, self._ended = self._ended, []
        for work, each in ended:
            self._share(each)
            work.end_turn()
            if self._is_later:
                self._telling.recorded(each.record.output)
        self._tell()

    def _record_all(self) -> None:
        """Write down what has ended, and see it on disk."""
        self._record()
        self._telling.tell_all()

    def _share(self, ended: EndedStep) -> None:
        """Offer what was computed to others who have the same blobs."""
        record = ended.record
        if (
            record.state == "computed"
            and record.fingerprint
            and ended.step.is_cached
            and self._plan.is_shared
        ):
            output = msgspec.convert((record.kind, record.output), Output)
            share(self._blobs, record.fingerprint, output, record.beside)

    def _tell(self) -> None:
        """Tell what may be told; never while steps have ended that are not recorded.

        Who is told may look at what is recorded, or start a run that wants the same steps.
        """
        if not self._ended:
            self._telling.tell()

    def _cancel(self) -> None:
        """End what is being computed, and write down what has ended before."""
        for work in self._working:
            if work.future is not None:
                work.future.cancel()
        wait([work.future for work in self._working if work.future is not None])
        for work in self._working:
            self._fail(work, Failure("cancelled"))
        self._working.clear()
        self._record_all()
