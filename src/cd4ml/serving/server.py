"""One process that answers for one environment over HTTP."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from cd4ml.errors import Unavailable
from cd4ml.serving.app import App
from cd4ml.serving.guests import Guests
from cd4ml.serving.shipping import Shipper
from cd4ml.serving.watcher import Watcher
from cd4ml.store.project import Project
from cd4ml.store.shipped import FOLDER

_log = logging.getLogger(__name__)

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SWITCH_S = 0.0005  # how long another thread may keep a request waiting for the interpreter
_KEEP_ALIVE_S = 75  # longer than most callers keep an idle connection
_DRAIN_S = 10  # for requests in flight when the process is told to end
_BACKLOG = 2048


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
    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listening.getsockname()[1]}"
    app = app_of(project, environment, url, needs_token=needs_token)
    server = _Server(_configuration(app))
    app.count_in_flight(server.server_state.tasks.__len__)
    _log.info("%s listens on %s", environment, url)
    if announce is not None:
        announce(url)
    with _short_turns():
        server.run(sockets=[listening])


def pin_threads() -> None:
    """One thread for the numeric libraries of this process, unless the user said otherwise.

    A single row is far too little work to share: with two OpenMP threads on a busy
    machine it took 26 times as long. Libraries that are loaded already do not obey.
    """
    for name in THREADS:
        os.environ.setdefault(name, "1")


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
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
            for which, handler in before.items():
                signal.signal(which, handler)
        if signal.SIGINT in self._captured_signals:
            raise KeyboardInterrupt


def app_of(
    project: Project, environment: str, url: str, *, needs_token: bool, replica: str = ""
) -> App:
    """What one process answers with; `replica` says which, where several are asked at `url`."""
    worker = f"{environment}@{socket.gethostname()}:{url.rpartition(':')[2]}{replica}"
    file = project.state / "serving" / environment / "tokens.json"
    guests = Guests(file, environment, project.clock) if needs_token else None
    watcher = Watcher(project, environment, worker, url, guests)
    return App(
        watcher,
        clock=project.clock,
        segments=project.segments,
        worker=worker,
        guests=guests,
        settings=project.settings.capture,
        mask=project.mask,
        shipper=_shipper(project),
    )


def _shipper(project: Project) -> Shipper | None:
    capture = project.settings.capture
    if capture.ship == "after-answer":
        return None
    return Shipper(project.blobs.below(FOLDER), patience_s=capture.slow_after_s)


def _configuration(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="auto",  # uvloop and httptools where they are installed
        http="auto",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level=logging.WARNING,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else str(error)  # resolving fails below 0
        msg = f"cannot listen on {host} port {port}: {reason}"
        raise Unavailable(
            msg, hint="choose another with --port; is a server running already?"
        ) from None


@contextmanager
def _short_turns() -> Iterator[None]:
    # the watcher and the shadows share the interpreter with the requests
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
