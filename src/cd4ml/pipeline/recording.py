"""What a run writes down: that it began, each step that ended, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from cd4ml.pipeline.alive import LifeSign, end_interrupted
from cd4ml.pipeline.graph import StepDeclaration
from cd4ml.pipeline.logged_steps import take_over
from cd4ml.records.lineage import Node
from cd4ml.records.point import Point
from cd4ml.records.run import Run, StepRun
from cd4ml.store import columns, ledger, lineage, rows
from cd4ml.store.tracking.experiments import ensure_experiment
from cd4ml.store.tracking.logged import log_metrics
from cd4ml.store.tracking.times import milliseconds

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

    from cd4ml.store.clock import Clock
    from cd4ml.store.database import Database


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


class EndedStep(NamedTuple):
    """A step that was computed, taken from the cache, or failed, with what came of it."""

    record: StepRun
    step: StepDeclaration
    inputs: dict[str, str]  # name -> content address
    metrics: dict[str, float]


class Recorder:
    """Writes one run down, in short transactions."""

    def __init__(
        self, run: Run, *, state: Path, database: Database, clock: Clock, hooks: Hooks
    ) -> None:
        self.run = run
        self._state = state
        self._database = database
        self._clock = clock
        self._hooks = hooks

    def begin(self) -> LifeSign:
        """Give the run its number; what it returns says that its process lives."""
        with self._database.write() as connection:
            at = self._clock.now()
            end_interrupted(connection, self._state, at=at)
            ensure_experiment(connection, self.run.experiment, at=at, actor=self.run.created_by)
            number = rows.next_number(connection, Run)
            self.run = msgspec.structs.replace(self.run, number=number)
            rows.insert(connection, self.run)
            ref = self.run.ref
            lineage.note(connection, address=ref, kind="run", name=ref, at=at)
            for digest in self.run.datasets.values():
                lineage.link(connection, ref, digest, "input")
            self._hooks.begins(connection, self.run)
            return LifeSign(self._state, number)

    def began(self) -> None:
        """Tell who wants to know that it has begun."""
        self._hooks.began(self.run)

    def steps(self, ended: Iterable[EndedStep], *, is_settled: bool = True) -> None:
        """Steps that have ended, all in one transaction; on disk unless `Database.settle` sees to it."""
        with self._database.write(is_settled=is_settled) as connection:
            at = self._clock.now()
            for each in ended:
                self._step(connection, each, at)

    def end(
        self,
        state: Literal["finished", "failed"],
        *,
        outputs: dict[str, str],
        cost: float | None,
        reason: str = "",
    ) -> Run:
        """How the run ended."""
        with self._database.write() as connection:
            at = self._clock.now()
            # as it is now: others may have said something about it meanwhile
            run = rows.get(connection, Run, self.run.number, lock=True)
            self.run = msgspec.structs.replace(
                run,
                state=state,
                reason=reason,
                outputs=outputs,
                cost=cost,
                finished_at=max(at, self.run.started_at),  # a clock may be put back
            )
            rows.replace(connection, self.run)
            ledger.append(
                connection,
                at=at,
                actor=self.run.created_by,
                action=f"run.{state}",
                subject=self.run.ref,
                reason=reason,
                details={"code": self.run.code, "datasets": self.run.refs, "outputs": outputs},
            )
        self._hooks.ended(self.run)
        return self.run

    def _step(self, connection: sa.Connection, ended: EndedStep, at: datetime) -> None:
        record = ended.record
        rows.insert(connection, record)
        if record.state == "failed":
            return
        points = [Point(name, value, 0, milliseconds(at)) for name, value in ended.metrics.items()]
        log_metrics(connection, record.run, points)
        columns.declare(connection, record.output, ended.step.columns, ended.inputs)
        if record.state == "cached":
            take_over(connection, record)
            if rows.count(connection, Node, address=record.output):
                return  # else it was computed for another database
        name = f"{record.step} of {self.run.ref}"
        lineage.note(connection, address=record.output, kind="step output", name=name, at=at)
        lineage.link(connection, record.output, self.run.ref, "output")
        for address in set(ended.inputs.values()) - {record.output}:
            lineage.link(connection, record.output, address, "input")
