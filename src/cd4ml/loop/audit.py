"""What was done, by whom, and whether the record of it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import sqlalchemy as sa

from cd4ml.errors import ConfigurationError, Corrupted, NotFound
from cd4ml.loop.audit_keys import PUBLIC, private_key, public_keys, read_public
from cd4ml.records.checkpoint import Checkpoint
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.store import checkpoints, people
from cd4ml.store import ledger as store
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project
from cd4ml.store.signing import key_id
from cd4ml.store.vouched import FOUND_CHANGED, Told

SIGNED = "ledger.signed"


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger that holds: how long it is, the digest of its last entry, and what vouches for it.

    Up to entry `signed_until` it is what was signed (0: nothing was); entries after it could have
    been rewritten together, or cut off, without being missed. So many `records` that decide are
    what it says of them; None where there are none to be held against it, as beside an export.
    `found_changed` are entries which say that a record was something else, and was gone back from,
    or ended, all the same.
    """

    entries: int
    head: str
    records: int | None = None
    found_changed: tuple[int, ...] = ()
    checkpoints: int = 0
    signed_until: int = 0
    signed_at: datetime | None = None
    keys: tuple[str, ...] = ()


def verify(
    project: Project, *, keys: Sequence[Path] = (), copies: Sequence[Path] = ()
) -> AuditReport:
    """Check the ledger's whole chain, that it is what was signed of it, and what it says of records.

    Args:
        project: Whose ledger.
        keys: Files with public keys; those of `audit-keys/` by default.
        copies: Files with checkpoints that were kept elsewhere, beside those in their place.

    Raises:
        Corrupted: If an entry was changed, removed or inserted; if a person, token, verdict,
            approval, release or plan is not what the ledger says of it; if the ledger was rewritten or cut
            off; if a checkpoint was changed or taken away. It names which.
        ConfigurationError: If a key or copy cannot be read.
        Unavailable: If the checkpoints' place does not answer.
    """
    signed = project.checkpoints.all()
    with project.database.read() as connection:
        told = Told()
        checked = store.verify(connection, told.take)
        newest = store.entries(connection, limit=1)
        known = _known_keys(project, keys)
        checkpoints.require_whole(signed, known)
        kept = [_read(path) for path in copies]
        for each in kept:  # what lies between them may be elsewhere
            checkpoints.require_signed(each, known)
        every = [*signed, *kept]
        digests = store.digests_at(connection, {each.sequence for each in every})
        checkpoints.require_agreement(every, digests, length=checked)
        _refuse_missing(connection, signed)
        n_records = told.verify(connection)  # last: of a ledger that was cut off, that is said
        found = store.of_action(connection, FOUND_CHANGED)
    last = max(every, key=lambda each: each.sequence, default=None)
    return AuditReport(
        entries=checked,
        records=n_records,
        found_changed=tuple(each.sequence for each in reversed(found)),
        head=newest[0].digest if newest else store.GENESIS,
        checkpoints=len(signed),
        signed_until=last.sequence if last else 0,
        signed_at=last.at if last else None,
        keys=tuple(dict.fromkeys(each.key for each in every)),
    )


def checkpoint(project: Project, *, actor: str) -> Checkpoint:
    """Sign the ledger as it is, and keep that where it cannot be changed.

    What was signed before is checked first: a key never signs a ledger that contradicts itself.
    Without anything new the newest checkpoint is given again.

    Raises:
        NotFound: If there is no key here, nobody has the actor's name, or nothing is to be signed.
        Corrupted: If the ledger, or the newest checkpoint, does not hold.
        Unavailable: If the checkpoints' place does not answer.
    """
    private = private_key(project)
    place = project.checkpoints
    before = place.newest()
    if before:
        checkpoints.require_signed(before, _known_keys(project, ()))
    with project.database.read() as connection:
        people.actor(connection, actor)
        head = _head_since(connection, before)
    if before and head.sequence == before.sequence:  # who made it was killed before it said so
        _write_down(project, before, actor)
        return before
    if before and _is_its_word(head, before):
        return before
    fresh = Checkpoint(
        project=project.settings.project.name,
        sequence=head.sequence,
        head=head.digest,
        at=project.clock.now(),
        previous=checkpoints.address_of(before) if before else "",
        key="",
    )
    put = place.put(checkpoints.signed(fresh, private))
    _write_down(project, put, actor)
    return put


def checkpoint_if_due(project: Project) -> Checkpoint | None:
    """A checkpoint by the system, where a key is and it is time; None if not.

    Raises:
        Corrupted: As `checkpoint`.
        Unavailable: As `checkpoint`.
    """
    if not project.signing_key.exists():
        return None
    with project.database.read() as connection:
        last = store.newest_of(connection, SIGNED)
        newest = store.entries(connection, limit=1)
    every = timedelta(minutes=project.settings.audit.every_minutes)
    is_early = last is not None and project.clock.now() < last.at + every
    if not newest or is_early or newest[0] == last:
        return None  # an entry that only says so needs no checkpoint of its own
    return checkpoint(project, actor=SYSTEM)


def last_signed(project: Project) -> LedgerEntry | None:
    """The entry that says when the ledger was signed last; None if it never was."""
    with project.database.read() as connection:
        return store.newest_of(connection, SIGNED)


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


def _known_keys(project: Project, given: Sequence[Path]) -> dict[str, bytes]:
    if not given:
        return public_keys(project.folder / PUBLIC)
    return {key_id(pem): pem for pem in map(read_public, given)}


def _head_since(connection: sa.Connection, before: Checkpoint | None) -> LedgerEntry:
    """The newest entry, once the whole ledger holds, and the records of which it says."""
    told = Told()
    last = store.verify(connection, told.take)
    if before is not None:
        digests = store.digests_at(connection, {before.sequence})
        checkpoints.require_agreement([before], digests, length=last)
    told.verify(connection)
    newest = store.entries(connection, limit=1)
    if not newest:
        raise NotFound("the ledger is empty: there is nothing to sign")
    return newest[0]


def _is_its_word(head: LedgerEntry, before: Checkpoint) -> bool:
    """Whether nothing happened since a checkpoint but that it was written down."""
    is_next = head.sequence == before.sequence + 1
    return is_next and (head.action, head.subject) == (SIGNED, before.ref)


def _write_down(project: Project, put: Checkpoint, actor: str) -> None:
    """After the object is there: who is killed in between leaves one more than is written down."""
    with project.database.write() as connection:
        if store.entries(connection, put.ref, limit=1):
            return
        store.append(
            connection,
            at=project.clock.now(),
            actor=actor,
            action=SIGNED,
            subject=put.ref,
            details={"head": put.head, "key": put.key, "address": checkpoints.address_of(put)},
        )


def _refuse_missing(connection: sa.Connection, signed: Sequence[Checkpoint]) -> None:
    """Checkpoints that the ledger knows of are in their place, and the same."""
    there = {each.ref: checkpoints.address_of(each) for each in signed}
    for entry in reversed(store.of_action(connection, SIGNED)):
        if there.get(entry.subject) != entry.details.get("address"):
            msg = f"{entry.subject} is not in its place as it was written there"
            raise Corrupted(msg, hint="somebody took it away or changed it: compare with a copy")


def _read(path: Path) -> Checkpoint:
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigurationError(msg, hint="a file with one checkpoint") from None
    return checkpoints.read_checkpoint(content, str(path))
