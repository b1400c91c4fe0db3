"""What happens to an answer before it leaves: it is recorded, or policy says what then."""

from __future__ import annotations

import logging
import os
import threading
import time
import zlib
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path

import msgspec

from cd4ml.errors import Unavailable
from cd4ml.records.settings import CaptureSettings
from cd4ml.serving.answers import Answers, Group, Score, Version
from cd4ml.serving.lag import Place
from cd4ml.serving.lines import Asked, line_of_all, lines_of
from cd4ml.serving.metrics import Counts
from cd4ml.serving.request import RequestRefused
from cd4ml.serving.shipping import Shipper
from cd4ml.serving.trouble import Trouble
from cd4ml.store.clock import Clock
from cd4ml.store.masking import Mask
from cd4ml.store.seen import beside
from cd4ml.store.segments import PartlyWritten, Segment

_log = logging.getLogger(__name__)

_CHANCES = 2**32
_LOOK_S = 1.0  # between two looks whether what is written to can still be found, at most
_REMEDY = "make room on the server's disk, or wait until what records answers is back"
_NOTHING = Mask()
_ALL_THERE: tuple[bytes, ...] = ()


class Given(msgspec.Struct, frozen=True, gc=False):
    """A request's rows, and the answers to each that are about to leave."""

    asked: Asked
    answers: Answers


Recorded = Sequence[bytes] | RequestRefused  # lines still to be shipped, if it may be answered


class Capture:
    """Records a worker's answers by the project's policy.

    `record_all` and `record_shadows` belong to one thread each. What they appended is synced by a
    thread of its own, `sync_every_ms` after it at the latest, and as long as the disk takes. At the
    same times, and once a second at least, this thread looks whether the files are still there.
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
        """Begin to look after what is recorded, and to sync it if not each answer is by itself."""
        self._syncing.start()

    def stop(self) -> None:
        """Sync what was recorded, and end; call it when nothing is recorded any more."""
        self._is_ending.set()
        if self._syncing.is_alive():
            self._syncing.join()
        for segment in (self._segment, self._shadow):
            segment.close()
        self._sync()
        for segment in (self._segment, self._shadow):
            if not segment.bring_back():
                words = "%d bytes of answers are lost: their files were removed, and cannot be made"
                _log.error(words, segment.n_nameless_bytes)

    def record_all(self, requests: Sequence[Given]) -> list[Recorded]:
        """Record the answers of several requests with one write.

        Returns:
            For each request its lines that are still to be shipped, or why it is refused.
        """
        lines = list(map(self._lines, requests))
        if self._shipper is not None:
            return list(lines)
        try:
            self._refuse_late()
            self._segment.append_all(list(chain.from_iterable(lines)))
            if not self._settings.sync_every_ms:
                self._segment.sync()
                self._refuse_lost()
        except OSError as error:
            return self._some_missing(error, requests, lines)
        self.trouble.is_over()
        return [_ALL_THERE] * len(requests)

    def _lines(self, given: Given) -> list[bytes]:
        asked, answers = given.asked, given.answers
        if self._settings.sample >= 1:
            groups = answers.groups()
            if len(groups) == 1:
                return lines_of(asked, groups[0], self._mask)
            return [line for each in groups for line in lines_of(asked, each, self._mask)]
        sampled = [self._sampled(asked, each) for each in answers.groups()]
        self._counts.sampled_out += answers.n - sum(len(each.scores) for each in sampled)
        return [line for each in sampled for line in lines_of(asked, each, self._mask)]

    def _some_missing(
        self, error: OSError, requests: Sequence[Given], lines: Sequence[Sequence[bytes]]
    ) -> list[Recorded]:
        """What becomes of each request: those whose lines all came before the end are there."""
        n_there = error.n_lines if isinstance(error, PartlyWritten) else 0
        reason = _reason(error)
        recorded: list[Recorded] = []
        end = 0
        for given, its in zip(requests, lines, strict=True):
            end += len(its)
            if end <= n_there or not its:
                recorded.append(_ALL_THERE)
                continue
            # all of the request's rows: which lines came first is not worth a promise
            recorded.append(self._missing(given, reason))
        return recorded

    async def ship(self, lines: Sequence[bytes], given: Given) -> None:
        """Send a request's lines that `record_all` returned, where policy is to send first.

        Raises:
            RequestRefused: If they may not have arrived, and policy is to refuse.
        """
        if self._shipper is None or not lines:
            return
        try:
            await self._shipper.ship(list(lines))
        except Unavailable as error:
            recorded = self._missing(given, error.message, told=error.discreet)
            if isinstance(recorded, RequestRefused):
                raise recorded from None
        else:
            self.trouble.is_over()

    @property
    def is_shipping(self) -> bool:
        """Whether answers have to be sent before they leave."""
        return self._shipper is not None

    def record_shadows(
        self, copies: Sequence[Asked], version: Version, answered: Sequence[Score]
    ) -> None:
        """Record what a shadow answered to the rows of some requests, in their order.

        Raises:
            OSError: If it cannot be recorded.
        """
        if self._settings.sample >= 1:
            self._shadow.append_all(line_of_all(copies, version, answered, self._mask))
            return
        left = iter(answered)
        groups = [Group(version, None, list(islice(left, len(copy.ids)))) for copy in copies]
        for copy, group in zip(copies, groups, strict=True):
            self._shadow.append_all(lines_of(copy, self._sampled(copy, group), self._mask))

    def written(self) -> Place:
        """How far this worker's segment is written."""
        return Place(*self._segment.position)

    @property
    def unsynced_s(self) -> float:
        """How old the oldest answer is that a power cut would take, in seconds."""
        return max(self._segment.unsynced_s, self._shadow.unsynced_s)

    def _missing(self, given: Given, reason: str, *, told: str = "") -> Recorded:
        """Refuse, or count, what could not be recorded; `told` is the reason for callers."""
        self._happens(reason, n=len(given.asked.ids))
        if self._is_refusing:
            msg = f"the answer could not be recorded, so it is not given: {told or reason}"
            return RequestRefused(503, msg, hint=_REMEDY)
        self._counts.missing += given.answers.n
        return _ALL_THERE

    @property
    def _is_refusing(self) -> bool:
        return self._settings.when_unwritable == "refuse"

    def _happens(self, reason: str, *, n: int = 0) -> None:
        self.trouble.happens(reason, n=n, is_refused=self._is_refusing)

    def _refuse_late(self) -> None:
        late_s = self._segment.unsynced_s
        if late_s > self._late_s and self._is_refusing:
            msg = f"the disk has not taken anything for {late_s:.0f} s"
            raise OSError(msg)

    def _refuse_lost(self) -> None:
        if lost := self._segment.look():
            raise OSError(lost)

    def _sampled(self, asked: Asked, group: Group) -> Group:
        if self._settings.sample >= 1:
            return group
        limit, ids = self._settings.sample * _CHANCES, asked.ids
        numbers = range(len(ids)) if group.rows is None else group.rows
        kept = [
            (i, score)
            for i, score in zip(numbers, group.scores, strict=True)
            if zlib.crc32(ids[i].encode()) < limit
        ]
        return Group(group.version, [i for i, _ in kept], [score for _, score in kept])

    def _opened(self, worker: str) -> Segment:
        return Segment(
            self._folder,
            worker,
            rotate_bytes=self._settings.rotate_mb * 2**20,
            rotate_after_s=self._settings.rotate_after_minutes * 60,
            is_synced=True,
            seen=beside(self._folder),
        )

    def _keep_synced(self) -> None:
        sync_s = self._settings.sync_every_ms / 1000
        synced_at = time.monotonic()
        while not self._is_ending.wait(min(sync_s or _LOOK_S, _LOOK_S)):
            self._look()
            if sync_s <= _LOOK_S or time.monotonic() - synced_at >= sync_s:
                self._sync()
                synced_at = time.monotonic()
            if self.unsynced_s > self._late_s:
                self._happens(f"the disk is {self.unsynced_s:.0f} s late")

    def _look(self) -> None:
        """Notice what is gone, bring back what was removed, and find out whether it is over."""
        for segment in (self._segment, self._shadow):
            if lost := segment.look():
                self._happens(lost)
            segment.bring_back()
        if self.trouble.is_there:
            self._try_out()

    def _try_out(self) -> None:
        # who says that it is not ready is not asked, and would never find out
        try:
            if self._shipper is not None:
                self._shipper.try_out()
            else:
                self._refuse_late()
                self._segment.try_out()
        except (OSError, Unavailable) as error:
            self._happens(_reason(error))
        else:
            self.trouble.is_over()

    def _sync(self) -> None:
        for segment in (self._segment, self._shadow):
            try:
                segment.sync()
            except OSError as error:
                self._happens(f"what was recorded cannot be synced: {error.strerror}")


def _reason(error: OSError | Unavailable) -> str:
    """Why, without paths."""
    if isinstance(error, Unavailable):
        return error.discreet or error.message
    return os.strerror(error.errno) if error.errno else str(error)
