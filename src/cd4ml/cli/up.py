"""The control plane as a process: console, API, and background work beside them."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from cd4ml.errors import Unavailable
from cd4ml.loop import Project

if TYPE_CHECKING:
    import uvicorn

INTERVAL_S = 1.0  # between two turns of the background work
_LOOKING_S = 0.02  # between two looks whether this process answers
_FIRST_S = 0.1  # for those who have waited for this process to answer
GRACE_S = 10  # for answers, and for the turn of work, under way when the process is told to end

_PYTHONS_OWN = (700, 10, 10)  # objects, collections

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = ("0.0.0.0", "::")


def run(
    project: Project,
    *,
    host: str,
    port: int,
    hosts: tuple[str, ...],
    works: bool,
    needs_token: bool,
    is_json: bool,
) -> None:
    """Answer until the process is told to end (SIGINT or SIGTERM), then finish what is begun.

    What takes longer than the grace is left as after `kill -9`: another process goes on.

    Args:
        project: Open.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        hosts: Names besides the loopback ones under which browsers may reach it.
        works: Do the background work too.
        needs_token: Answer only who shows a token.
        is_json: Say where it listens in JSON.

    Raises:
        Unavailable: If the port is taken.
    """
    import uvicorn

    from cd4ml.api.app import control_plane

    own = () if host in (*_LOOPBACK, *_EVERYWHERE) else (host,)
    app = control_plane(project, hosts=(*hosts, *own), needs_token=needs_token)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        ws="none",  # nobody is spoken to so, and importing it takes time
    )
    server = uvicorn.Server(config)
    with _listening(host, port) as listener, _working(project, server, is_on=works):
        _say_where(listener, host, is_json=is_json, is_open=not needs_token)

        def end(_signal: int, _frame: FrameType | None) -> None:
            # before uvicorn listens to signals, and when it repeats the one that ended it;
            # an exception could come up anywhere, and be swallowed there
            server.should_exit = True

        signal.signal(signal.SIGTERM, end)
        server.run(sockets=[listener])


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()  # who reads the address may connect at once, and waits
        except OSError as error:
            msg = f"cannot listen on {host} port {port}: {error.strerror or error}"
            raise Unavailable(msg, hint="choose another one with --port") from None
        yield listener


@contextmanager
def _working(project: Project, server: uvicorn.Server, *, is_on: bool) -> Iterator[None]:
    stop = threading.Event()
    worker = threading.Thread(
        target=_work,
        args=(project, server, stop, is_on),
        name="background-work",
        daemon=True,  # a turn that outlasts the grace is left: its lease ends, another goes on
    )
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join(GRACE_S)


def _work(project: Project, server: uvicorn.Server, stop: threading.Event, is_on: bool) -> None:
    # what console and work import would take half of the time until somebody is answered
    while not server.started and not stop.wait(_LOOKING_S):
        pass
    if stop.wait(_FIRST_S):
        return
    from cd4ml.api.app import import_console

    import_console()
    gc.set_threshold(*_PYTHONS_OWN)  # it lives longer than a command (see `entry`)
    if not is_on:
        return
    from cd4ml.loop.work import work_until

    work_until(project, stop, owner=owner(), interval_s=INTERVAL_S)


def owner() -> str:
    """The name of this process in leases."""
    return f"{socket.gethostname()}-{os.getpid()}"


def _say_where(listener: socket.socket, host: str, *, is_json: bool, is_open: bool) -> None:
    if host not in _LOOPBACK:
        warning = (
            "whoever reaches this address can act as anybody: --tokens lets in only who shows one"
            if is_open
            else "tokens go over the network as they are: put a proxy with TLS before it"
        )
        print(f"warning: {warning}", file=sys.stderr, flush=True)
    port = listener.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    url = f"http://{name}:{port}"
    said = f'{{"console": "{url}"}}' if is_json else f"the console is on {url} (Ctrl-C ends it)"
    print(said, flush=True)
