"""Keeps several workers answering at one address: starts them, replaces those that die, drains.

The supervisor binds the address once and answers nothing itself; a connection that no worker
has accepted yet waits in its socket, whoever dies. Workers are spawned, never forked: threads
and libraries of this process would be halfway in a fork.
"""

from __future__ import annotations

import logging
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cd4ml.errors import Unavailable
from cd4ml.records.settings import ServingSettings
from cd4ml.serving.board import Board, shared_memory
from cd4ml.serving.exposition import forget_present
from cd4ml.serving.listening import listen, url_of
from cd4ml.serving.posts import Orders, Said
from cd4ml.store.project import Project

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 10.0  # before another worker is started
_HEALTHY_S = 5.0  # that it was ready for: its death is the first one then
_GRACE_S = 15.0  # beyond what draining may take
_DEATHS = "cd4ml_worker_deaths_total"
_START = (
    "import sys; sys.path[:] = {path!r}; from cd4ml.serving.worker import main; main({orders!r})"
)


class Child:
    """One of the places, and the process that has it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.control: socket.socket | None = None
        self.ready_at: float | None = None
        self.due_at = 0.0  # when a process is to be started
        self.n_deaths = 0  # in a row
        self.said = b""

    @property
    def name(self) -> str:
        """As people count."""
        return f"worker {self.number + 1}"


def wait_s(n_deaths: int) -> float:
    """How long nobody is started after so many deaths in a row.

    Examples:
        >>> [wait_s(n) for n in (1, 2, 3, 20)]
        [0.1, 0.2, 0.4, 10.0]
    """
    return float(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(n_deaths - 1, 30)))


def supervise(
    project: Project,
    *,
    environment: str,
    n_workers: int,
    host: str = "127.0.0.1",
    port: int = 8401,
    needs_token: bool = False,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Answer for an environment by several processes until SIGTERM or SIGINT.

    Args:
        project: None of its stores is opened here.
        environment: Whose plan is followed.
        n_workers: How many processes.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        needs_token: Answer only who shows a token that may ask; else everybody.
        announce: Called with the URL when connections are taken.

    Raises:
        Unavailable: If the port cannot be had, no worker could begin to answer, or one did not
            end in time.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s supervisor: %(message)s")
    supervisor = Supervisor(
        project.folder,
        environment=environment,
        n_workers=n_workers,
        settings=project.settings.serving,
        host=host,
        port=port,
        needs_token=needs_token,
    )
    supervisor.run(announce)


class Supervisor:
    """Workers of one endpoint.

    Args:
        project: Its folder.
        environment: Whose plan is followed.
        n_workers: How many processes.
        settings: How they end.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        needs_token: Answer only who shows a token that may ask.

    Raises:
        Unavailable: If the port cannot be had.
    """

    def __init__(
        self,
        project: Path,
        *,
        environment: str,
        n_workers: int,
        settings: ServingSettings,
        host: str,
        port: int,
        needs_token: bool = False,
    ) -> None:
        self._listening = listen(host, port)
        self.url = url_of(self._listening, host)
        self._memory = shared_memory(n_workers + 1)
        self._board = Board(n_workers + 1, self._memory)
        self._deaths = self._board.slots[-1].cell(_DEATHS)
        self._children = [Child(number) for number in range(n_workers)]
        self._project = project
        self._environment = environment
        self._needs_token = needs_token
        self._patience_s = settings.notice_s + settings.drain_s + _GRACE_S
        self._was_ready = False
        self._n_signals = 0
        self._events = selectors.DefaultSelector()

    def run(self, announce: Callable[[str], None] | None = None) -> None:
        """Keep the workers answering until SIGTERM or SIGINT, then drain them.

        Raises:
            Unavailable: If no worker could begin to answer, or one did not end in time.
        """
        _log.info("%s listens on %s, %d workers", self._environment, self.url, len(self._children))
        with self._signals_noted():
            try:
                if announce is not None:
                    announce(self.url)
                while not self._n_signals:
                    self._start_due()
                    self._hear(self._until_due())
                self._drain()
            finally:
                self._end_all()

    # --- starting ---------------------------------------------------------------------------

    def _start_due(self) -> None:
        for child in self._children:
            if child.process is None and child.due_at <= time.monotonic():
                self._start(child)

    def _start(self, child: Child) -> None:
        child.control, theirs = socket.socketpair()
        descriptors = (self._listening.fileno(), theirs.fileno(), self._memory)
        orders = Orders(
            project=str(self._project),
            environment=self._environment,
            url=self.url,
            needs_token=self._needs_token,
            number=child.number,
            n_workers=len(self._children),
            listening=descriptors[0],
            control=descriptors[1],
            board=descriptors[2],
        )
        text = msgspec.json.encode(orders).decode()
        child.process = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path, orders=text)],
            stdin=subprocess.DEVNULL,
            pass_fds=descriptors,
            start_new_session=True,  # what a terminal's Ctrl-C ends is the supervisor's to say
        )
        theirs.close()
        child.ready_at, child.said = None, b""
        self._events.register(child.control, selectors.EVENT_READ, child)

    # --- hearing ----------------------------------------------------------------------------

    def _until_due(self) -> float | None:
        due = [child.due_at for child in self._children if child.process is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _hear(self, timeout_s: float | None) -> None:
        for key, _ in self._events.select(timeout_s):
            if isinstance(key.data, Child):
                self._hear_one(key.data)
            else:
                key.fileobj.recv(4096)  # type: ignore[union-attr] # a signal, which was counted

    def _hear_one(self, child: Child) -> None:
        assert child.control is not None
        try:
            heard = child.control.recv(65536)
        except ConnectionError:
            heard = b""
        if not heard:
            self._bury(child)
            return
        *lines, child.said = (child.said + heard).split(b"\n")
        for line in lines:
            self._note(child, msgspec.json.decode(line, type=Said))

    def _note(self, child: Child, said: Said) -> None:
        if said.is_ready:
            assert child.process is not None
            child.ready_at, self._was_ready = time.monotonic(), True
            _log.info("%s (process %d) accepts connections", child.name, child.process.pid)
            return
        _log.error("%s cannot answer: %s", child.name, said.error)
        if not self._was_ready:  # another try would say the same
            raise Unavailable(said.error, hint=said.hint)

    def _bury(self, child: Child) -> None:
        assert child.process is not None
        process = self._let_go(child)
        if self._n_signals:
            if process.returncode:
                _log.error("%s %s while it drained", child.name, _ending(process.returncode))
            return
        now = time.monotonic()
        was_healthy = child.ready_at is not None and now - child.ready_at >= _HEALTHY_S
        child.n_deaths = 1 if was_healthy else child.n_deaths + 1
        child.due_at = now + wait_s(child.n_deaths)
        self._board.slots[-1].cells[self._deaths] += 1
        words = (
            "%s of %s (process %d) %s, its death number %d in a row: another one starts in %.1f s"
        )
        _log.error(
            words,
            child.name,
            self._environment,
            process.pid,
            _ending(process.returncode),
            child.n_deaths,
            child.due_at - now,
        )

    def _let_go(self, child: Child) -> subprocess.Popen[bytes]:
        assert child.process is not None
        assert child.control is not None
        process, child.process = child.process, None
        self._events.unregister(child.control)
        child.control.close()
        process.wait()
        forget_present(self._board.slots[child.number])
        return process

    # --- ending -----------------------------------------------------------------------------

    def _drain(self) -> None:
        self._tell_all(signal.SIGTERM)
        _log.info("%s ends: requests in flight are finished", self._environment)
        self._listening.close()
        end, n_signals = time.monotonic() + self._patience_s, self._n_signals
        while any(child.process for child in self._children) and time.monotonic() < end:
            self._hear(end - time.monotonic())
            if self._n_signals > n_signals:  # told again: now
                n_signals = self._n_signals
                self._tell_all(signal.SIGINT)
        late = [child.name for child in self._children if child.process]
        if late:
            msg = f"{', '.join(late)} did not end within {self._patience_s:g} s, and was killed"
            raise Unavailable(msg, hint="what it answered is in its segment")

    def _tell_all(self, which: signal.Signals) -> None:
        for child in self._children:
            if child.process is not None:
                child.process.send_signal(which)

    def _end_all(self) -> None:
        self._n_signals += 1
        for child in self._children:
            if child.process is not None:
                child.process.kill()
                self._let_go(child)
        self._events.close()
        self._listening.close()

    @contextmanager
    def _signals_noted(self) -> Iterator[None]:
        """Count signals, and wake up for each."""
        theirs, ours = socket.socketpair()
        for each in (theirs, ours):
            each.setblocking(False)

        def note(which: int, frame: object) -> None:
            self._n_signals += 1

        handlers = {which: signal.signal(which, note) for which in _SIGNALS}
        before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        self._events.register(ours, selectors.EVENT_READ, None)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            for which, handler in handlers.items():
                signal.signal(which, handler)
            theirs.close()
            ours.close()


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with {code}"
