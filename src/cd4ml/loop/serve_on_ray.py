"""Answer requests for an environment in replicas on a Ray cluster."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.release.environments import settings_of
from cd4ml.store.project import Project, open_project
from cd4ml.store.replica_settings import wrong_in

if TYPE_CHECKING:
    from cd4ml.engines.ray.replica import Answering
    from cd4ml.records.settings import ReplicaSettings

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve_on_ray(
    project: Project,
    *,
    environment: str,
    host: str = "127.0.0.1",
    port: int = 8401,
    needs_token: bool = False,
    address: str = "",
    replicas: ReplicaSettings | None = None,
) -> None:
    """Serve what is released in an environment until the process is told to end.

    Each replica is what `serve` is: it takes the newest plan by itself, records its answers
    before they leave, and goes on when the database is away. On a cluster that others started
    the endpoint outlives this process if that is killed; the same call takes it over.

    Args:
        project: In a folder that all nodes see at the same path.
        environment: Whose plan is followed.
        host: Where it is asked: on a loopback address the head node listens, else every node.
        port: Port to listen on; 0 takes a free one.
        needs_token: Answer only who shows a token that may ask; else everybody.
        address: Of the cluster; "" as `[run] ray` says, else one that is started here.
        replicas: How many, and how large; by default as `[replicas]` says.

    Raises:
        NotFound: If `cd4ml.toml` names no such environment.
        ConfigurationError: If Ray Serve is not installed, or the cluster lets in everybody.
        Conflict: If the cluster answers for somebody else.
        Unavailable: If the port is taken, the cluster is not there, or no replica answers.
        KeyboardInterrupt: If SIGINT ended it.
    """
    from cd4ml.engines.ray.connection import LOCAL, connected
    from cd4ml.engines.ray.endpoint import RayEndpoint, n_answering, start, stop
    from cd4ml.serving.server import THREADS

    settings_of(project.settings.environments, environment)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    endpoint = RayEndpoint(
        environment=environment,
        host=host,
        port=port or _free_port(host),
        replicas=replicas or project.settings.replicas,
        variables={name: os.environ.get(name, "1") for name in THREADS},
    )
    build = partial(answering, str(project.folder), environment, endpoint.url, needs_token)
    with connected(address or project.settings.run.ray or LOCAL), _told_to_end() as is_told:
        start(endpoint, build)
        try:
            n = n_answering(endpoint)
            _log.info("%s listens on %s, %d replicas answer", environment, endpoint.url, n)
            is_told.wait()
        finally:
            stop(endpoint)


def replicas_of(
    project: Project, *, least: int | None = None, most: int | None = None
) -> ReplicaSettings:
    """`[replicas]`, with other numbers where they are given.

    Raises:
        InvalidInput: If there can be no such number of them.
    """
    settings = project.settings.replicas
    n_least = settings.min if least is None else least
    n_most = max(n_least, settings.max) if most is None else most
    chosen = msgspec.structs.replace(settings, min=n_least, max=n_most)
    for key, message, hint in wrong_in(chosen):
        raise InvalidInput(f"{key}: {message}", hint=hint)
    return chosen


def answering(
    folder: str, environment: str, url: str, needs_token: bool, replica: str
) -> Answering:
    """What one replica answers with, made in its process."""
    from cd4ml.engines.ray.replica import Answering
    from cd4ml.serving.server import app_of

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    project = open_project(Path(folder))
    app = app_of(project, environment, url, needs_token=needs_token, replica=replica)
    watcher = app.watcher
    app.counts.slot.is_there = True  # its cluster accepts connections for it
    return Answering(app, lambda: watcher.is_settled, lambda: watcher.is_watching)


@contextmanager
def _told_to_end() -> Iterator[threading.Event]:
    """Set by SIGTERM and SIGINT; what Ctrl-C ended says so afterwards."""
    is_told = threading.Event()
    heard: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        heard.append(number)
        is_told.set()

    before = {which: signal.signal(which, end) for which in _SIGNALS}
    try:
        yield is_told
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
    if signal.SIGINT in heard:
        raise KeyboardInterrupt


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as found:
        port: int = found.getsockname()[1]
        return port
