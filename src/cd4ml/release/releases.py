"""Releases as rows: find them, hold them, change them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.records.release import Release
from cd4ml.release.environments import Environments, before
from cd4ml.store import ledger, rows, vouched


class MissingBefore(NamedTuple):
    """An environment on a version's way where another version is in charge, or none."""

    environment: str
    has: str  # "delay/2", or "no version"

    @property
    def words(self) -> str:
        """What has to happen first."""
        return f"it has to be in charge in {self.environment} first, where {self.has} is"


def in_charge(connection: sa.Connection, model: str, environment: str) -> Release | None:
    """The release whose version answers in an environment; None before the first one."""
    return _only(connection, model, environment, state="released")


def rolling_out(connection: sa.Connection, model: str, environment: str) -> Release | None:
    """The release on its way into an environment; there is at most one."""
    return _only(connection, model, environment, state="rolling_out")


def missing_before(
    connection: sa.Connection,
    model: str,
    version: int,
    environment: str,
    *,
    environments: Environments,
) -> MissingBefore | None:
    """The first environment before this one in which the version is not in charge now."""
    for earlier in before(environments, environment):
        there = in_charge(connection, model, earlier)
        if there is None or there.version != version:
            return MissingBefore(earlier, f"{model}/{there.version}" if there else "no version")
    return None


def hold(connection: sa.Connection, number: int) -> Release:
    """The release as it is now, kept from changing until this transaction ends.

    All releases of its model in its environment are held with it: what happens to one depends on
    the others. They are held by the row of the first of them, so that two holders cannot wait
    for each other.

    Raises:
        NotFound: If there is no such release.
    """
    release = rows.get(connection, Release, number)
    same = rows.find(
        connection, Release, model=release.model, environment=release.environment, limit=1
    )
    rows.get(connection, Release, same[0].number, lock=True)
    return rows.get(connection, Release, number)


def change(
    connection: sa.Connection,
    release: Release,
    *,
    actor: str,
    action: str,
    reason: str,
    at: datetime,
    details: dict[str, Any] | None = None,
    records: Iterable[msgspec.Struct] = (),
    may_wait: bool = True,
    **changes: Any,
) -> Release:
    """Write a held release anew, one transition further, and the ledger entry that says why.

    A clock that went back does not take the release back with it: `entered_at` never falls. The
    entry seals the release, and the `records` that were written with it.

    Raises:
        Corrupted: If the release is not what the ledger says of it. Going back may not wait for
            that (`may_wait=False`): it is written down instead.
    """
    if may_wait:
        vouched.require(connection, release, subject=release.ref)
    else:
        vouched.require_or_say(connection, release, subject=release.ref, actor=actor, at=at)
    given = {"entered_at": max(at, release.entered_at), "state_reason": reason, **changes}
    changed = msgspec.structs.replace(release, transitions=release.transitions + 1, **given)
    rows.replace(connection, changed)
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action=action,
        subject=release.ref,
        reason=reason,
        details={
            "from": release.state,
            "state": changed.state,
            "step": changed.step,
            "plan": changed.plan,
            "transition": changed.transitions,
            **(details or {}),
        },
        records=(changed, *records),
    )
    return changed


def _only(connection: sa.Connection, model: str, environment: str, *, state: str) -> Release | None:
    found = rows.find(
        connection, Release, model=model, environment=environment, state=state, limit=1
    )
    return found[0] if found else None
