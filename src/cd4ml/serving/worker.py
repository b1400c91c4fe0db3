"""One of several processes that answer at one address; the supervisor starts it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import msgspec

from cd4ml.errors import Cd4mlError
from cd4ml.serving.posts import Orders, Post, Said

_GRACE_S = 20.0  # beyond what draining may take, when the supervisor is gone


def main(orders: str) -> None:
    """Answer until told to end, or until the supervisor is gone."""
    given = msgspec.json.decode(orders, type=Orders)
    for descriptor in (given.listening, given.control, given.board):
        os.set_inheritable(descriptor, False)
    form = f"%(asctime)s worker {given.number + 1}: %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form)
    control = socket.socket(fileno=given.control)
    try:
        _answer(given, control)
    except Cd4mlError as error:
        _say(control, Said(error=error.message, hint=error.hint))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:  # ended by SIGINT, and nothing else to say about it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def _answer(given: Orders, control: socket.socket) -> None:
    from cd4ml.serving.server import answer, pin_threads
    from cd4ml.store.project import open_project

    pin_threads()
    with open_project(Path(given.project)) as project:
        serving = project.settings.serving
        _end_with(control, grace_s=serving.notice_s + serving.drain_s + _GRACE_S)
        answer(
            project,
            environment=given.environment,
            listening=socket.socket(fileno=given.listening),
            url=given.url,
            needs_token=given.needs_token,
            post=Post.taken(given, lambda: _say(control, Said(is_ready=True))),
        )


def _say(control: socket.socket, said: Said) -> None:
    try:
        control.sendall(msgspec.json.encode(said) + b"\n")
    except OSError:  # nobody is there to be told
        return


def _end_with(control: socket.socket, *, grace_s: float) -> None:
    """End this process, as by SIGTERM, when the supervisor is gone; later in any case."""

    def watch() -> None:
        while control.recv(1):
            pass
        logging.getLogger(__name__).error("the supervisor is gone: this process ends")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()
