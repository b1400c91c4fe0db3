"""What the API answers about the ledger."""

from __future__ import annotations

from cd4ml.api import bodies
from cd4ml.api.endpoint import Acting, Endpoint, Reading
from cd4ml.loop import Project


def _ledger(project: Project, asked: bodies.EntriesAsked) -> object:
    from cd4ml.loop.audit import listed_entries

    return listed_entries(project, subject=asked.subject, limit=asked.limit)


def _audit(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.audit import verify

    return verify(project)


def _checkpoint(project: Project, _: bodies.Nothing, actor: str) -> object:
    """Sign the ledger as it is."""
    from cd4ml.loop.audit import checkpoint as sign

    return sign(project, actor=actor)


LEDGER: tuple[Endpoint, ...] = (
    Reading("/ledger", bodies.EntriesAsked, _ledger, "Who did what, when and why; newest first."),
    Reading("/audit", bodies.Nothing, _audit, "Check that the ledger is whole."),
    Acting("/audit/checkpoint", bodies.Nothing, _checkpoint, "Sign the ledger."),
)
