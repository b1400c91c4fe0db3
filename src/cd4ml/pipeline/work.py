"""A step on its way through a run: waiting for its turn, being computed, tried again."""

from __future__ import annotations

from concurrent.futures import Future
from time import monotonic, perf_counter

from cd4ml.pipeline.graph import StepDeclaration
from cd4ml.pipeline.task import Computed
from cd4ml.pipeline.turns import Turn
from cd4ml.records.hardware import Hardware
from cd4ml.records.resources import Resources
from cd4ml.records.run import StepRun


class StepWork:
    """One step of a run whose inputs are there."""

    def __init__(self, step: StepDeclaration, record: StepRun) -> None:
        self.step = step
        self.record = record
        self.turn: Turn | None = None
        self.future: Future[Computed] | None = None
        self.is_to_be_computed = not step.is_cached
        self.is_told_to_wait = False
        self.n_attempts = 0
        self._due = 0.0
        self._began = perf_counter()

    @property
    def seconds(self) -> float:
        """Since it began, waiting included."""
        return perf_counter() - self._began

    @property
    def is_due(self) -> bool:
        """Whether it may be begun, or begun again, by now."""
        return monotonic() >= self._due

    def pause(self) -> None:
        """Begin it again after the pause that its step asks for."""
        self.future = None
        self._due = monotonic() + self.step.patience.pause_s(self.n_attempts)

    def end_turn(self) -> None:
        """Let others that want the same step go on."""
        if self.turn is not None:
            self.turn.end()
            self.turn = None


def has_room(asked: Resources, working: list[Resources], hardware: Hardware, workers: int) -> bool:
    """Whether a step may be begun beside those that are being computed.

    Examples:
        >>> machine = Hardware(cpus=4, memory=8 * 10**9)
        >>> one = Resources(cpus=2, memory=5 * 10**9)
        >>> has_room(one, [], machine, 2), has_room(one, [one], machine, 2)
        (True, False)
        >>> has_room(Resources(cpus=2), [one], machine, 2)
        True
    """
    if len(working) >= workers:
        return False
    together = Resources(
        cpus=sum((each.cpus for each in working), asked.cpus),
        gpus=sum((each.gpus for each in working), asked.gpus),
        memory=sum((each.memory for each in working), asked.memory),
    )
    return not working or not hardware.lacks(together)
