"""What shadow versions would have answered, found out behind the requests' back."""

from __future__ import annotations

import logging
import threading
from itertools import groupby
from operator import attrgetter
from queue import Empty, SimpleQueue

from cd4ml.serving.capture import Asked, Capture
from cd4ml.serving.endpoint import Answer, scores
from cd4ml.serving.metrics import Counts

_log = logging.getLogger(__name__)

_WAITING = 20_000  # rows that may wait for a shadow; more are not copied
_BATCH = 256  # rows answered at once
_GATHER_S = 0.02  # a batch gathers for so long, so that it seldom takes turns with requests


class Shadows:
    """Answers copies of answered rows with the shadows of their plan, in a thread of its own.

    Their scores are used by nobody and are captured with role `shadow` under the id of the
    answer. A server that is killed loses the copies still waiting, one that is stopped
    answers them first.
    """

    def __init__(self, capture: Capture, counts: Counts) -> None:
        self._capture = capture
        self._counts = counts
        self._waiting: SimpleQueue[Asked | None] = SimpleQueue()
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="shadows", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def put(self, copies: list[Asked]) -> None:
        """Queue answered rows; while too many wait already they are dropped, and counted."""
        if self._waiting.qsize() > _WAITING:
            self._counts.dropped += len(copies)
            return
        for copy in copies:
            self._waiting.put(copy)

    @property
    def n_waiting(self) -> int:
        """How many rows wait to be answered."""
        return self._waiting.qsize()

    def stop(self) -> None:
        """Answer what waits, and end."""
        self._waiting.put(None)
        self._is_ending.set()
        self._thread.join()

    def _work(self) -> None:
        while (copy := self._waiting.get()) is not None:
            self._is_ending.wait(_GATHER_S)
            batch = [copy, *self._more()]
            try:
                self._answer(batch)
            except Exception:  # the thread must outlive a full disk
                _log.exception("%d rows were not answered by the shadows", len(batch))

    def _more(self) -> list[Asked]:
        batch: list[Asked] = []
        while len(batch) < _BATCH:
            try:
                copy = self._waiting.get_nowait()
            except Empty:
                break
            if copy is None:
                self._waiting.put(None)
                break
            batch.append(copy)
        return batch

    def _answer(self, batch: list[Asked]) -> None:
        for endpoint, group in groupby(batch, key=attrgetter("endpoint")):
            copies = list(group)
            rows = [copy.row for copy in copies]
            for version in endpoint.shadows:
                for copy, score in zip(copies, scores(version, rows), strict=True):
                    answer = Answer(version, score)
                    self._capture.record_shadow(copy, answer)
                    self._counts.add(answer)
