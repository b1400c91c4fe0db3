"""Reviews: somebody looks at an emergency release afterwards."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.errors import Conflict, InvalidInput, NotAllowed
from cd4ml.records.actor import Actor
from cd4ml.records.release import Release
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release import releases
from cd4ml.release.decisions import ACTIONS, decide, somebody_else


def review(
    connection: sa.Connection,
    number: int,
    *,
    settings: EnvironmentSettings,
    by: Actor,
    reason: str,
    at: datetime,
) -> Release:
    """Look at an emergency release afterwards; it stays marked as one.

    Args:
        connection: Of a write transaction.
        number: Of the release.
        settings: Of its environment.
        by: A person who may approve there, or release in an emergency; not who did.
        reason: What was found, in words.
        at: Now.

    Raises:
        NotFound: If there is no such release.
        Conflict: If it was no emergency, took no effect, or was reviewed already.
        NotAllowed: If the actor is no person, requested it, or lacks the role.
        InvalidInput: If no reason is given.
    """
    release = releases.hold(connection, number)
    if not release.needs_review:
        raise Conflict(f"{release.ref} {_why_no_review(release)}")
    if not reason.strip():
        raise InvalidInput(f"reviewing {release.ref} needs a reason", hint="say what you found")
    if by.name == release.requested_by:
        msg = f"{by.name} may not review {release.ref}: who releases in an emergency does not"
        raise NotAllowed(msg, hint=somebody_else(settings))
    found = decide(connection, release, "review", settings, by, reason, at)
    return releases.change(
        connection,
        release,
        actor=by.name,
        action=ACTIONS["review"],
        reason=reason,
        at=at,
        details={"approval": found.number, "content": release.content},
        entered_at=release.entered_at,
        state_reason=release.state_reason,
        records=(found,),
        review=found.number,
    )


def _why_no_review(release: Release) -> str:
    if not release.is_emergency:
        return "was no emergency: people agreed to it before"
    return "was reviewed already" if release.review else "has not begun, so nothing is to review"
