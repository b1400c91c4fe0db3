"""What of MLflow's API is not offered, in words; and its codes for our errors."""

from __future__ import annotations

from cd4ml.engines.mlflow.faults import Answer, NotOffered, answer_to

__all__ = ["Answer", "answer_to", "not_offered"]

_PARTS = {
    "traces": "traces",
    "unified-traces": "traces",
    "datasets": "evaluation datasets",
    "scorers": "scorers",
    "assessments": "assessments",
    "issues": "issues",
    "label-schemas": "label schemas",
    "review-queues": "review queues",
    "gateway": "AI gateway",
    "prompt-optimization": "prompt optimisation",
    "workspaces": "workspaces",
    "webhooks": "webhooks",
    "transition-stage": "stages",
    "users": "users and permissions",
    "server-features": "server features",
    "presigned": "presigned downloads",
    "graphql": "GraphQL of its web page",
}
_HINTS = {
    "model-versions/transition-stage": "MLflow gives them up too: use aliases",
    "users": "cd4ml people",
    "webhooks": "cd4ml's ledger says what happened: cd4ml audit",
}


def not_offered(method: str, path: str) -> NotOffered:
    """The error for a call that cd4ml does not answer.

    Examples:
        >>> print(not_offered("POST", "/api/3.0/mlflow/traces/search"))
        cd4ml does not offer MLflow's traces (POST /api/3.0/mlflow/traces/search)
          hint: docs/mlflow.md lists what it does
    """
    below = path.removeprefix("/ajax-api/").removeprefix("/api/").split("/", 2)[-1]
    parts = below.split("/")
    name = next((_PARTS[part] for part in (*parts, path.strip("/")) if part in _PARTS), "")
    thing = f"MLflow's {name}" if name else "this call of MLflow's"
    hint = next((words for call, words in _HINTS.items() if below.startswith(call)), "")
    msg = f"cd4ml does not offer {thing} ({method} {path})"
    return NotOffered(msg, hint=hint or "docs/mlflow.md lists what it does")
