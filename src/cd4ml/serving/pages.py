"""What an endpoint says about itself, in its own words and in those of the protocols."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import msgspec

from cd4ml.errors import InvalidInput, NotFound, Unavailable
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.openapi import openapi
from cd4ml.serving.protocols.open_inference import metadata
from cd4ml.serving.try_page import try_page
from cd4ml.serving.watcher import Watcher
from cd4ml.serving.wire import TEXT, Response, explained, in_json

PAGES = (
    "/", "/live", "/health", "/ready", "/contract", "/metrics", "/openapi.json", "/ping", "/version",
    "/v2",
)  # fmt: skip

_POSTS = ("POST /predict", "POST /invocations")
_ASK = "POST rows to /predict"
_ALIVE = ("/health", "/live", "/v2/health/live")
_READY = ("/ready", "/ping", "/v2/health/ready")
_MODEL = re.compile(r"/v2/models/(?P<model>[^/]+)(/versions/(?P<version>[^/]+))?(?P<rest>/ready)?")


def page(watcher: Watcher, method: str, path: str) -> Response:
    """The answer to everything that is no prediction."""
    if path not in PAGES and path not in (*_ALIVE, *_READY) and _MODEL.fullmatch(path) is None:
        return _unknown(path)
    if method not in ("GET", "HEAD"):
        error = InvalidInput(f"expected a GET of {path[:100]}, got {method}", hint=_ASK)
        refusal = explained(405, error)
        return msgspec.structs.replace(refusal, more=((b"allow", b"GET, HEAD"),))
    if path in _ALIVE:
        return Response(200, b'{"health":"ok"}')
    if path == "/version":
        return Response(200, _version().encode(), (b"content-type", b"text/plain"))
    if path == "/v2":
        server = {"name": "cd4ml", "version": _version(), "extensions": ["binary_tensor_data"]}
        return in_json(server)
    endpoint = watcher.endpoint
    if path == "/metrics":
        return Response(200, watcher.counts.text().encode(), TEXT)
    if watcher.is_draining and path in _READY:
        return explained(503, Unavailable("this process ends, and finishes what it has begun"))
    if endpoint is None:
        return explained(503, Unavailable(watcher.absence, hint=watcher.remedy))
    if obstacle := _obstacle(watcher, path):
        msg = f"answers cannot be recorded, so none is given: {obstacle}"
        return explained(503, Unavailable(msg))
    if path == "/openapi.json":
        return in_json(openapi(endpoint, needs_token=watcher.needs_token, private=watcher.private))
    if path == "/":
        html = try_page(endpoint, needs_token=watcher.needs_token, private=watcher.private)
        return Response(200, html.encode(), (b"content-type", b"text/html; charset=utf-8"))
    return _WITH_PLAN[path](endpoint) if path in _WITH_PLAN else _of_model(endpoint, path)


def _obstacle(watcher: Watcher, path: str) -> str:
    """Why a process that has a plan is not ready, if it is asked and is not."""
    is_asked = path in _READY or path.endswith("/ready")
    return watcher.trouble.obstacle if is_asked and watcher.trouble is not None else ""


def asked_model(endpoint: Endpoint, path: str) -> None:
    """Let no request on that names another model or version than those that answer.

    Raises:
        NotFound: If the path of the Open Inference Protocol does.
    """
    found = _MODEL.fullmatch(path.removesuffix("/infer"))
    known = metadata(endpoint)
    if found is None or found["model"] != known["name"]:
        msg = f"no model answers at {path[:100]}"
        raise NotFound(msg, hint=f"/v2/models/{known['name']} does")
    if found["version"] is not None and found["version"] not in known["versions"]:
        msg = f"the version {found['version'][:100]!r} of {known['name']} does not answer here"
        raise NotFound(msg, hint=f"these do: {', '.join(known['versions'])}")


def _of_model(endpoint: Endpoint, path: str) -> Response:
    try:
        asked_model(endpoint, path)
    except NotFound as error:
        return explained(404, error)
    return in_json({"ready": True} if path.endswith("/ready") else metadata(endpoint))


def _unknown(path: str) -> Response:
    error = NotFound(f"nothing answers at {path[:100]}", hint=f"try {', '.join((*PAGES, *_POSTS))}")
    return explained(404, error)


def _version() -> str:
    from cd4ml import __version__

    return __version__


def _readiness(endpoint: Endpoint) -> dict[str, Any]:
    plan = endpoint.plan
    arms = [
        msgspec.to_builtins(arm) | {"kind": endpoint.runtimes[arm.artifact].kind}
        for arm in plan.arms
    ]
    return {
        "process": os.getpid(),
        "environment": plan.environment,
        "model": plan.model,
        "plan": plan.number,
        "arms": arms,
    }


_WITH_PLAN: dict[str, Callable[[Endpoint], Response]] = {
    "/ready": lambda endpoint: in_json(_readiness(endpoint)),
    "/ping": lambda _: Response(200, b'{"health":"ok"}'),
    "/v2/health/ready": lambda _: in_json({"ready": True}),
    "/contract": lambda endpoint: in_json(endpoint.contract.contract),
}
