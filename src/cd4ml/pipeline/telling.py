"""What a run tells of its steps: in the order in which it happened, and once it is on disk.

Bringing a small file to the disk takes longer than a small step. So the next steps are computed
meanwhile, and what has ended by the time the disk is ready goes there together.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.database import Database

StepState = Literal["running", "waiting", "computed", "cached", "failed"]
Progress = Callable[[str, StepState, float], None]  # step, state, seconds since it began

_LOOK_S = 0.1

_News = list[tuple[str, StepState, float]]


class Telling:
    """What is to be told, and what has to be on disk before.

    Args:
        database: Where the steps are recorded.
        blobs: Where their outputs are.
        progress: Is told, by the thread that calls `tell`.
    """

    def __init__(self, database: Database, blobs: Blobs, progress: Progress) -> None:
        self._database = database
        self._blobs = blobs
        self._progress = progress
        self._news: _News = []
        self._unsettled: list[str] = []  # addresses of outputs
        self._settling: Future[None] | None = None
        self._waiting: _News = []  # for what is being settled
        self._disk = ThreadPoolExecutor(1, "cd4ml-disk")  # starts its thread when it is needed

    def note(self, step: str, state: StepState, seconds: float = 0.0) -> None:
        """Something happened; it is told when what happened before is on disk."""
        self._news.append((step, state, seconds))

    def recorded(self, address: str) -> None:
        """A step is recorded, and it and its output are perhaps not on disk yet; "" if it has none."""
        self._unsettled.append(address)

    @property
    def settling(self) -> list[Future[None]]:
        """What to wait for, if something is on its way to the disk: then more can be told."""
        return [] if self._settling is None else [self._settling]

    def tell(self) -> None:
        """Tell what may be told, and send the rest on its way to the disk.

        Raises:
            Unavailable: If the disk does not take it.
        """
        if self._settling is not None:
            if not self._settling.done():
                return
            settled, self._settling = self._settling, None
            settled.result()
            self._say(self._waiting)
        if self._unsettled:
            self._settling = self._disk.submit(self._settle, self._unsettled)
            self._waiting, self._unsettled, self._news = self._news, [], []
        else:
            news, self._news = self._news, []
            self._say(news)

    def tell_all(self) -> None:
        """Wait for the disk, and tell everything.

        Raises:
            Unavailable: If the disk does not take it.
        """
        while self._unsettled or self._news or self._settling is not None:
            # not without an end: once Polars is loaded that is not interrupted
            wait(self.settling, timeout=_LOOK_S)
            self.tell()

    def end(self) -> None:
        """Nothing more will be told."""
        self._disk.shutdown()

    def _settle(self, addresses: list[str]) -> None:
        self._blobs.settle(filter(None, addresses))
        self._database.settle()

    def _say(self, news: _News) -> None:
        for each in news:
            self._progress(*each)
