"""The pages that look back: production, the ledger, why, and what came from what."""

from __future__ import annotations

import re
from typing import NamedTuple

from markupsafe import Markup
from starlette.requests import Request

from cd4ml.loop import Project
from cd4ml.loop.audit import last_signed, listed_entries
from cd4ml.loop.explain import explain_prediction
from cd4ml.loop.impact import impact
from cd4ml.loop.lineage import Thing, lineage
from cd4ml.loop.picture import lineage_path, svg
from cd4ml.loop.watch import alerts, windows
from cd4ml.loop.why import why
from cd4ml.web.page import MANY, Values

_PREDICTION = re.compile(r"[0-9a-fA-F]{32}")


def monitoring(project: Project, _: Request) -> Values:
    """What production brought, window by window, and the alerts it raised."""
    return {
        "alerts": alerts(project)[::-1],
        "windows": sorted(windows(project), key=lambda window: window.start, reverse=True),
    }


def entries(project: Project, request: Request) -> Values:
    """The ledger."""
    subject = request.query_params.get("subject", "")
    found = listed_entries(project, subject=subject, limit=MANY)
    return {"subject": subject, "ledger": found, "signed": last_signed(project)}


def explain(project: Project, request: Request) -> Values:
    """Why something is as it is."""
    asked = request.query_params.get("ref", "").strip()
    is_prediction = bool(_PREDICTION.fullmatch(asked))
    takes_apart = is_prediction and "parts" in request.query_params
    return {
        "asked": asked,
        "explanation": why(project, asked) if asked else None,
        "is_prediction": is_prediction,
        "answer": explain_prediction(project, asked) if takes_apart else None,
    }


class Arrow(NamedTuple):
    """A link of the lineage, with both its ends."""

    parent: Thing
    role: str
    child: Thing


_WAYS = (("both", "both ways"), ("up", "what it came from"), ("down", "what was made from it"))
_DRAWN = 80  # things in a picture that can still be looked at


def lineage_of(project: Project, request: Request) -> Values:
    """What a thing came from, and what was made from it, as a picture and in words."""
    asked = request.query_params
    of, column, way = (asked.get(key, "").strip() for key in ("of", "column", "way"))
    values: Values = {"of": of, "column": column, "way": way, "ways": _WAYS, "found": None}
    if not of:
        return values
    found = lineage(project, of, column=column, up=way != "down", down=way != "up", limit=_DRAWN)
    return values | {
        "found": found,
        "picture": Markup(svg(found, lineage_path)),
        "arrows": [Arrow(found.at(e.parent), e.role, found.at(e.child)) for e in found.links],
        "impact": impact(project, of, column=column),
    }
