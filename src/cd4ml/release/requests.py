"""Asking for a version to be released."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.errors import (
    AlreadyExists,
    Conflict,
    NotAllowed,
    Refused,
)
from cd4ml.records.actor import Actor
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import WAITING, Release
from cd4ml.records.run import Run
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.records.verdict import Verdict
from cd4ml.release.content import (
    changed_since,
    content_address,
    decides,
    is_same,
    plan_address,
)
from cd4ml.release.emergency import refuse_emergency, take_over
from cd4ml.release.environments import Environments, settings_of
from cd4ml.release.readiness import refuse_unless_before, refuse_unless_passed, require_verdict
from cd4ml.release.releases import change, hold, in_charge, rolling_out
from cd4ml.store import ledger, lineage, people, rows, vouched

_UNDER_WAY = {*WAITING, "rolling_out"}


def request_release(
    connection: sa.Connection,
    version: ModelVersion,
    *,
    environment: str,
    environments: Environments,
    by: Actor,
    at: datetime,
    reason: str = "",
    is_retrained: bool = False,
    is_emergency: bool = False,
    caused_by: str = "",
) -> Release:
    """Ask for a version to be offered in an environment; `reconcile` takes it from there.

    The release awaits approval, also where none is needed: the next reconcile begins it then.
    Asking again for the same content while the first release is under way gives that one.

    Args:
        connection: Of a write transaction.
        version: What to release.
        environment: Where to.
        environments: All of them, in the order of `cd4ml.toml`.
        by: Who asks; may not approve it later.
        at: Now.
        reason: Why, in words.
        is_retrained: The system asks after retraining; a standing approval may cover it.
        is_emergency: It needs no approval and heeds no freeze, where the policy allows that; it
            ends what rolls out there, and open requests of its version; it is marked for ever, and somebody else reviews it afterwards.
        caused_by: Who asked for the retraining; may not approve it either.

    Raises:
        NotFound: If there is no such environment.
        Refused: If the version was deleted, is not packaged, was not judged or did not pass, or is
            not in charge in an environment before.
        Inconclusive: If the verdict is inconclusive.
        Corrupted: If the version or its verdict is not what the ledger says of it.
        NotAllowed: If a person claims that the system retrained it, or may call no emergency.
        InvalidInput: If an emergency says no reason.
        AlreadyExists: If exactly this content is in charge there.
        Conflict: If another release of the model is rolling out there.
    """
    settings = settings_of(environments, environment)
    if is_emergency:
        refuse_emergency(version, environment, settings, by, reason)
    verdict = _passed(connection, version, environment, settings)
    if is_retrained and by.kind != "system":
        raise NotAllowed(f"{by.name} may not request {version.ref} as retrained by the system")
    refuse_unless_before(connection, version, environment, environments)
    run = rows.get(connection, Run, version.run)
    vouched.require_made(connection, verdict, run)
    digests = decides(version, run, verdict, environment=environment, settings=settings)
    content = content_address(digests)
    under_way = _under_way(connection, version.model, environment, content)
    if under_way and under_way.is_emergency == is_emergency:
        return under_way
    number = rows.next_number(connection, Release)  # from here to commit nobody else requests
    there = in_charge(connection, version.model, environment)
    _refuse_if_there(version, environment, there, digests)
    if is_emergency:
        take_over(connection, version, environment, by, reason, at)
    _refuse_if_taken(connection, version, environment, content)
    release = Release(
        number=number,
        model=version.model,
        version=version.number,
        environment=environment,
        state="awaiting_approval",
        decides=digests,
        content=content,
        verdict=verdict.number,
        compared=there.number if there else 0,
        is_retrained=is_retrained,
        is_emergency=is_emergency,
        reason=reason,
        requested_by=by.name,
        caused_by="" if caused_by == by.name else caused_by,
        requested_at=at,
        asked_at=at,
        entered_at=at,
    )
    _add(connection, release, verdict, there)
    return release


def _passed(
    connection: sa.Connection,
    version: ModelVersion,
    environment: str,
    settings: EnvironmentSettings,
) -> Verdict:
    """The verdict by which a version may go on; both are what the ledger says of them."""
    verdict = require_verdict(connection, version)
    vouched.require(connection, version, subject=version.ref)
    vouched.require(connection, verdict, subject=verdict.ref)
    refuse_unless_passed(version, verdict, environment, settings)
    return verdict


def _refuse_if_there(
    version: ModelVersion, environment: str, there: Release | None, digests: dict[str, str]
) -> None:
    if there is not None and is_same(there.decides, digests):
        same = f"{there.model}/{there.version}"
        what = same if same == version.ref else f"{same}, which is the same as {version.ref},"
        raise AlreadyExists(f"{what} is in charge in {environment} already, by {there.ref}")


def ask_again(
    connection: sa.Connection,
    number: int,
    *,
    settings: EnvironmentSettings,
    by: Actor,
    reason: str,
    at: datetime,
) -> Release:
    """Ask for a release once more after changes were requested; everybody looks again.

    Where the system requested it, the person who asks again has requested it from then on.

    Raises:
        NotFound: If there is no such release.
        Conflict: If nobody requested changes of it.
        NotAllowed: If somebody else requested it.
        Refused: If the settings have changed since: it would be another release.
    """
    release = hold(connection, number)
    if release.state != "changes_requested":
        msg = f"{release.ref} is {release.state.replace('_', ' ')}; nobody waits for its requester"
        raise Conflict(msg)
    _refuse_unless_requester(release, by, "ask again for")
    if plan_address(settings) != release.decides["plan"]:
        msg = (
            f"the settings of {release.environment} have changed since {release.ref} was requested"
        )
        raise Refused(msg, hint=f"cd4ml release withdraw {release.ref}, and request it anew")
    return change(
        connection,
        release,
        actor=by.name,
        action="release.asked_again",
        reason=reason,
        at=at,
        details={"round": release.round + 1, "content": release.content},
        state="awaiting_approval",
        round=release.round + 1,
        asked_at=max(at, release.asked_at),
        requested_by=by.name,
        is_retrained=release.is_retrained and by.name == release.requested_by,
    )


def withdraw(
    connection: sa.Connection, number: int, *, by: Actor, reason: str, at: datetime
) -> Release:
    """Take a request back before it begins: its requester may; the system's, anybody.

    Raises:
        NotFound: If there is no such release.
        Conflict: If it has begun or ended.
        NotAllowed: If somebody else requested it.
    """
    release = hold(connection, number)
    if release.state not in WAITING:
        msg = f"{release.ref} is {release.state.replace('_', ' ')}; only a request that has not"
        hint = f"cd4ml release abort {release.ref}" if release.state == "rolling_out" else ""
        raise Conflict(f"{msg} begun can be withdrawn", hint=hint)
    _refuse_unless_requester(release, by, "withdraw")
    why = f"withdrawn by {by.name}: {reason}" if reason else f"withdrawn by {by.name}"
    return change(
        connection,
        release,
        actor=by.name,
        action="release.withdrawn",
        reason=why,
        at=at,
        state="withdrawn",
    )


def _refuse_unless_requester(release: Release, by: Actor, what: str) -> None:
    if by.name != release.requested_by and release.requested_by != people.SYSTEM:
        msg = f"{by.name} may not {what} {release.ref}: {release.requested_by} requested it"
        raise NotAllowed(msg, hint=f"cd4ml release abort {release.ref} stops it for everybody")


def _under_way(
    connection: sa.Connection, model: str, environment: str, content: str
) -> Release | None:
    same = rows.find(
        connection,
        Release,
        model=model,
        environment=environment,
        content=content,
        newest_first=True,
    )
    return next((one for one in same if one.state in _UNDER_WAY), None)


def _refuse_if_taken(
    connection: sa.Connection,
    version: ModelVersion,
    environment: str,
    content: str,
) -> None:
    rival = rolling_out(connection, version.model, environment)
    rival = rival or _under_way(connection, version.model, environment, content)
    if rival is not None:
        msg = (
            f"{version.ref} was not released: {rival.ref} ({rival.model}/{rival.version}) is on its"
            f" way into {environment}"
        )
        raise Conflict(msg, hint=f"wait until it has ended, or: cd4ml release abort {rival.ref}")


def _add(
    connection: sa.Connection, release: Release, verdict: Verdict, there: Release | None
) -> None:
    rows.insert(connection, release)
    at, version = release.requested_at, f"{release.model}/{release.version}"
    lineage.note(connection, address=release.ref, kind="release", name=release.ref, at=at)
    lineage.link(connection, release.ref, version, "released as")
    lineage.link(connection, release.ref, verdict.ref, "judged by")
    ledger.append(
        connection,
        at=at,
        actor=release.requested_by,
        action="release.requested",
        subject=release.ref,
        reason=release.reason,
        details={
            "version": version,
            "environment": release.environment,
            "verdict": verdict.ref,
            "is_retrained": release.is_retrained,
            "is_emergency": release.is_emergency,
            "caused_by": release.caused_by,
            "compared_with": there.ref if there else "",
            "changed": changed_since(release, there),
            "content": release.content,
            "decides": release.decides,
        },
        records=(release,),
    )
