"""What the API answers about why something is as it is, and what came from what."""

from __future__ import annotations

from cd4ml.api import bodies
from cd4ml.api.endpoint import Acting, Endpoint, Reading
from cd4ml.loop import Project


def _why(project: Project, asked: bodies.Ref) -> object:
    from cd4ml.loop.why import why

    return why(project, asked.ref)


def _explain(project: Project, asked: bodies.Ref) -> object:
    from cd4ml.loop.explain import explain_prediction

    return explain_prediction(project, asked.ref)


def _explain_rows(project: Project, asked: bodies.ExplainAsked, _: str) -> object:
    from cd4ml.loop.explain import explain_rows

    return explain_rows(project, asked.ref, asked.rows)


def _lineage(project: Project, asked: bodies.LineageAsked) -> object:
    from cd4ml.loop.lineage import lineage

    up, down = asked.way != "down", asked.way != "up"
    return lineage(project, asked.ref, column=asked.column, up=up, down=down, limit=asked.limit)


def _impact(project: Project, asked: bodies.ImpactAsked) -> object:
    from cd4ml.loop.impact import impact

    return impact(project, asked.ref, column=asked.column)


REASONS: tuple[Endpoint, ...] = (
    Reading("/why/{ref:path}", bodies.Ref, _why, "What is behind a prediction, version or run."),
    Reading("/explain/{ref:path}", bodies.Ref, _explain, "What each field added to a prediction."),
    Acting(
        "/explain", bodies.ExplainAsked, _explain_rows, "What a version answers to rows, and why."
    ),
    Reading("/lineage/{ref:path}", bodies.LineageAsked, _lineage, "What came from what."),
    Reading("/impact/{ref:path}", bodies.ImpactAsked, _impact, "What is affected if it is wrong."),
)
