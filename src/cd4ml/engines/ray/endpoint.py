"""An endpoint of several replicas on a Ray cluster: begun, waited for, ended."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from cd4ml.engines.ray.board import hang_up, take_down
from cd4ml.engines.ray.connection import ray_module
from cd4ml.engines.ray.replica import Build, Replica
from cd4ml.errors import ConfigurationError, Conflict, Unavailable
from cd4ml.records.resources import resources
from cd4ml.records.settings import ReplicaSettings

_log = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_START_S = 300.0  # for the first replica; its machine may have to be started
_LOOK_S = 0.1
_QUEUE = 8  # times `requests`: how many a replica takes before they wait in front of it
_KEEP_ALIVE_S = 75
_HEALTH_S, _HEALTH_PATIENCE_S = 5.0, 15.0
_DRAIN_S, _DRAIN_LOOK_S = 20.0, 0.5
_RETRIES = 1_000_000  # Ray would give up after 20 attempts to start a replica


class RayEndpoint(NamedTuple):
    """What answers where: one a cluster, since all of a cluster's answers come from one port."""

    environment: str
    host: str
    port: int
    replicas: ReplicaSettings
    variables: Mapping[str, str] = {}  # of the replicas' environment

    @property
    def name(self) -> str:
        """Of the application on the cluster."""
        return f"cd4ml-{self.environment}"

    @property
    def asks_one_node(self) -> bool:
        """Whether only the head node listens: nobody else reaches an address of its own."""
        return self.host in _LOOPBACK

    @property
    def url(self) -> str:
        """Where it answers."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def start(endpoint: RayEndpoint, build: Build) -> int:
    """Begin an endpoint, or replace its replicas one by one; returns how many answer already.

    Args:
        endpoint: Where, and how many.
        build: Makes the application in each replica; pickled, so a function of a module.

    Raises:
        ConfigurationError: If Ray Serve is not installed.
        Conflict: If the cluster answers for somebody else, or elsewhere.
        Unavailable: If the port is taken, or no replica answers within five minutes.
    """
    serve = serve_module()
    status = serve.status()
    known = status.applications
    if others := sorted(set(known) - {endpoint.name}):
        msg = f"the Ray cluster answers for {others[0]!r} already, and has one port"
        raise Conflict(msg, hint="give it a cluster of its own: --ray ADDRESS")
    if status.proxies and not known:
        msg = "Ray Serve listens on this Ray cluster already, for nobody"
        raise Conflict(msg, hint="end it with `serve shutdown`")
    if not known:
        take_down(endpoint.name)  # of an endpoint whose cluster lost it
        _refuse_taken(endpoint)
    url = hang_up(endpoint.name, endpoint.url)
    if url != endpoint.url:
        msg = f"{endpoint.environment} is answered at {url} by this Ray cluster already"
        raise Conflict(msg, hint="end that first, or name the same --host and --port")
    return _deploy(serve, endpoint, build)


def stop(endpoint: RayEndpoint) -> None:
    """Finish the requests in flight, and end all replicas; nobody listens any more then.

    What others run on Ray Serve goes on. Ending it twice is ending it once.
    """
    serve = serve_module()
    known = set(serve.status().applications)
    if endpoint.name in known:
        serve.delete(endpoint.name)
        take_down(endpoint.name)
    if known == {endpoint.name}:
        serve.shutdown()


def n_answering(endpoint: RayEndpoint) -> int:
    """How many replicas answer."""
    return sum(each.get("RUNNING", 0) for each in _states(serve_module(), endpoint))


def serve_module() -> Any:
    """Ray Serve.

    Raises:
        ConfigurationError: If it is not installed.
    """
    ray_module()
    try:
        from ray import serve
    except ImportError as error:
        msg = f"an endpoint on a Ray cluster needs {error.name!r}, which is not installed"
        raise ConfigurationError(msg, hint="pip install 'cd4ml[ray]'") from None
    return serve


def _deploy(serve: Any, endpoint: RayEndpoint, build: Build) -> int:
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    quiet = {"enable_access_log": False}
    serve.start(
        proxy_location="HeadOnly" if endpoint.asks_one_node else "EveryNode",
        http_options={
            "host": endpoint.host,
            "port": endpoint.port,
            "keep_alive_timeout_s": _KEEP_ALIVE_S,
        },
        controller_options={"runtime_env": {"env_vars": _tuning(endpoint)}},
        logging_config=quiet,
    )
    replica = serve.deployment(**_options(endpoint), logging_config=quiet)(serve.ingress()(Replica))
    target = serve.RunTarget(
        target=replica.bind(build, endpoint.name), name=endpoint.name, route_prefix="/"
    )
    serve.run_many([target], wait_for_applications_running=False)
    return _first(serve, endpoint)


def _tuning(endpoint: RayEndpoint) -> dict[str, str]:
    """What Ray Serve's own processes read from their environment."""
    count_every_s = min(10.0, max(0.5, endpoint.replicas.add_after_s / 4))
    return {
        # else the replica beside the only proxy would have all the work until it is overrun
        "RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0" if endpoint.asks_one_node else "1",
        "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": f"{count_every_s:g}",
        "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": f"{count_every_s:g}",
    }


def _options(endpoint: RayEndpoint) -> dict[str, Any]:
    wanted = endpoint.replicas
    asked = resources(cpus=wanted.cpus, memory=wanted.memory)
    paths = os.pathsep.join(filter(None, sys.path))
    return {
        "name": "endpoint",
        "autoscaling_config": {
            "min_replicas": wanted.min,
            "max_replicas": wanted.max,
            "target_ongoing_requests": wanted.requests,
            "upscale_delay_s": wanted.add_after_s,
            # over which requests are averaged; a fifth of it is how often they are counted
            "look_back_period_s": min(30.0, max(1.0, 2 * wanted.add_after_s)),
            "downscale_delay_s": wanted.remove_after_s,
        },
        "max_ongoing_requests": max(1, round(_QUEUE * wanted.requests)),
        "ray_actor_options": {
            "num_cpus": asked.cpus,
            "memory": asked.memory or None,
            "runtime_env": {
                "env_vars": {
                    "PYTHONPATH": paths,
                    **_tuning(endpoint),
                    **endpoint.variables,
                }
            },
        },
        "health_check_period_s": _HEALTH_S,
        "health_check_timeout_s": _HEALTH_PATIENCE_S,
        "graceful_shutdown_timeout_s": _DRAIN_S,
        "graceful_shutdown_wait_loop_s": _DRAIN_LOOK_S,
        "max_constructor_retry_count": _RETRIES,
    }


def _first(serve: Any, endpoint: RayEndpoint) -> int:
    """Wait for a replica that answers.

    Raises:
        Unavailable: If there is none in time.
    """
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if n := n_answering(endpoint):
            return n
        time.sleep(_LOOK_S)
    told = serve.status().applications.get(endpoint.name)
    said = [told.message, *(each.message for each in told.deployments.values())] if told else []
    reason = next((line for each in said for line in each.strip().splitlines()[-1:]), "")
    stop(endpoint)
    msg = f"no replica of {endpoint.environment} answers after {_START_S:g} s: {reason}"
    raise Unavailable(msg, hint="has the cluster as many CPUs as [replicas] asks for?")


def _states(serve: Any, endpoint: RayEndpoint) -> list[dict[str, int]]:
    told = serve.status().applications.get(endpoint.name)
    return [each.replica_states for each in told.deployments.values()] if told else []


def _refuse_taken(endpoint: RayEndpoint) -> None:
    """Ray itself would try for ever to listen on a port that is taken."""
    try:
        family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
        socket.create_server((endpoint.host, endpoint.port), family=family).close()
    except (OSError, OverflowError) as error:
        msg = f"cannot listen on {endpoint.host} port {endpoint.port}: {error}"
        raise Unavailable(
            msg, hint="choose another with --port; is a server running already?"
        ) from None
