"""Releases, with everything that was decided about them."""

from __future__ import annotations

import msgspec

from cd4ml.loop.refs import number_in
from cd4ml.loop.release_evidence import ReleaseEvidence, evidence_of
from cd4ml.loop.roll_out import evidence_on
from cd4ml.records.approval import Approval
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.plan import Plan
from cd4ml.records.release import Release
from cd4ml.release import decisions
from cd4ml.release.reconcile import waits_for
from cd4ml.store import ledger, rows
from cd4ml.store.project import Project


class ReleaseDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A release with everything that was decided about it."""

    release: Release
    waits_for: str
    evidence: ReleaseEvidence
    approvals: tuple[Approval, ...]
    plans: tuple[Plan, ...]
    ledger: tuple[LedgerEntry, ...]


def releases(project: Project) -> list[Release]:
    """All releases, oldest first."""
    with project.database.read() as connection:
        return rows.find(connection, Release)


def release_details(project: Project, ref: str) -> ReleaseDetails:
    """One release, what it waits for, who decided what, and the plans it made.

    Raises:
        NotFound: If there is none.
    """
    with project.database.read() as connection:
        release = rows.get(connection, Release, number_in(ref, "release"))
    seen = evidence_on(project, release)
    with project.database.read() as connection:
        waiting = waits_for(
            connection,
            release,
            environments=project.settings.environments,
            evidence=seen,
            now=project.clock.now(),
        )
        return ReleaseDetails(
            release=release,
            waits_for=waiting,
            evidence=evidence_of(connection, release),
            approvals=tuple(decisions.of_release(connection, release)),
            plans=tuple(rows.find(connection, Plan, release=release.number)),
            ledger=tuple(reversed(ledger.entries(connection, release.ref))),
        )
