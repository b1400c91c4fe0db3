"""The page of how the project delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cd4ml.errors import InvalidInput
from cd4ml.loop.delivery_words import COLUMNS, figures_of, row_of
from cd4ml.loop.metrics import metrics
from cd4ml.loop.production import production
from cd4ml.loop.refs import moment_in
from cd4ml.loop.webhooks import deliveries, webhooks

if TYPE_CHECKING:
    from starlette.requests import Request

    from cd4ml.loop import Project

_MOST_DEAD = 50

STRETCHES = ("day", "week", "month")


def delivery(project: Project, request: Request) -> dict[str, Any]:
    """The values of the page: what was in production, all time, and each stretch, newest first."""
    by = request.query_params.get("by", "week")
    if by not in STRETCHES:
        msg = f"expected day, week or month, got {by!r}"
        raise InvalidInput(msg, hint="/delivery?by=week")
    model = request.query_params.get("model", "")
    (total,) = metrics(project, model=model)
    stretches = metrics(project, by=by, model=model)  # type: ignore[arg-type]
    at = request.query_params.get("at", "").strip()
    return {
        "at": at,
        "then": production(project, at=moment_in(at) if at else None),
        "by": by,
        "stretches": STRETCHES,
        "figures": figures_of(total),
        "columns": COLUMNS,
        "rows": [row_of(stretch) for stretch in reversed(stretches)],
        "webhooks": webhooks(project),
        "dead": deliveries(project)[:_MOST_DEAD],
    }
