"""Finding or starting a Ray cluster."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

from cd4ml.errors import ConfigurationError, Unavailable
from cd4ml.records.hardware import Hardware

LOCAL = "local"

_PATIENCE_S = 5

# a step that is ended takes the processes with it that it has started
_KILLS_CHILDREN = "RAY_kill_child_processes_on_worker_exit_with_raylet_subreaper"
_AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def ray_module() -> Any:
    """Ray.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        import pyarrow  # noqa: F401 - tables are passed as Arrow
        import ray
    except ImportError as error:
        msg = f"steps on a Ray cluster need {error.name!r}, which is not installed"
        raise ConfigurationError(msg, hint="pip install 'cd4ml[ray]'") from None
    return ray


def connect(address: str) -> bool:
    """Connect this process to a cluster; False if it was connected already.

    Args:
        address: HOST:PORT, "auto" for the one on this machine, "local" to start one here that
            ends with this process, and wants a token from everybody who speaks to it.

    Raises:
        ConfigurationError: If Ray is not installed.
        Unavailable: If no cluster is there, or none can be started.
    """
    if address == LOCAL:
        _guard()
    else:
        _refuse_silent(address)
    ray = ray_module()
    if ray.is_initialized():
        return False
    options: dict[str, Any] = {}
    if address == LOCAL:
        options = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(
            address=address,
            log_to_driver=False,  # what steps print goes into their logs
            logging_level="ERROR",
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}},
            **options,
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, OSError) as error:
        raise _unavailable(address, _first_line(error)) from None
    hear_children()
    return True


def hear_children() -> None:
    """Let this process hear how the programs ended that it starts.

    Ray has it ignore SIGCHLD where children are ended with their step: then every program seems
    to have ended with exit code 0.
    """
    with suppress(ValueError):  # not in the main thread, which alone may change that
        # Python does not know of it, so that it may say that nothing was changed
        if not callable(signal.getsignal(signal.SIGCHLD)):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _refuse_silent(address: str) -> None:
    """Say at once that nobody listens at HOST:PORT; Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise _unavailable(address, _first_line(error)) from None


def _unavailable(address: str, reason: str) -> Unavailable:
    msg = f"the Ray cluster {address!r} does not answer: {reason}"
    return Unavailable(msg, hint="start one with `ray start --head`, or `--ray local`")


def _guard() -> None:
    """What a cluster of our own reads from the environment, the first time that Ray is loaded."""
    os.environ.setdefault(_KILLS_CHILDREN, "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    has_said = any(name in os.environ for name in _AUTHENTICATION)
    if not has_said and "ray" not in sys.modules:
        # Ray itself would leave a token in the home folder
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))


def largest_node() -> Hardware:
    """What one step can have at most: what its largest nodes have."""
    nodes = _nodes()
    return Hardware(
        cpu="Ray cluster",
        cpus=max((int(node.get("CPU", 0)) for node in nodes), default=0),
        memory=max((int(node.get("memory", 0)) for node in nodes), default=0),
        gpus=("GPU",) * max((int(node.get("GPU", 0)) for node in nodes), default=0),
    )


def whole_cluster() -> Hardware:
    """What all nodes together have."""
    nodes = _nodes()
    return Hardware(
        cpu="Ray cluster",
        cpus=sum(int(node.get("CPU", 0)) for node in nodes),
        memory=sum(int(node.get("memory", 0)) for node in nodes),
        gpus=("GPU",) * sum(int(node.get("GPU", 0)) for node in nodes),
    )


def _nodes() -> list[dict[str, float]]:
    return [node["Resources"] for node in ray_module().nodes() if node["Alive"]]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
