"""What was done, by whom, and whether the record of it is whole."""

from __future__ import annotations

import msgspec

from cd4ml.errors import NotFound
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.store import ledger as store
from cd4ml.store.project import Project


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger that holds: how long it is, and the digest of its last entry."""

    entries: int
    head: str


def verify(project: Project) -> AuditReport:
    """Check the ledger's whole chain.

    Raises:
        Corrupted: If an entry was changed, removed or inserted; it names which.
    """
    with project.database.read() as connection:
        checked = store.verify(connection)
        newest = store.entries(connection, limit=1)
    return AuditReport(entries=checked, head=newest[0].digest if newest else store.GENESIS)


def ledger(project: Project, *, subject: str = "", limit: int = 50) -> list[LedgerEntry]:
    """The newest entries, of one subject if it is given."""
    with project.database.read() as connection:
        return store.entries(connection, subject or None, limit)


def listed_entries(project: Project, *, subject: str = "", limit: int = 50) -> list[LedgerEntry]:
    """What `ledger` finds, for somebody who names a subject that is there.

    Raises:
        NotFound: If no entry is about the subject.
    """
    found = ledger(project, subject=subject, limit=limit)
    if subject and not found:
        msg = f"no entry of the ledger is about {subject!r}"
        raise NotFound(msg, hint="a subject is a name such as release/2, delay/1 or flights@1")
    return found
