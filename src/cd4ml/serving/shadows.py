"""What shadow versions would have answered, found out behind the requests' back."""

from __future__ import annotations

import logging
import threading
from itertools import groupby
from operator import attrgetter
from queue import Empty, SimpleQueue

from cd4ml.serving.answers import Group
from cd4ml.serving.capture import Capture
from cd4ml.serving.endpoint import scores
from cd4ml.serving.lines import Asked
from cd4ml.serving.metrics import Counts

_log = logging.getLogger(__name__)

_WAITING = 20_000  # rows that may wait for a shadow; more are not copied
_BATCH = 1000  # rows answered at once
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
        self._n_put = self._n_taken = 0  # rows; each is written by one thread
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="shadows", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def put(self, copy: Asked) -> None:
        """Queue answered rows; while too many wait already they are dropped, and counted."""
        if self._n_put - self._n_taken > _WAITING:
            self._counts.dropped += len(copy.rows)
            return
        self._n_put += len(copy.rows)
        self._waiting.put(copy)

    @property
    def n_waiting(self) -> int:
        """How many rows wait to be answered."""
        return self._n_put - self._n_taken

    def stop(self) -> None:
        """Answer what waits, and end."""
        self._waiting.put(None)
        self._is_ending.set()
        self._thread.join()

    def _work(self) -> None:
        while (copy := self._waiting.get()) is not None:
            self._is_ending.wait(_GATHER_S)
            batch = [copy, *self._more(_BATCH - len(copy.rows))]
            n_rows = sum(len(each.rows) for each in batch)
            self._n_taken += n_rows
            try:
                self._answer(batch)
            except BaseException:  # the thread must outlive whatever happens
                _log.exception("%d rows were not answered by the shadows", n_rows)

    def _more(self, n_rows: int) -> list[Asked]:
        batch: list[Asked] = []
        while n_rows > 0:
            try:
                copy = self._waiting.get_nowait()
            except Empty:
                break
            if copy is None:
                self._waiting.put(None)
                break
            batch.append(copy)
            n_rows -= len(copy.rows)
        return batch

    def _answer(self, batch: list[Asked]) -> None:
        for endpoint, group in groupby(batch, key=attrgetter("endpoint")):
            copies = list(group)
            rows = [row for copy in copies for row in copy.rows]
            for version in endpoint.shadows:
                answered = scores(version, rows)
                self._capture.record_shadows(copies, version, answered)
                self._counts.add(Group(version, None, answered))
