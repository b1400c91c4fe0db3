"""Finding or starting a Ray cluster."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cd4ml.errors import ConfigurationError, Unavailable
from cd4ml.records.hardware import Hardware

LOCAL = "local"

_PATIENCE_S = 5
_MODE = "RAY_AUTH_MODE"

# a step that is ended takes the processes with it that it has started
_KILLS_CHILDREN = "RAY_kill_child_processes_on_worker_exit_with_raylet_subreaper"
_AUTHENTICATION = (_MODE, "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")

# "0": a cluster of this machine alone; else Ray takes 127.0.0.1 for the address that others reach
_REACHES_OTHERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ELSEWHERE = ("192.0.2.1", 9)  # no packet is sent there

_ANY_QUESTION = "/ray.rpc.NodeInfoGcsService/CheckAlive"


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


def connect(address: str, *, is_guarded: bool = False) -> bool:
    """Connect this process to a cluster; False if it was connected already.

    Args:
        address: HOST:PORT, "auto" for the one on this machine, "local" to start one here that
            ends with this process, and wants a token from everybody who speaks to it.
        is_guarded: Whether it has to want a token, unless RAY_AUTH_MODE is "disabled" here too.

    Raises:
        ConfigurationError: If Ray is not installed, or a cluster that has to be guarded is not.
        Unavailable: If no cluster is there, it does not let us in, or none can be started.
    """
    if address == LOCAL:
        _guard()
    else:
        _refuse_silent(address)
        _stay_inside(address)
        if is_guarded:
            os.environ.setdefault(_MODE, "token")
    ray = ray_module()
    if ray.is_initialized():
        is_ours = False
    else:
        _begin(ray, address)
        is_ours = True
    if is_guarded:
        _refuse_open(ray, is_ours)
    return is_ours


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A guarded cluster, until the block ends; see `connect`."""
    is_ours = connect(address, is_guarded=True)
    try:
        yield
    finally:
        if is_ours:
            ray_module().shutdown()


def _begin(ray: Any, address: str) -> None:
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
    except ray.exceptions.AuthenticationError as error:
        msg = f"the Ray cluster {address!r} does not let us in: {_first_line(error)}"
        raise Unavailable(
            msg, hint="RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, has its token"
        ) from None
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, OSError) as error:
        raise _unavailable(address, _first_line(error)) from None
    hear_children()


def _refuse_open(ray: Any, is_ours: bool) -> None:
    """Use no cluster on which whoever reaches it can run programs, unless that is meant.

    Ray's clusters ask for a token or they do not, depending on its version and on how they
    were started: so one is asked without a token.
    """
    if os.environ.get(_MODE, "").lower() == "disabled":
        return
    address = ray.get_runtime_context().gcs_address
    if _lets_in(address):
        if is_ours:
            ray.shutdown()
        msg = f"the Ray cluster {address} asks for no token: who reaches it can run programs on it"
        hint = f"start its nodes with {_MODE}=token; or say {_MODE}=disabled here as well"
        raise ConfigurationError(msg, hint=hint)


def _lets_in(address: str) -> bool:
    """Whether a cluster answers who shows no token."""
    try:
        import grpc
    except ImportError:
        msg = "whether a Ray cluster wants a token is asked with 'grpc', which is not installed"
        raise ConfigurationError(msg, hint="pip install 'cd4ml[ray]'") from None
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary(_ANY_QUESTION)(b"", timeout=_PATIENCE_S)
        except grpc.RpcError as refusal:
            if refusal.code() == grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise _unavailable(address, refusal.details() or "no answer") from None
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


def _stay_inside(address: str) -> None:
    """Have Ray speak to a cluster that only listens on the loopback address."""
    host, _, port = (_found() if address == "auto" else address).rpartition(":")
    if host in _LOOPBACK and port.isdigit() and not _is_open(_reached_as(), int(port)):
        os.environ.setdefault(_REACHES_OTHERS, "0")


def _found() -> str:
    """The cluster that Ray will find by itself: as told, or as `ray start` has noted."""
    note = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
    try:
        return os.environ.get("RAY_ADDRESS") or note.read_text().strip()
    except OSError:
        return ""


def _reached_as() -> str:
    """The address of this machine under which others reach it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(_ELSEWHERE)
        except OSError:
            return _LOOPBACK[0]
        return str(asked.getsockname()[0])


def _is_open(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_PATIENCE_S).close()
    except OSError:
        return False
    return True


def _unavailable(address: str, reason: str) -> Unavailable:
    msg = f"the Ray cluster {address!r} does not answer: {reason}"
    return Unavailable(msg, hint="start one with `ray start --head`, or `--ray local`")


def _guard() -> None:
    """What a cluster of our own reads from the environment, the first time that Ray is loaded."""
    os.environ.setdefault(_KILLS_CHILDREN, "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault(_REACHES_OTHERS, "0")
    if "ray" in sys.modules:
        return
    if not any(name in os.environ for name in _AUTHENTICATION):
        # Ray itself would leave a token in the home folder
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    os.environ.setdefault(_MODE, "token")


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
