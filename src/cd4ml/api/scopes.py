"""What a token has to be good for, at each address of the API."""

from __future__ import annotations

from typing import Any

from cd4ml.loop import Project

READ, ALL = "read", "all"

# Only who may do everything may do what is not here: a new address is closed to narrow tokens.
_ACTS = {
    "/datasets": "data",
    "/datasets/{ref}/tag": "data",
    "/datasets/{ref}/untag": "data",
    "/datasets/verify": "data",
    "/datasets/gc": "data",
    "/data/{name}/rows": "push",
    "/runs/{number}/describe": "track",
    "/runs/{number}/delete": "track",
    "/runs/{number}/restore": "track",
    "/models/graduate": "model",
    "/models/package": "model",
    "/models/alias": "model",
    "/models/unalias": "model",
    "/models/describe": "model",
    "/models/delete": "model",
    "/models/restore": "model",
    "/gate": "gate",
    "/gate/replay": "gate",
    "/explain": "predict",
    "/releases": "release",
    "/releases/{number}/again": "release",
    "/releases/{number}/withdraw": "release",
    "/releases/{number}/approve": "approve",
    "/releases/{number}/reject": "approve",
    "/releases/{number}/request-changes": "approve",
    "/releases/{number}/review": "approve",
    "/standing-approvals": "approve",
    "/standing-approvals/{number}/revoke": "approve",
    "/releases/{number}/abort": "operate",
    "/releases/{number}/undo": "operate",
    "/undo": "operate",
    "/webhooks/{webhook}/resend": "operate",
    "/labels": "label",
    "/retrain": "label",
    "/people": "admin",
    "/people/remove": "admin",
    "/tokens": "admin",
    "/tokens/{number}/revoke": "admin",
    "/audit/checkpoint": "admin",
}


def act_of(path: str, method: str) -> str:
    """What a token has to allow there.

    Examples:
        >>> act_of("/undo", "POST"), act_of("/undone", "POST"), act_of("/releases", "GET")
        ('operate', 'all', 'read')
    """
    return READ if method == "GET" else _ACTS.get(path, ALL)


def thing_of(project: Project, path: str, asked: dict[str, Any]) -> str:
    """The dataset or environment that a request is about; "" for none in particular.

    Args:
        project: Whose releases.
        path: Of the endpoint.
        asked: The fields of the request, those of its path too.
    """
    if path == "/data/{name}/rows":
        return str(asked.get("name", ""))
    if path in ("/undo", "/standing-approvals"):
        return str(asked.get("environment", ""))
    if path == "/releases":
        return str(asked.get("to", ""))
    if path.startswith("/releases/{number}/"):
        from cd4ml.loop.tokens import environment_of

        return environment_of(project, str(asked.get("number", "")))
    return ""
