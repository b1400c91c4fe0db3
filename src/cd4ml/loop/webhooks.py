"""Tell others what the ledger says: at least once each, signed, and again until it is taken."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from cd4ml.engines.webhook.backoff import wait_s
from cd4ml.engines.webhook.posting import Attempt, post
from cd4ml.engines.webhook.signature import key_of, signed
from cd4ml.errors import ConfigurationError, InvalidInput, NotFound
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.settings import WebhookSettings
from cd4ml.records.webhook import WebhookDelivery, WebhookPosition
from cd4ml.store import ledger, outbox, people, rows
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project
from cd4ml.store.webhook_settings import VARIABLE

_MARGIN_S = 5.0  # a lease outlasts the attempt by so much
_TURN_S = 10.0  # a webhook with many deliveries goes on in the next turn, after the others
_MOST_AT_ONCE = 8  # webhooks

_log = logging.getLogger(__name__)


class WebhookSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook, and how far it is told.

    `url` is without its query, which may be secret. `problem` is why nothing can be sent.
    """

    name: str
    url: str
    events: tuple[str, ...]
    entry: int  # the last of the ledger that was looked at for it
    waiting: int
    delivered: int
    dead: int
    problem: str = ""


def tell(project: Project, *, owner: str) -> int:
    """Queue what is new in the ledger, and send what is due; returns how many were delivered.

    What a receiver does not take is sent again later; an outage of it holds up nobody else.

    Args:
        project: Whose webhooks.
        owner: Names this process in leases.
    """
    webhooks = project.settings.webhooks
    if not webhooks:
        return 0
    queue_new(project)
    names = list(webhooks)
    if len(names) == 1:
        return _tell_one(project, names[0], owner)
    with ThreadPoolExecutor(min(len(names), _MOST_AT_ONCE), "webhook") as pool:
        return sum(pool.map(lambda name: _tell_one(project, name, owner), names))


def queue_new(project: Project) -> int:
    """Queue what the ledger says and no webhook was told yet; returns how many deliveries."""
    webhooks = {name: each.events for name, each in project.settings.webhooks.items()}
    queued = 0
    while True:
        with project.database.read() as connection:
            if outbox.is_fed(connection, list(webhooks)):
                return queued
        with project.database.write() as connection:
            now = project.clock.machine_time()
            queued += outbox.feed(connection, webhooks, machine_time=now)


def webhooks(project: Project) -> list[WebhookSeen]:
    """The webhooks of `cd4ml.toml`, and those that once stood there and have deliveries left."""
    with project.database.read() as connection:
        counted = outbox.counted(connection)
        positions = {each.webhook: each for each in rows.find(connection, WebhookPosition)}
    known = project.settings.webhooks
    names = [*known, *sorted({name for name, _ in counted} - set(known))]
    return [_seen(name, known.get(name), positions.get(name), counted) for name in names]


def deliveries(
    project: Project,
    *,
    webhook: str = "",
    state: Literal["waiting", "delivered", "dead"] = "dead",
) -> list[WebhookDelivery]:
    """Deliveries in a state: those that were given up, unless another one is asked for.

    Raises:
        NotFound: If nobody knows a webhook of this name.
    """
    _refuse_unknown(project, webhook)
    with project.database.read() as connection:
        return outbox.of_state(connection, state, webhook)


def resend(project: Project, webhook: str, *, entry: int = 0, actor: str) -> list[WebhookDelivery]:
    """Send again what was given up, or one entry of the ledger whatever became of it.

    Args:
        project: Whose webhook.
        webhook: Its name.
        entry: Of the ledger; 0 for all that were given up.
        actor: Who asks.

    Raises:
        NotFound: If there is no such webhook, entry or person.
        InvalidInput: If the entry is about webhooks themselves.
    """
    if webhook not in project.settings.webhooks:
        raise _unknown(project, webhook)
    with project.database.write() as connection:
        people.actor(connection, actor)
        now = project.clock.machine_time()
        dead = [each.entry for each in outbox.of_state(connection, "dead", webhook)]
        entries = [entry] if entry else dead
        for each in entries:
            _refuse_own(rows.get(connection, LedgerEntry, each))
        found = [outbox.again(connection, webhook, each, machine_time=now) for each in entries]
        if found:
            ledger.append(
                connection,
                at=project.clock.now(),
                actor=actor,
                action="webhook.resent",
                subject=f"webhook/{webhook}",
                details={"entries": entries},
            )
        return found


def message_of(project: str, entry: LedgerEntry) -> bytes:
    """What a webhook is sent: `type` (the action), `timestamp`, and the entry as `data`."""
    return msgspec.json.encode(
        {
            "type": entry.action,
            "timestamp": entry.at,
            "project": project,
            "data": msgspec.to_builtins(entry),
        }
    )


def id_of(entry: LedgerEntry) -> str:
    """The id by which a receiver knows that it has an event already; the same at every attempt."""
    return f"entry_{entry.sequence}_{entry.digest.rpartition(':')[2][:16]}"


def _tell_one(project: Project, name: str, owner: str) -> int:
    try:
        key = _key(project.settings.webhooks[name])
    except ConfigurationError as error:
        _log.error("webhook %s: %s", name, error)
        return 0
    delivered = 0
    begun = project.clock.machine_time()
    while project.clock.machine_time() - begun < timedelta(seconds=_TURN_S):
        claimed = _claim(project, name, owner)
        if claimed is None:
            break
        attempt = _attempt(project, claimed, key)
        _settle(project, claimed, attempt)
        delivered += attempt.is_delivered
        if attempt.status == 0:
            break  # nobody is there; what else is due waits for the next turn
    return delivered


def _claim(project: Project, name: str, owner: str) -> WebhookDelivery | None:
    lease_s = project.settings.webhooks[name].patience_s + _MARGIN_S
    with project.database.write() as connection:
        now = project.clock.machine_time()
        return outbox.claim(connection, name, owner=owner, machine_time=now, lease_s=lease_s)


def _attempt(project: Project, claimed: WebhookDelivery, key: bytes) -> Attempt:
    settings = project.settings.webhooks[claimed.webhook]
    with project.database.read() as connection:
        entry = rows.get(connection, LedgerEntry, claimed.entry)
    body = message_of(project.settings.project.name, entry)
    seconds = int(project.clock.machine_time().timestamp())
    headers = {
        "content-type": "application/json",
        "webhook-id": id_of(entry),
        "webhook-timestamp": str(seconds),
        "webhook-signature": signed(key, id=id_of(entry), timestamp=seconds, body=body),
    }
    return post(settings.url, body, headers, patience_s=settings.patience_s)


def _settle(project: Project, claimed: WebhookDelivery, attempt: Attempt) -> None:
    now = project.clock.machine_time()
    after = msgspec.structs.replace(claimed, status=attempt.status, error=attempt.error)
    is_last = claimed.attempts >= project.settings.webhooks[claimed.webhook].attempts
    if attempt.is_delivered:
        after = msgspec.structs.replace(after, state="delivered", ended_at=now)
    elif attempt.is_final or is_last:
        after = msgspec.structs.replace(after, state="dead", ended_at=now)
    else:
        pause = wait_s(claimed.attempts, random.random(), attempt.wait_s)
        after = msgspec.structs.replace(after, due_at=now + timedelta(seconds=pause))
    with project.database.write() as connection:
        settled = outbox.settle(connection, claimed, after)
        if settled is not None and settled.state == "dead":
            ledger.append(
                connection,
                at=project.clock.now(),
                actor=SYSTEM,
                action="webhook.given_up",
                subject=settled.ref,
                reason=f"after {claimed.attempts} attempts: {settled.error}",
            )


def _key(settings: WebhookSettings) -> bytes:
    found = VARIABLE.fullmatch(settings.secret)
    name = found[1] if found else settings.secret
    if not os.environ.get(name):
        msg = f"the environment variable {name} is not set, so nothing can be signed"
        raise ConfigurationError(msg, hint=f'export {name}="whsec_$(openssl rand -base64 32)"')
    return key_of(os.environ[name], name)


def _seen(
    name: str,
    settings: WebhookSettings | None,
    position: WebhookPosition | None,
    counted: Mapping[tuple[str, str], int],
) -> WebhookSeen:
    parts = urlsplit(settings.url if settings else "")
    return WebhookSeen(
        name=name,
        url=f"{parts.scheme}://{parts.netloc}{parts.path}" if settings else "",
        events=settings.events if settings else (),
        entry=position.entry if position else 0,
        waiting=counted.get((name, "waiting"), 0),
        delivered=counted.get((name, "delivered"), 0),
        dead=counted.get((name, "dead"), 0),
        problem=_problem(settings),
    )


def _problem(settings: WebhookSettings | None) -> str:
    if settings is None:
        return "cd4ml.toml does not name it any more"
    try:
        _key(settings)
    except ConfigurationError as error:
        return error.message
    return ""


def _refuse_unknown(project: Project, webhook: str) -> None:
    if webhook and webhook not in {each.name for each in webhooks(project)}:
        raise _unknown(project, webhook)


def _unknown(project: Project, webhook: str) -> NotFound:
    known = ", ".join(project.settings.webhooks) or "none: add [webhooks.NAME] to cd4ml.toml"
    return NotFound(f"no webhook named {webhook!r} in cd4ml.toml", hint=f"known: {known}")


def _refuse_own(entry: LedgerEntry) -> None:
    if entry.action.startswith(outbox.OWN):
        msg = f"entry {entry.sequence} ({entry.action}) is about webhooks, and told to none"
        raise InvalidInput(msg, hint="cd4ml audit log shows the entries")
