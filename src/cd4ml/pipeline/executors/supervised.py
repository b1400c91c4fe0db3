"""One worker process, watched from outside: it can be asked, timed, weighed and ended."""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Any

from cd4ml.errors import Cd4mlError, TimedOut, WorkerLost
from cd4ml.pipeline.executors.footprint import memory_of_group
from cd4ml.pipeline.executors.worker import BEGUN, DISCONNECTED, Reply, receive, send
from cd4ml.records.resources import in_words

_LOOK_MS = 50  # between two looks at a process that is silent
_LOADING_S = 900.0  # for libraries to load, before the time of a call with a limit counts
_START = (
    "import sys; sys.path[:] = {path!r}; from cd4ml.pipeline.executors.worker import main;"
    " main({connection}, {life})"
)


class SupervisedProcess:
    """A spawned process that calls functions for us, one after the other.

    Spawned, never forked: a fork after Polars has started its threads hangs. Its standard
    input is empty; what it prints goes to our standard error, unless a call redirects it.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair()
        self._answers = select.poll()
        self._answers.register(self._channel, select.POLLIN)
        life, self._life = os.pipe()
        code = _START.format(path=sys.path, connection=theirs.fileno(), life=life)
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-c", code],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            pass_fds=(theirs.fileno(), life),
            start_new_session=True,
        )
        theirs.close()
        os.close(life)

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def call(self, request: bytes, *, timeout_s: float, memory: int) -> Any:
        """Have a call made, and wait for what it gives.

        Args:
            request: The pickled `Request`.
            timeout_s: How long it may take, once it has begun; 0 for ever.
            memory: Bytes that the process and those it has started may take; 0 for all.

        Raises:
            TimedOut: If it took too long.
            WorkerLost: If the process ended, or took too much.
            BaseException: What the call itself raised.
        """
        with suppress(OSError):  # its end is found below
            send(self._channel, request)
        self._watch(_LOADING_S if timeout_s else 0.0, memory)
        data = receive(self._channel)
        while data == BEGUN:
            self._watch(timeout_s, memory)
            data = receive(self._channel)
        if data is None:
            raise self._lost()
        return _result(Reply(*pickle.loads(data)))  # noqa: S301 - from our own child

    def _watch(self, timeout_s: float, memory: int) -> None:
        """Wait until it says something, or has ended."""
        began = monotonic()
        while not self._answers.poll(_LOOK_MS):
            if not self.is_alive:
                return
            if timeout_s and monotonic() - began > timeout_s:
                self.end()
                raise TimedOut(f"it took more than {timeout_s:g} s, and was ended")
            self._refuse_more_than(memory)

    def end(self) -> None:
        """End it at once, with all the processes that it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End it, and let go of what connects us."""
        self.end()
        self._channel.close()
        with suppress(OSError):
            os.close(self._life)

    def _refuse_more_than(self, memory: int) -> None:
        taken = memory_of_group(self._process.pid, memory) if memory else 0
        if taken > memory:
            self.end()
            msg = f"it took {in_words(taken)} of memory, more than {in_words(memory)}"
            raise WorkerLost(msg, hint='let it have more: @step(memory="...")')

    def _lost(self) -> Cd4mlError:
        with suppress(subprocess.TimeoutExpired):  # it may have closed the connection, and live
            self._process.wait(_LOOK_MS / 1000)
        code = self._process.poll()
        self.end()
        if code in (None, DISCONNECTED):
            return WorkerLost("it closed files that are not its own")
        if code is None or code >= 0:
            return WorkerLost(f"it ended its process, with exit code {code}")
        name = signal.Signals(-code).name
        if -code == signal.SIGKILL:
            return WorkerLost(f"its process was killed ({name})", hint=_OUT_OF_MEMORY)
        return WorkerLost(f"its process died of {name}")


_OUT_OF_MEMORY = "the system does that when memory runs out"


def _result(reply: Reply) -> Any:
    if reply.is_done:
        return pickle.loads(reply.pickled)  # noqa: S301 - from our own child
    try:
        error = pickle.loads(reply.pickled)  # noqa: S301 - from our own child
    except Exception:  # of a class that only the child knows, or that cannot be pickled
        raise RuntimeError(reply.traceback.strip().splitlines()[-1]) from _There(reply.traceback)
    raise error from _There(reply.traceback)


class _There(Exception):
    """The traceback in the other process, shown as the cause of what was raised here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"
