"""Logging from a process: on disk before a call returns, in the database a moment later."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cd4ml.errors import Cd4mlError, InvalidInput, Unavailable
from cd4ml.store.segments import Segment
from cd4ml.store.storable import problem
from cd4ml.store.tracking.journal import Data, Entry, File, encoded, in_json
from cd4ml.store.tracking.times import milliseconds

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.database import Database

FOLDER = "logged"  # of a project's state

_TOGETHER_S = 0.05  # what is logged within it is one transaction
_WATCH_S = 0.1  # between two looks at what other processes of the run have logged
_AGAIN_S = 1.0  # when the database was away


class Recorder:
    """What one process logs in one run.

    A call returns when its line is in the operating system's hands: it survives `kill -9` of the
    process. A thread takes the lines into the database, several in one transaction. Safe to
    share between threads; a process that is forked from this one writes a journal of its own,
    which this one collects when it next collects.

    Args:
        folder: Where journals are kept: `FOLDER` below the project's state.
        run: The number of a run that is there.
        now: Tells the time; one that goes back does not move the times that are logged.
        database: Opens the database; None if another process of the run collects.
        blobs: Opens the blobs, for files that are logged; None where none can be.
        by: The step of the pipeline whose process this is.
        watches: Whether other processes of the run log as well, and this one collects.
    """

    def __init__(
        self,
        folder: Path,
        run: int,
        *,
        now: Callable[[], datetime],
        database: Callable[[], Database] | None = None,
        blobs: Callable[[], Blobs] | None = None,
        by: str = "",
        watches: bool = False,
    ) -> None:
        self.run = run
        self._folder = folder
        self._now = now
        self._database = database
        self._blobs = blobs
        self._by = by
        self._watches = watches
        self._last_ms = 0
        self._steps: dict[str, int] = {}
        self._paths: set[str] = set()  # of files
        self._folders: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._segment: Segment | None = None
        self._is_new = threading.Event()
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None
        if self._watches:
            self._start()

    @property
    def prefix(self) -> str:
        """How the names of the run's journals begin."""
        return prefix_of(self.run)

    def metrics(
        self,
        values: Mapping[str, float | None],
        *,
        step: int | None = None,
        at: datetime | None = None,
    ) -> None:
        """Log values of metrics.

        Args:
            values: Name -> value.
            step: Of all of them; else, for each, the one after its last.
            at: When it was so, if not now.

        Raises:
            InvalidInput: If a name or step cannot be stored; nothing is logged then.
            OSError: If the disk is full; nothing is logged then.
        """
        for name in values:
            if found := problem(name) or ("" if name else "expected a name, got none"):
                raise InvalidInput(f"a metric cannot be named so: {found}")
        with self._mine():
            by_step: dict[int, dict[str, float | str | None]] = {}
            for name, value in values.items():
                place = self._steps.get(name, -1) + 1 if step is None else step
                by_step.setdefault(place, {})[name] = in_json(value)
                self._steps[name] = max(place, self._steps.get(name, place))
            for place, them in by_step.items():
                self._append(Entry(self.run, self._moment(at), self._by, place, them))

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Log parameters: plain values.

        Raises:
            InvalidInput: If one cannot be stored; nothing is logged then.
        """
        if "" in values:
            raise InvalidInput("a parameter cannot be named so: expected a name, got none")
        _refuse(dict(values), "parameters")
        with self._mine():
            self._append(Entry(self.run, self._moment(), self._by, parameters=dict(values)))

    def tags(self, values: Mapping[str, str]) -> None:
        """Tag the run.

        Raises:
            InvalidInput: If a text cannot be stored; nothing is logged then.
        """
        _refuse(dict(values), "tags")
        with self._mine():
            self._append(Entry(self.run, self._moment(), self._by, tags=dict(values)))

    def note(self, text: str) -> None:
        """Say something about the run, in place of what was said.

        Raises:
            InvalidInput: If the text cannot be stored.
        """
        _refuse(text, "note")
        with self._mine():
            self._append(Entry(self.run, self._moment(), self._by, note=text))

    def file(self, path: str, content: bytes | Path) -> None:
        """Log a file: its bytes are in the blob store when this returns.

        Args:
            path: Where in the run.
            content: The bytes, or the file that has them.

        Raises:
            InvalidInput: If the path is not one within the run, or both a file and a folder by
                now, or the file cannot be read.
        """
        if not path or any(part in ("", ".", "..") for part in path.split("/")):
            msg = f"expected a path within the run, got {path!r}"
            raise InvalidInput(msg, hint="as in figures/curve.json")
        _refuse(path, "path")
        self._refuse_file_and_folder(path)
        if self._blobs is None:
            raise Unavailable(f"no file can be logged here: run/{self.run} has no blob store")
        blobs = self._blobs()
        if isinstance(content, bytes):
            address, n_bytes = blobs.put(content), len(content)
        else:
            address, n_bytes = blobs.put_file(content), content.stat().st_size
        with self._mine():
            file = File(path, address, n_bytes)
            self._append(Entry(self.run, self._moment(), self._by, files=(file,)))

    def _refuse_file_and_folder(self, path: str) -> None:
        """Refuse a file where a folder is, or within a file: one of them could not be written."""
        above = {path[:end] for end, sign in enumerate(path) if sign == "/"}
        if path in self._folders or not above.isdisjoint(self._paths):
            both = path if path in self._folders else min(above & self._paths)
            msg = f"{both!r} would be a file and a folder of run/{self.run}"
            raise InvalidInput(msg, hint="log it under another name")
        self._paths.add(path)
        self._folders |= above

    def data(self, data: Data) -> None:
        """Log what data the run uses.

        Raises:
            InvalidInput: If something of it cannot be stored.
        """
        for name in data.__struct_fields__:
            _refuse(getattr(data, name), name)
        with self._mine():
            self._append(Entry(self.run, self._moment(), self._by, data=(data,)))

    def continue_from(self, steps: Mapping[str, int]) -> None:
        """The last steps of metrics that were logged before, by name."""
        self._steps.update(steps)

    def flush(self) -> None:
        """Return when all that the run has logged until now is in the database.

        Raises:
            Unavailable: If the database does not answer; nothing is lost, whoever comes next
                takes it in.
        """
        if self._database is not None:
            from cd4ml.store.tracking.collection import collect

            collect(self._database(), self._folder, prefix=self.prefix)

    def close(self) -> None:
        """Log no more; what was logged is in the database, or in the journal if it is away.

        Raises:
            Unavailable: If the database does not answer.
        """
        self._is_closed.set()
        self._is_new.set()
        if self._thread is not None and self._process == os.getpid():
            self._thread.join()
        with self._lock:
            if self._segment is not None:
                self._segment.close()
        self.flush()

    @contextmanager
    def _mine(self) -> Iterator[None]:
        """The journal of this process, by one thread at a time."""
        if self._process != os.getpid():  # forked: the lock may be held by nobody who lives here
            inherited = self._segment
            self._database = None  # connections are not shared with the process before
            self._begin()
            if inherited is not None:
                inherited.close()
        with self._lock:
            yield
        self._is_new.set()
        if self._thread is None and self._database is not None:
            self._start()

    def _append(self, entry: Entry) -> None:
        if self._is_closed.is_set():
            msg = f"run/{self.run} has ended, so nothing more can be logged in it"
            raise InvalidInput(msg, hint="cd4ml.run(resume='RUN') goes on with it")
        if self._segment is None:
            self._segment = Segment(self._folder, f"{self.prefix}{self._process}")
        self._segment.append(encoded(entry))

    def _moment(self, at: datetime | None = None) -> int:
        """The time to log: given, or now, which never goes back."""
        if at is not None:
            return milliseconds(at)
        self._last_ms = max(self._last_ms, milliseconds(self._now()))
        return self._last_ms

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._collect, name=f"log of run/{self.run}", daemon=True
                )
                self._thread.start()

    def _collect(self) -> None:
        while not self._is_closed.is_set():
            self._is_new.wait(_WATCH_S if self._watches else None)
            self._is_new.clear()
            self._is_closed.wait(_TOGETHER_S)
            try:
                self.flush()
            except Cd4mlError:  # the lines stay where they are
                self._is_new.set()
                self._is_closed.wait(_AGAIN_S)


def prefix_of(run: int) -> str:
    """How the names of a run's journals begin."""
    return f"run-{run}-"


def _refuse(value: Any, what: str) -> None:
    if found := problem(value, what):
        raise InvalidInput(f"this cannot be logged: {found}")


_HERE: ContextVar[Recorder | None] = ContextVar("_HERE", default=None)
_ANYWHERE: list[Recorder] = []  # for threads, which do not inherit the context


@contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """While it lasts, `current` is this one."""
    token = _HERE.set(recorder)
    _ANYWHERE.append(recorder)
    try:
        yield recorder
    finally:
        _ANYWHERE.remove(recorder)
        _HERE.reset(token)


def current() -> Recorder | None:
    """Where this code logs: the innermost run that was begun here, else in this process."""
    return _HERE.get() or (_ANYWHERE[-1] if _ANYWHERE else None)
