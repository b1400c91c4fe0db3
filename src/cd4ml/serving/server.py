"""One process that answers for one environment over HTTP."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Literal

import uvicorn

from cd4ml.serving.accepting import Acceptor, Connections
from cd4ml.serving.app import App
from cd4ml.serving.guests import Guests
from cd4ml.serving.listening import listen, url_of, waiting_at
from cd4ml.serving.metrics import Counts
from cd4ml.serving.patience import Patience
from cd4ml.serving.posts import Post
from cd4ml.serving.shipping import Shipper
from cd4ml.serving.tracing import Tracer
from cd4ml.serving.watcher import Watcher
from cd4ml.store.project import Project
from cd4ml.store.shipped import FOLDER

_log = logging.getLogger(__name__)

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SWITCH_S = 0.0005  # how long another thread may keep a request waiting for the interpreter
_MADE = 50_000  # objects, until garbage is looked for
_KEEP_ALIVE_S = 75  # longer than most callers keep an idle connection
_KNOWN = "0.54."  # uvicorn, whose insides the quick way builds on
_LAST_S = 1.0  # that a connection has for a last request, when nothing more is accepted
_LOOK_S = 0.02
_LOOKS = 20  # of uvicorn's ticks between two looks at the connections: two seconds


def serve(
    project: Project,
    *,
    environment: str,
    host: str = "127.0.0.1",
    port: int = 8401,
    needs_token: bool = False,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Answer for an environment until SIGTERM or SIGINT; requests in flight are finished.

    The database and the blob store may be away, now and later: the process then answers
    with the last plan that it, or an earlier one on this disk, has loaded.

    Args:
        project: Open; its stores are first used in the watcher's thread.
        environment: Whose plan is followed.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        needs_token: Answer only who shows a token that may ask; else everybody.
        announce: Called with the server's URL when connections are accepted.

    Raises:
        Unavailable: If the port cannot be had.
        KeyboardInterrupt: If SIGINT ended it.
    """
    pin_threads()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    listening = listen(host, port)
    url = url_of(listening, host)

    def tell() -> None:
        _log.info("%s listens on %s", environment, url)
        if announce is not None:
            announce(url)

    answer(
        project,
        environment=environment,
        listening=listening,
        url=url,
        needs_token=needs_token,
        when_built=tell,
    )


def answer(
    project: Project,
    *,
    environment: str,
    listening: socket.socket,
    url: str,
    needs_token: bool = False,
    post: Post | None = None,
    when_built: Callable[[], None] = lambda: None,
) -> None:
    """Answer what comes to a socket, alone or (with a post) beside other workers.

    Raises:
        Unavailable: If a folder that it needs cannot be made.
        ConfigurationError: If traces are wanted and OpenTelemetry is not installed.
        KeyboardInterrupt: If SIGINT ended it.
    """
    counts = Counts() if post is None else Counts(post.board, post.number)
    app = app_of(project, environment, url, needs_token=needs_token, counts=counts, post=post)
    server = _Server(_configuration(app, project), app, counts, project, post)
    app.count_in_flight(server.server_state.tasks.__len__)
    when_built()
    with _short_turns(), _seldom_collecting(), server.hearing_signals():
        server.run(sockets=[listening])


def pin_threads() -> None:
    """One thread for the numeric libraries of this process, unless the user said otherwise.

    A single row is far too little work to share: with two OpenMP threads on a busy
    machine it took 26 times as long. Libraries that are loaded already do not obey.
    """
    for name in THREADS:
        os.environ.setdefault(name, "1")


class _Server(uvicorn.Server):
    """uvicorn's, which says that it ends before it does, and shares its socket with others."""

    def __init__(
        self,
        config: uvicorn.Config,
        app: App,
        counts: Counts,
        project: Project,
        post: Post | None,
    ) -> None:
        super().__init__(config)
        self._app = app
        self._counts = counts
        self._notice_s = project.settings.serving.notice_s
        self._ends_at: float | None = None
        self._post = post
        self._acceptor: Acceptor | None = None
        self._connections = Connections(counts.slot)
        self.server_state.connections = self._connections
        self._patience = Patience()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, by turns with the other workers if there are any."""
        if self._post is None:
            self._counts.slot.is_there = True
            await super().startup(sockets)
            return
        await super().startup(sockets=[])
        (listening,) = sockets or []
        self._acceptor = Acceptor(
            listening,
            self._connections,
            mine=self._counts.slot,
            others=self._post.board.others_of(self._post.number),
            protocol=self._protocol,
        )
        self._acceptor.start()
        self._post.when_ready()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: end when the notice that this process gave is over.

        Sometimes it is time to look who keeps a connection for nothing.
        """
        if counter % _LOOKS == 0:
            self._patience.look(self._connections, time.monotonic())
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, finish what was begun, then end the application."""
        if self._acceptor is not None:
            await self._acceptor.stop()
        else:
            await self._stop_accepting(sockets or [])
        await self._hear_out()
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn lets go of the application then, and logs that as an error
            with suppress(TimeoutError):
                await asyncio.wait_for(self.lifespan.shutdown(), _LAST_S)

    async def _stop_accepting(self, sockets: list[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        waiting = [each for listening in sockets for each in waiting_at(listening)]
        for server in self.servers:
            server.close()
        for connection in waiting:
            with suppress(OSError):  # the caller has left
                connection.setblocking(False)
                await loop.connect_accepted_socket(self._protocol, connection)

    async def _hear_out(self) -> None:
        """Wait a moment for requests of those who are connected: they may be on their way.

        Each answer closes its connection, so there is nothing to wait for once all have asked.
        """
        end = time.monotonic() + _LAST_S
        await asyncio.sleep(_LOOK_S)  # until those that were accepted just now are open
        while self._connections and time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(_LOOK_S)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Say that this process is not ready, and end after the notice; told twice, at once."""
        self._app.drain()
        if self._notice_s and self._ends_at is None:
            self._captured_signals.append(sig)
            self._ends_at = time.monotonic() + self._notice_s
            return
        super().handle_exit(sig, frame)

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        made: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `hearing_signals`: the event loop still closes after this."""
        yield

    @contextmanager
    def hearing_signals(self) -> Iterator[None]:
        """End gracefully on SIGTERM and SIGINT; what Ctrl-C ended says so afterwards.

        uvicorn's own would raise SIGTERM again after everything was finished.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {which: signal.signal(which, self.handle_exit) for which in _SIGNALS}
        try:
            yield
        finally:
            if self._captured_signals:  # told again by Ctrl-C, the process ends at once
                before[signal.SIGINT] = signal.SIG_DFL
            for which, handler in before.items():
                signal.signal(which, handler)
        if signal.SIGINT in self._captured_signals:
            raise KeyboardInterrupt


def app_of(
    project: Project,
    environment: str,
    url: str,
    *,
    needs_token: bool,
    counts: Counts | None = None,
    post: Post | None = None,
    replica: str = "",
) -> App:
    """What one process answers with; `post` or `replica` say which, where several are at `url`."""
    worker = f"{environment}@{socket.gethostname()}:{url.rpartition(':')[2]}{replica}"
    if post is not None:
        worker += f"#{post.number + 1}"
    file = project.state / "serving" / environment / "tokens.json"
    guests = Guests(file, environment, project.clock) if needs_token else None
    watcher = Watcher(project, environment, worker, url, guests, counts)
    traces = os.environ.get("CD4ML_TRACES") or project.settings.serving.traces
    return App(
        watcher,
        clock=project.clock,
        segments=project.segments,
        worker=worker,
        guests=guests,
        settings=project.settings.capture,
        mask=project.mask,
        shipper=_shipper(project),
        prices=project.settings.prices,
        n_workers=1 if post is None else post.n_workers,
        tracer=Tracer(traces, environment=environment, worker=worker) if traces else None,
        is_patient=post is not None,
    )


def _shipper(project: Project) -> Shipper | None:
    capture = project.settings.capture
    if capture.ship == "after-answer":
        return None
    return Shipper(project.blobs.below(FOLDER), patience_s=capture.slow_after_s)


def _configuration(app: App, project: Project) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="auto",  # uvloop where it is installed
        http=connections_of(app),
        ws="none",
        lifespan="on",
        proxy_headers=False,  # nobody asks who the caller is
        access_log=False,
        log_config=None,
        log_level=logging.WARNING,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=project.settings.serving.drain_s,
    )


def connections_of(app: App) -> type[asyncio.Protocol] | Literal["auto"]:
    """What speaks HTTP: by the quick way, where nobody waits for a store."""
    if not uvicorn.__version__.startswith(_KNOWN):
        _log.warning("uvicorn %s is not %sx: answers take longer", uvicorn.__version__, _KNOWN)
        return "auto"
    try:
        from cd4ml.serving.connection import Connection
        from cd4ml.serving.direct import protocol_for
    except ImportError:  # no httptools
        return "auto"
    return Connection if app.is_shipping else protocol_for(app.answering)


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    # what waits for a shadow is no garbage, and looking through it again and again took a tenth
    # of the time; requests leave no cycles behind
    before = gc.get_threshold()
    gc.set_threshold(_MADE)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _short_turns() -> Iterator[None]:
    # the watcher and the shadows share the interpreter with the requests
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
