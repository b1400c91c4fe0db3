"""What a worker counts."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from cd4ml.models.violations import Violation
from cd4ml.records.plan import Arm, Role
from cd4ml.serving.answers import Answers, Group, Version
from cd4ml.serving.board import Board, Slot
from cd4ml.serving.exposition import BOUNDS, ENDS, LATENCY, sample, text

Label = tuple[str, int, Role]


class Series:
    """The numbers of one metric, by the values of its labels."""

    def __init__(self, slot: Slot, metric: str, labels: tuple[str, ...]) -> None:
        self._slot = slot
        self._cells = slot.cells
        self._metric = metric
        self._labels = labels
        self._at: dict[Any, int] = {}

    def add(self, key: Any, n: float = 1) -> None:
        """Count; the key is the value of the label, or the tuple of them."""
        at = self._at.get(key)
        if at is None:
            at = self._cell(key)
        self._cells[at] += n

    @property
    def numbers(self) -> dict[Any, float]:
        """Those that this process has written, by key."""
        return {key: self._cells[at] for key, at in list(self._at.items())}

    def _cell(self, key: Any) -> int:
        if key not in self._at:
            values = key if isinstance(key, tuple) else (key,)
            pairs = zip(self._labels, values, strict=True)
            self._at[key] = self._slot.cell(sample(self._metric, dict(pairs)))
        return self._at[key]


class Latency:
    """How long requests took, by version: each in the first bucket that is long enough."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._cells = slot.cells
        self._at: dict[tuple[str, int], tuple[int, list[int]]] = {}

    def add(self, model: str, number: int, seconds: float) -> None:
        """Count a request."""
        found = self._at.get((model, number))
        if found is None:
            found = self._at[model, number] = self._named(model, number)
        total, buckets = found
        self._cells[total] += seconds
        self._cells[buckets[bisect_left(BOUNDS, seconds)]] += 1

    def _named(self, model: str, number: int) -> tuple[int, list[int]]:
        labels = {"model": model, "version": number}
        cell = self._slot.cell
        ends = [cell(sample(f"{LATENCY}_bucket", labels | {"le": end})) for end in ENDS]
        return cell(sample(f"{LATENCY}_sum", labels)), ends


class _Alone:
    """A metric without labels as an attribute of `Counts`."""

    def __init__(self, metric: str) -> None:
        self._metric = metric

    def __get__(self, counts: Counts, _: type | None = None) -> int:
        return int(counts.slot.cells[counts.slot.cell(self._metric)])

    def __set__(self, counts: Counts, number: float) -> None:
        counts.set(self._metric, number)


class Counts:
    """A worker's numbers; one thread writes each. without a board, they are its alone."""

    dropped = _Alone("cd4ml_shadow_copies_dropped_total")  # copies that no shadow answered
    missing = _Alone("cd4ml_capture_missing_total")  # answers given and not recorded
    sampled_out = _Alone("cd4ml_capture_sampled_out_total")  # answers not of the sample

    def __init__(self, board: Board | None = None, number: int = 0) -> None:
        self.board = board or Board(1)
        self.slot = slot = self.board.slots[number]
        of_version = ("model", "version", "role")
        self.requests = Series(slot, "cd4ml_requests_total", ("status",))
        self.latency = Latency(slot)
        self.answered = Series(slot, "cd4ml_predictions_total", of_version)
        self.failed = Series(slot, "cd4ml_failures_total", of_version)
        self.violations = Series(slot, "cd4ml_violations_total", ("field",))
        self.unknown = Series(slot, "cd4ml_unknown_categories_total", ("field",))
        self.warned = Series(slot, "cd4ml_contract_warnings_total", ("field", "kind"))
        self.cpu = Series(slot, "cd4ml_cpu_seconds_total", of_version)
        self.cost = Series(slot, "cd4ml_cost_total", (*of_version, "currency"))
        self.work: dict[Label, float] = defaultdict(float)  # CPU seconds in models, about

    def add(self, answered: Group) -> None:
        """Count what one version answered, and where it failed."""
        n_failed = answered.scores.count(None)
        label = label_of(answered.version.arm)
        if n_failed:
            self.failed.add(label, n_failed)
        if n_answered := len(answered.scores) - n_failed:
            self.answered.add(label, n_answered)

    def add_failure(self, arm: Arm) -> None:
        """Count a request that was not answered because its version failed."""
        self.failed.add(label_of(arm))

    def add_violations(self, violations: Iterable[Violation], fields: Collection[str]) -> None:
        """Count violations by field; all that name none of these fields together."""
        for violation in violations:
            self.violations.add(violation.field if violation.field in fields else "")

    def add_request(self, answered: Answers, seconds: float) -> None:
        """Count a request's answers, and how long it took for each version that gave one."""
        versions = answered.versions
        if isinstance(versions, Version):  # which failed on none
            arm = versions.arm
            self.answered.add(label_of(arm), len(answered.scores))
            self.latency.add(arm.model, arm.number, seconds)
            return
        for group in answered.groups():
            self.add(group)
        for arm in {id(each.arm): each.arm for each in versions}.values():
            self.latency.add(arm.model, arm.number, seconds)

    def set(self, metric: str, number: float) -> None:
        """Say what a metric without labels is now."""
        self.slot.cells[self.slot.cell(metric)] = number

    def increase(self, metric: str, n: float) -> None:
        """Count on a metric without labels."""
        self.slot.cells[self.slot.cell(metric)] += n

    def text(self) -> str:
        """What all workers have counted, in Prometheus' text format."""
        return text(self.board.slots)

    @property
    def n_answered(self) -> int:
        """Predictions that callers were given."""
        answered = (
            n
            for name, n in self.slot.read().items()
            if name.startswith("cd4ml_predictions_total{") and 'role="shadow"' not in name
        )
        return int(sum(answered))


def label_of(arm: Arm) -> Label:
    """What a version's numbers are found by."""
    return arm.model, arm.number, arm.role
