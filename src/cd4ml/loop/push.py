"""Take in rows that somebody sends: checked, stored, and only then acknowledged."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from cd4ml.data.snapshot import Snapshot
from cd4ml.data.sources import pushed
from cd4ml.data.sources.rows import READERS, Batch
from cd4ml.data.versions import newest_version, publish
from cd4ml.errors import Conflict, InvalidInput
from cd4ml.loop.access import discreet
from cd4ml.loop.contracts import declared
from cd4ml.loop.ingest import register
from cd4ml.loop.quarantine import context_of
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.push import Push
from cd4ml.store import people, rows
from cd4ml.store.address import address_of
from cd4ml.store.project import Project

_LONGEST_KEY = 200  # characters
_MOST_ATTEMPTS = 100  # each of them loses only to somebody who wins


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: the version that ends with its rows."""

    version: str  # "rides@4"
    digest: str
    n_rows: int  # of the batch
    n_rows_total: int  # of the version
    is_repeated: bool  # whether it had been taken in before, under this key


def push(
    project: Project, name: str, body: bytes, *, content_type: str, key: str, actor: str
) -> Pushed:
    """Append the rows of a request to a dataset; when this returns they are on disk.

    The same body under the same key is taken in once, however often it is sent: of
    a sender who heard no answer, and sends again, nothing is lost and nothing doubled.
    Any number may push at once; each batch makes a version of its own.

    Args:
        project: Whose dataset: one with `source = "pushed"`.
        name: As `cd4ml.toml` has it.
        body: The rows.
        content_type: How they are written: one of `rows.READERS`.
        key: What the sender calls this batch.
        actor: Who.

    Raises:
        NotFound: If nobody has the actor's name.
        InvalidInput: If the dataset takes no such rows, or these cannot be read.
        ContractViolated: With every rule that the rows break; nothing is stored.
        Conflict: If another body came under this key before.
    """
    _refuse_unless_pushed(project, name)
    _refuse_unless_key(key)
    address = address_of(content_type.encode() + b"\n" + body)
    with project.database.read() as connection:
        people.actor(connection, actor)
        known = _known(connection, name, key, address)
    if known is not None:
        return known
    contract = declared(project, project.settings.data[name].contract, key=f"data.{name}.contract")
    arrival = _Arrival(name, key, address, contract, actor)
    for _ in range(_MOST_ATTEMPTS):
        with discreet(project, name, actor=actor):
            done = _attempt(project, arrival, body, content_type)
        if done is not None:
            return done
    msg = f"{_MOST_ATTEMPTS} others who pushed rows to {name!r} were faster"
    raise Conflict(msg, hint="send it again under the same key")


class _Arrival(msgspec.Struct, frozen=True):
    dataset: str
    key: str
    body: str
    contract: Contract | None
    actor: str


def _attempt(project: Project, arrival: _Arrival, body: bytes, content_type: str) -> Pushed | None:
    """Append to what is the newest version now; None if it is not any more at the end."""
    with project.database.read() as connection:
        before = newest_version(connection, arrival.dataset)
    batch = _read(project, arrival, before, body, content_type)
    context = context_of(project, arrival.contract, actor=arrival.actor)
    snapshot = pushed.append(project.files, before, batch, arrival.contract, context)
    with project.database.write() as connection:
        register(connection, project, arrival.dataset, arrival.actor, snapshot.columns)
        known = _known(connection, arrival.dataset, arrival.key, arrival.body)
        if known is not None:  # the sender did not wait for the answer to the first one
            return known
        now = newest_version(connection, arrival.dataset)
        if now != before:
            return None
        return _publish(connection, project, arrival, snapshot, before, batch.frame.height)


def _read(
    project: Project,
    arrival: _Arrival,
    before: DatasetVersion | None,
    body: bytes,
    content_type: str,
) -> Batch:
    known = pushed.columns_of(project.files, before)
    return READERS[content_type](body, contract=arrival.contract, known=known)


def _publish(
    connection: sa.Connection,
    project: Project,
    arrival: _Arrival,
    snapshot: Snapshot,
    before: DatasetVersion | None,
    n_rows: int,
) -> Pushed:
    at = project.clock.now()
    version = publish(
        connection,
        snapshot,
        dataset=arrival.dataset,
        at=at,
        actor=arrival.actor,
        note=f"{n_rows:,} {'row' if n_rows == 1 else 'rows'} pushed as {arrival.key}",
        parents=(before.digest,) if before else (),
    )
    push = Push(
        dataset=arrival.dataset,
        key=arrival.key,
        body=arrival.body,
        n_rows=n_rows,
        version=version.number,
        pushed_at=at,
        pushed_by=arrival.actor,
    )
    rows.insert(connection, push)
    return _pushed(push, version, is_repeated=False)


def _known(connection: sa.Connection, name: str, key: str, body: str) -> Pushed | None:
    """What became of the same batch when it came first; None if it comes first now."""
    for push in rows.find(connection, Push, dataset=name, key=key):
        if push.body != body:
            msg = f"another body came under the key {key!r} before, as {name}@{push.version}"
            raise Conflict(msg, hint="each batch has a key of its own")
        version = rows.get(connection, DatasetVersion, name, push.version)
        return _pushed(push, version, is_repeated=True)
    return None


def _pushed(push: Push, version: DatasetVersion, *, is_repeated: bool) -> Pushed:
    return Pushed(
        version=version.ref,
        digest=version.digest,
        n_rows=push.n_rows,
        n_rows_total=version.n_rows,
        is_repeated=is_repeated,
    )


def _refuse_unless_pushed(project: Project, name: str) -> None:
    taking = [key for key, data in project.settings.data.items() if data.source == "pushed"]
    if name not in taking:
        msg = f"the dataset {name!r} takes no rows that are pushed"
        known = ", ".join(taking) or "none"
        hint = f'[data.{name}] needs source = "pushed"; known with it: {known}'
        raise InvalidInput(msg, hint=hint)


def _refuse_unless_key(key: str) -> None:
    if not (key.isprintable() and 0 < len(key) <= _LONGEST_KEY):
        msg = (
            f"expected a key of 1 to {_LONGEST_KEY} printable characters that names"
            f" this batch, got {key!r:.80}"
        )
        raise InvalidInput(msg, hint="send the header Idempotency-Key; a UUID will do")
