"""What happens to an answer before it leaves: it is recorded, or policy says what then."""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cd4ml.errors import Unavailable
from cd4ml.records.plan import Role
from cd4ml.records.settings import CaptureSettings
from cd4ml.serving.endpoint import Answer, Endpoint
from cd4ml.serving.lag import Place
from cd4ml.serving.metrics import Counts
from cd4ml.serving.request import RequestRefused, Row
from cd4ml.serving.shipping import Shipper
from cd4ml.serving.trouble import Trouble
from cd4ml.store.clock import Clock
from cd4ml.store.lines import seal
from cd4ml.store.masking import Mask
from cd4ml.store.segments import Segment

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CHANCES = 2**32
_REMEDY = "make room on the server's disk, or wait until what records answers is back"
_NOTHING = Mask()


class Line(msgspec.Struct):
    """One line of a segment: a row of the prediction log, `answered_at` in microseconds."""

    prediction_id: str
    answered_at: int
    environment: str
    plan: int
    role: Role
    model: str
    number: int
    artifact: str
    score: float | None
    inputs: Any
    key: str


_encode = msgspec.json.Encoder().encode


class Asked(NamedTuple):
    """One row of a request: its id, when it was answered and under what, and the caller's key."""

    endpoint: Endpoint
    prediction_id: str
    at: datetime
    row: Row
    key: str


def line(asked: Asked, answer: Answer, mask: Mask = _NOTHING) -> bytes:
    """The segment line of one version's answer."""
    plan, arm = asked.endpoint.plan, answer.version.arm
    one = Line(
        asked.prediction_id,
        (asked.at - _EPOCH) // _MICROSECOND,
        plan.environment,
        plan.number,
        arm.role,
        arm.model,
        arm.number,
        arm.artifact,
        answer.score,
        mask.inputs(asked.row),
        mask.key(asked.key),
    )
    return seal(_encode(one))


class Capture:
    """Records a worker's answers by the project's policy.

    `record` and `record_shadow` belong to one thread each. What they appended is synced by a
    thread of its own, `sync_every_ms` after it at the latest, and as long as the disk takes.
    """

    def __init__(
        self,
        folder: Path,
        worker: str,
        counts: Counts,
        *,
        clock: Clock,
        settings: CaptureSettings | None = None,
        mask: Mask = _NOTHING,
        shipper: Shipper | None = None,
    ) -> None:
        self._shipper = shipper
        self._waiting: list[bytes] = []
        self._settings = settings or CaptureSettings()
        self._mask = mask
        self._counts = counts
        self._folder = folder
        self.trouble = Trouble(clock)
        self._segment = self._opened(worker)
        self._shadow = self._opened(f"{worker}-shadow")
        self._late_s = self._settings.sync_every_ms / 1000 + self._settings.slow_after_s
        self._is_ending = threading.Event()
        self._syncing = threading.Thread(target=self._keep_synced, name="sync", daemon=True)

    def start(self) -> None:
        """Begin to sync, if not each answer is synced by itself."""
        if self._settings.sync_every_ms:
            self._syncing.start()

    def stop(self) -> None:
        """Sync what was recorded, and end; call it when nothing is recorded any more."""
        self._is_ending.set()
        if self._syncing.is_alive():
            self._syncing.join()
        for segment in (self._segment, self._shadow):
            segment.close()
        self._sync()

    def record(self, asked: Sequence[Asked], answered: Sequence[Sequence[Answer]]) -> None:
        """Record answers that are about to leave, each row with the answers to it.

        Raises:
            RequestRefused: If they cannot be recorded, and policy is to refuse.
        """
        try:
            self._refuse_late()
            for one, answers in zip(asked, answered, strict=True):
                if self._is_sampled(one):
                    for answer in answers:
                        self._append(line(one, answer, self._mask))
                else:
                    self._counts.sampled_out += len(answers)
            if not self._settings.sync_every_ms:
                self._segment.sync()
        except OSError as error:
            self._missing(error, asked, answered)
        else:
            self.trouble.is_over()

    def _append(self, data: bytes) -> None:
        if self._shipper is None:
            self._segment.append(data)
        else:
            self._waiting.append(data)

    async def ship(self) -> None:
        """Send what `record` was given last, where policy is to send before answering.

        Raises:
            RequestRefused: If it may not have arrived, and policy is to refuse.
        """
        if self._shipper is None or not self._waiting:
            return
        lines, self._waiting = self._waiting, []
        try:
            await self._shipper.ship(lines)
        except Unavailable as error:
            self._not_recorded(str(error), n_rows=len(lines), n_answers=len(lines))
        else:
            self.trouble.is_over()

    def record_shadow(self, asked: Asked, answer: Answer) -> None:
        """Record what a shadow answered.

        Raises:
            OSError: If it cannot be recorded.
        """
        if self._is_sampled(asked):
            self._shadow.append(line(asked, answer, self._mask))

    def written(self) -> Place:
        """How far this worker's segment is written."""
        return Place(*self._segment.position)

    @property
    def unsynced_s(self) -> float:
        """How old the oldest answer is that a power cut would take, in seconds."""
        return max(self._segment.unsynced_s, self._shadow.unsynced_s)

    def _missing(
        self, error: OSError, asked: Sequence[Asked], answered: Sequence[Sequence[Answer]]
    ) -> None:
        reason = os.strerror(error.errno) if error.errno else str(error)  # no paths for callers
        # all of the request's rows: which lines came first is not worth a promise
        self._not_recorded(reason, n_rows=len(asked), n_answers=sum(map(len, answered)))

    def _not_recorded(self, reason: str, *, n_rows: int, n_answers: int) -> None:
        is_refused = self._settings.when_unwritable == "refuse"
        self.trouble.happens(reason, n=n_rows, is_refused=is_refused)
        if is_refused:
            msg = f"the answer could not be recorded, so it is not given: {reason}"
            raise RequestRefused(503, msg, hint=_REMEDY) from None
        self._counts.missing += n_answers

    def _refuse_late(self) -> None:
        if self._settings.when_unwritable == "refuse" and self._segment.unsynced_s > self._late_s:
            msg = f"the disk has not taken anything for {self._segment.unsynced_s:.0f} s"
            raise OSError(msg)

    def _is_sampled(self, asked: Asked) -> bool:
        share = self._settings.sample
        return share >= 1 or zlib.crc32(asked.prediction_id.encode()) < share * _CHANCES

    def _opened(self, worker: str) -> Segment:
        return Segment(
            self._folder,
            worker,
            rotate_bytes=self._settings.rotate_mb * 2**20,
            rotate_after_s=self._settings.rotate_after_minutes * 60,
            is_synced=True,
        )

    def _keep_synced(self) -> None:
        while not self._is_ending.wait(self._settings.sync_every_ms / 1000):
            self._sync()
            if self.unsynced_s > self._late_s:
                self.trouble.happens(f"the disk is {self.unsynced_s:.0f} s late")

    def _sync(self) -> None:
        for segment in (self._segment, self._shadow):
            try:
                segment.sync()
            except OSError as error:
                self.trouble.happens(f"what was recorded cannot be synced: {error.strerror}")
