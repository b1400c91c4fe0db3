"""Whether the records that decide are what the ledger says of them."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cd4ml.errors import Corrupted
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.run import Run
from cd4ml.records.verdict import Verdict
from cd4ml.store import ledger, rows
from cd4ml.store.address import address_of_record
from cd4ml.store.sealed import GONE, KINDS, MADE, RECORDS, made_of, name_of

FOUND_CHANGED = "record.found_changed"

_HINT = "compare it with a backup; `cd4ml audit verify` checks again"


class Told:
    """What the ledger says last of each record, gathered entry by entry."""

    def __init__(self) -> None:
        self._seals: dict[str, tuple[int, str]] = {}

    def take(self, entry: LedgerEntry) -> None:
        """One more entry, in the order of the ledger."""
        for name, seal in entry.details.get(RECORDS, {}).items():
            self._seals[name] = (entry.sequence, seal)
        for name in entry.details.get(GONE, ()):
            self._seals.pop(name, None)

    def verify(self, connection: sa.Connection) -> int:
        """Hold every record against what was said of it last; returns how many there are.

        Raises:
            Corrupted: If one was changed, put in or taken away without an entry; it is named.
        """
        missing = dict(self._seals)
        for kind in KINDS:
            with closing(rows.each(connection, kind)) as records:
                for record in records:
                    _require_sealed(record, missing.pop(name_of(record), None))
        if missing:
            name, (sequence, _) = min(missing.items(), key=lambda each: each[1][0])
            raise Corrupted(words_of_missing(name, sequence), hint=_HINT)
        return len(self._seals)


def words_of_missing(name: str, sequence: int) -> str:
    """What is said of a record that is not there, though an entry says so."""
    return f"{name} is missing, of which entry {sequence} of the ledger says that it is there"


def require(connection: sa.Connection, record: msgspec.Struct, *, subject: str) -> None:
    """Let nothing rest on a record that is not what the ledger says of it.

    Args:
        connection: Of a transaction.
        record: As it is in its table.
        subject: What the entries that say so are about.

    Raises:
        Corrupted: If no entry about the subject seals it, or the newest that does says otherwise.
    """
    name = name_of(record)
    for entry in ledger.entries(connection, subject):
        if seal := entry.details.get(RECORDS, {}).get(name):
            ledger.require_unchanged(entry)
            _require_sealed(record, (entry.sequence, seal))
            return
    _require_sealed(record, None)


def require_made(connection: sa.Connection, verdict: Verdict, run: Run) -> None:
    """Let nothing rest on a run whose code, data or installation is not what was judged.

    Raises:
        Corrupted: If the entry that gave the verdict says otherwise.
    """
    for entry in ledger.entries(connection, verdict.ref):
        if (made := entry.details.get(MADE)) and made != made_of(run):
            msg = f"{run.ref} was changed since entry {entry.sequence} of the ledger"
            raise Corrupted(f"{msg}, which says what it was made of", hint=_HINT)


def require_or_say(
    connection: sa.Connection, record: msgspec.Struct, *, subject: str, actor: str, at: datetime
) -> None:
    """As `require`, for what may not wait: it goes on, and the ledger says for ever that it did.

    What is written over a record seals it anew. Without an entry of its own nobody would see any
    more that somebody had changed it.
    """
    try:
        require(connection, record, subject=subject)
    except Corrupted as found:
        ledger.append(
            connection,
            at=at,
            actor=actor,
            action=FOUND_CHANGED,
            subject=subject,
            reason=found.message,
            records=(record,),
        )


def _require_sealed(record: msgspec.Struct, told: tuple[int, str] | None) -> None:
    if told is None:
        msg = f"{name_of(record)} is not in the ledger: no entry says how it came to be"
        raise Corrupted(msg, hint=_HINT)
    sequence, seal = told
    if address_of_record(record) != seal:
        msg = f"{name_of(record)} was changed since entry {sequence} of the ledger, which says what it was"
        raise Corrupted(msg, hint=_HINT)
