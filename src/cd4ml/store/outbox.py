"""What webhooks still have to be told: rows that are fed from the ledger, and claimed one by one.

The ledger is the list of what happened. How far it was read stands in the same transaction
as the rows made of it, so that a feeder killed anywhere loses no entry and queues none
twice. A row is claimed under a lease: who was killed with one leaves it to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import msgspec
import sqlalchemy as sa

from cd4ml.records.actions import OWN as OWN
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.webhook import WebhookDelivery, WebhookPosition
from cd4ml.store import rows
from cd4ml.store.tables import TABLES

_AT_ONCE = 500  # entries in one transaction
_LEDGER, _QUEUE = TABLES[LedgerEntry], TABLES[WebhookDelivery]


def is_fed(connection: sa.Connection, webhooks: Sequence[str]) -> bool:
    """Whether every entry was looked at for each of these webhooks."""
    newest = rows.last_number(connection, LedgerEntry)
    known = {each.webhook: each.entry for each in rows.find(connection, WebhookPosition)}
    return all(known.get(name, -1) >= newest for name in webhooks)


def feed(
    connection: sa.Connection, webhooks: Mapping[str, Sequence[str]], *, machine_time: datetime
) -> int:
    """Queue what the ledger says and nobody was told yet; returns how many deliveries.

    A webhook that is new is told of what comes from now on.

    Args:
        connection: Of a write transaction.
        webhooks: The patterns of the actions that each wants, such as "release.*", by its name.
        machine_time: Now.
    """
    newest = rows.last_number(connection, LedgerEntry)
    known = {each.webhook: each for each in rows.find(connection, WebhookPosition)}
    queued = 0
    for name, patterns in webhooks.items():
        position = known.get(name) or WebhookPosition(webhook=name, entry=newest, first=newest)
        found = _after(connection, position.entry)
        wanted = [entry for entry in found if is_wanted(entry.action, patterns)]
        for entry in wanted:
            _queue(connection, name, entry, machine_time)
        last = found[-1].sequence if found else position.entry
        rows.put(connection, msgspec.structs.replace(position, entry=last))
        queued += len(wanted)
    return queued


def is_wanted(action: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns covers an action.

    Examples:
        >>> is_wanted("release.undone", ["release.*", "alert.raised"])
        True
        >>> is_wanted("webhook.given_up", ["*"])
        False
    """
    if action.startswith(OWN):
        return False
    return any(fnmatchcase(action, pattern) for pattern in patterns)


def claim(
    connection: sa.Connection, webhook: str, *, owner: str, machine_time: datetime, lease_s: float
) -> WebhookDelivery | None:
    """Take the oldest delivery that is due, or whose owner fell silent; None if there is none."""
    is_free = sa.or_(_QUEUE.c.lease_until.is_(None), _QUEUE.c.lease_until <= machine_time)
    statement = (
        sa.select(_QUEUE.c.number)
        .where(_QUEUE.c.webhook == webhook, _QUEUE.c.state == "waiting", is_free)
        .where(_QUEUE.c.due_at <= machine_time)
        .order_by(_QUEUE.c.entry)
        .limit(1)
    )
    number = connection.execute(statement).scalar()
    if number is None:
        return None
    taken = msgspec.structs.replace(
        rows.get(connection, WebhookDelivery, number),
        owner=owner,
        lease_until=machine_time + timedelta(seconds=lease_s),
    )
    taken = msgspec.structs.replace(taken, attempts=taken.attempts + 1)
    rows.replace(connection, taken)
    return taken


def settle(
    connection: sa.Connection, claimed: WebhookDelivery, settled: WebhookDelivery
) -> WebhookDelivery | None:
    """Write down how an attempt ended; None if another process took the delivery over meanwhile."""
    current = rows.get(connection, WebhookDelivery, claimed.number)
    if (current.owner, current.attempts) != (claimed.owner, claimed.attempts):
        return None
    rows.replace(connection, msgspec.structs.replace(settled, owner="", lease_until=None))
    return settled


def again(
    connection: sa.Connection, webhook: str, entry: int, *, machine_time: datetime
) -> WebhookDelivery:
    """Queue an entry for a webhook once more, with all its attempts, whatever became of it.

    Raises:
        NotFound: If the ledger has no such entry.
    """
    found = rows.get(connection, LedgerEntry, entry)
    before = rows.find(connection, WebhookDelivery, webhook=webhook, entry=entry)
    if not before:
        return _queue(connection, webhook, found, machine_time)
    fresh = msgspec.structs.replace(
        before[0],
        state="waiting",
        attempts=0,
        due_at=machine_time,
        owner="",
        lease_until=None,
        ended_at=None,
    )
    rows.replace(connection, fresh)
    return fresh


def of_state(connection: sa.Connection, state: str, webhook: str = "") -> list[WebhookDelivery]:
    """The deliveries in a state, of one webhook or of all, the oldest entry first."""
    found = rows.find(connection, WebhookDelivery, state=state)
    own = [each for each in found if webhook in ("", each.webhook)]
    return sorted(own, key=lambda each: (each.webhook, each.entry))


def counted(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """How many deliveries there are by webhook and state."""
    who = (_QUEUE.c.webhook, _QUEUE.c.state)
    statement = sa.select(*who, sa.func.count()).group_by(*who)
    return {(name, state): n for name, state, n in connection.execute(statement)}


def _after(connection: sa.Connection, sequence: int) -> list[LedgerEntry]:
    later = _LEDGER.select().where(_LEDGER.c.sequence > sequence)
    return rows.fetch(connection, LedgerEntry, later.order_by(_LEDGER.c.sequence).limit(_AT_ONCE))


def _queue(
    connection: sa.Connection, webhook: str, entry: LedgerEntry, machine_time: datetime
) -> WebhookDelivery:
    delivery = WebhookDelivery(
        number=rows.next_number(connection, WebhookDelivery),
        webhook=webhook,
        entry=entry.sequence,
        action=entry.action,
        due_at=machine_time,
    )
    rows.insert(connection, delivery)
    return delivery
