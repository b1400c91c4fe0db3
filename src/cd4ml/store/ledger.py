"""The ledger: append-only, each entry chained to the one before.

An entry's digest covers its own words and the digest before it, so that a changed,
removed or inserted entry breaks the chain. The database refuses updates and
deletions by trigger; `verify` finds them where somebody removed the trigger.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from cd4ml.errors import AlreadyExists, Corrupted, NotFound
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.store import rows
from cd4ml.store.address import address_of, canonical
from cd4ml.store.bare import GENESIS as GENESIS
from cd4ml.store.sealed import RECORDS, seals
from cd4ml.store.tables import TABLES

_TABLE = TABLES[LedgerEntry]
_ASKED = 500  # entries in one question


def append(
    connection: sa.Connection,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    reason: str = "",
    details: dict[str, Any] | None = None,
    records: Iterable[msgspec.Struct] = (),
) -> LedgerEntry:
    """Write down a state change, in the transaction that makes it.

    Args:
        connection: Of the write transaction that makes the change.
        at: When, by the project's clock.
        actor: Who.
        action: What was done, as `noun.verb` in the past ("release.requested").
        subject: To what: a ref or a content address.
        reason: Why, in words.
        details: What decided it, in plain JSON values.
        records: Those of the kinds in `sealed` that were written: the entry seals them.

    Raises:
        InvalidInput: If something in it cannot be stored (see `storable`).
        Corrupted: If the entry before is missing, or the counter of entries was put back.
    """
    sequence = rows.last_number(connection, LedgerEntry) + 1  # a writer is alone until it commits
    said = dict(details or {})
    if sealed := seals(connection, records):
        said[RECORDS] = sealed
    entry = LedgerEntry(
        sequence=sequence,
        at=at,
        actor=actor,
        action=action,
        subject=subject,
        reason=reason,
        details=msgspec.to_builtins(said, str_keys=True),
        previous=_digest_before(connection, sequence),
        digest="",
    )
    entry = msgspec.structs.replace(entry, digest=digest_of(entry))
    try:
        rows.insert(connection, entry)
    except (AlreadyExists, sa.exc.IntegrityError):  # by the key, or by SQLite's trigger
        written = f"it is there already, though {sequence - 1} were written"
        raise _broken(sequence, written) from None
    rows.next_number(connection, LedgerEntry)
    return entry


def _digest_before(connection: sa.Connection, sequence: int) -> str:
    if sequence == 1:
        return GENESIS
    try:
        return rows.get(connection, LedgerEntry, sequence - 1).digest
    except NotFound:
        raise _broken(sequence - 1, "it is missing") from None


def entries(
    connection: sa.Connection, subject: str | None = None, limit: int | None = None
) -> list[LedgerEntry]:
    """The entries, newest first; of one subject if it is given."""
    equal = {} if subject is None else {"subject": subject}
    return rows.find(connection, LedgerEntry, limit=limit, newest_first=True, **equal)


def subjects_since(connection: sa.Connection, action: str, sequence: int) -> list[str]:
    """What an action was done to after an entry, oldest first."""
    statement = (
        sa.select(_TABLE.c.subject)
        .where(_TABLE.c.sequence > sequence, _TABLE.c.action == action)
        .order_by(_TABLE.c.sequence)
    )
    return list(connection.execute(statement).scalars())


def verify(connection: sa.Connection, seen: Callable[[LedgerEntry], None] = lambda _: None) -> int:
    """Walk the whole chain, and show each entry that holds; returns how many there are.

    Raises:
        Corrupted: If an entry is missing, was changed or put in, or does not follow from
            the one before; the message names its sequence.
    """
    previous, checked = GENESIS, 0
    try:
        with closing(rows.each(connection, LedgerEntry)) as chain:
            for entry in chain:
                require_next(entry, checked + 1, previous)
                previous, checked = entry.digest, entry.sequence
                seen(entry)
    except (ValueError, msgspec.ValidationError, sa.exc.DataError):
        raise _broken(_first_unreadable(connection, checked), "it cannot be read") from None
    written = rows.last_number(connection, LedgerEntry)
    if checked != written:
        after = f"{written} were written"
        raise _broken(min(checked, written) + 1, f"the last one is {checked}, and {after}")
    return checked


def verify_since(connection: sa.Connection, sequence: int, digest: str) -> int:
    """Walk the chain after an entry that is known to be right; returns the last sequence.

    Raises:
        Corrupted: As `verify`.
    """
    previous, checked = digest, sequence
    statement = _TABLE.select().where(_TABLE.c.sequence > sequence).order_by(_TABLE.c.sequence)
    for entry in rows.fetch(connection, LedgerEntry, statement):
        require_next(entry, checked + 1, previous)
        previous, checked = entry.digest, entry.sequence
    return checked


def digests_at(connection: sa.Connection, sequences: Collection[int]) -> dict[int, str]:
    """The digests of those of these entries that are there."""
    asked, found = sorted(sequences), dict[int, str]()
    for i in range(0, len(asked), _ASKED):
        some = asked[i : i + _ASKED]
        statement = sa.select(_TABLE.c.sequence, _TABLE.c.digest).where(_TABLE.c.sequence.in_(some))
        found.update((row.sequence, row.digest) for row in connection.execute(statement))
    return found


def of_action(
    connection: sa.Connection, action: str, limit: int | None = None
) -> list[LedgerEntry]:
    """The entries of an action, newest first."""
    statement = (
        _TABLE.select()
        .where(_TABLE.c.action == action)
        .order_by(_TABLE.c.sequence.desc())
        .limit(limit)
    )
    return rows.fetch(connection, LedgerEntry, statement)


def newest_of(connection: sa.Connection, action: str) -> LedgerEntry | None:
    """The newest entry of an action; None if there is none."""
    found = of_action(connection, action, limit=1)
    return found[0] if found else None


def require_next(entry: LedgerEntry, sequence: int, previous: str) -> None:
    """Refuse an entry that is not the one after a digest, as it was written.

    Raises:
        Corrupted: If it has another number, was changed, or follows from something else.
    """
    if entry.sequence != sequence:
        raise _broken(sequence, f"it is missing, the next one is {entry.sequence}")
    require_unchanged(entry)
    if entry.previous != previous:
        raise _broken(sequence, f"it does not follow from entry {sequence - 1}")


def require_unchanged(entry: LedgerEntry) -> None:
    """Refuse an entry that is not as it was written.

    Raises:
        Corrupted: If it was changed.
    """
    if entry.digest != digest_of(entry):
        what = f"{entry.action} {entry.subject}"
        raise _broken(entry.sequence, f"{what} was changed after it was written")


def _first_unreadable(connection: sa.Connection, checked: int) -> int:
    sequence = checked
    with suppress(ValueError, msgspec.ValidationError, sa.exc.DataError):
        while True:
            sequence += 1
            rows.get(connection, LedgerEntry, sequence)
    return sequence


def _broken(sequence: int, reason: str) -> Corrupted:
    msg = f"the ledger is broken at entry {sequence}: {reason}"
    return Corrupted(msg, hint="compare it with a backup; `cd4ml audit verify` checks again")


def digest_of(entry: LedgerEntry) -> str:
    """The digest that an entry's words and its predecessor's digest give."""
    words = msgspec.to_builtins(entry)
    del words["digest"]
    words["at"] = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    return address_of(canonical(words))
