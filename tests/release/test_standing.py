"""A standing approval lets retrained models through within what a person wrote down, no further."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from cd4ml.errors import Conflict, InvalidInput, NotAllowed
from cd4ml.records.actor import Actor
from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release import standing
from cd4ml.release.content import plan_address, scope_address
from cd4ml.release.standing import Coverage, covers
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.database import Database
from tests.release.builders import (
    LIN,
    MACHINE,
    NOW,
    OMAR,
    POLICY,
    PRODUCTION,
    RUTH,
    a_release,
    a_standing_approval,
    in_charge,
    requested,
    settled,
)

RETRAINED = a_release(is_retrained=True, requested_by="system")


def give(database: Database, *, at: datetime = NOW, **changes: Any) -> StandingApproval:
    given: dict[str, Any] = {
        "model": "delay",
        "environment": "production",
        "policy": POLICY,
        "settings": PRODUCTION,
        "by": RUTH,
        "reason": "a retrained model that passes is no worse",
        "expires_at": NOW + timedelta(days=90),
        "at": at,
    }
    with database.write() as connection:
        return standing.give(connection, **(given | changes))


def revoke(database: Database, number: int, *, by: Actor = RUTH) -> StandingApproval:
    with database.write() as connection:
        return standing.revoke(
            connection, number, settings=PRODUCTION, by=by, reason="holidays", at=NOW
        )


def test_scope_and_expiry_are_in_the_ledger(database: Database) -> None:
    given = give(database)

    with database.read() as connection:
        assert rows.find(connection, StandingApproval) == [given]
        (entry,) = ledger.entries(connection)
    assert (entry.actor, entry.action) == ("ruth", "standing_approval.given")
    assert entry.subject == "standing-approval/1"
    assert entry.reason == "a retrained model that passes is no worse"
    assert entry.details == {
        "model": "delay",
        "environment": "production",
        "policy": scope_address(POLICY, plan_address(PRODUCTION)),
        "roles": ["release-manager"],
        "expires_at": "2013-05-02T12:00:00+00:00",
    }


def test_a_retrained_release_goes_on_under_it(database: Database) -> None:
    in_charge(database, 1)
    give(database)
    release = requested(database, 2, by=MACHINE, is_retrained=True)

    done = settled(database, release)

    assert done.state == "released"
    with database.read() as connection:
        (approval,) = rows.find(connection, Approval, release=release.number)
        parents = {hop.edge.parent for hop in lineage.upstream(connection, release.ref)}
        (entry,) = [
            entry
            for entry in ledger.entries(connection, release.ref)
            if entry.action == "approval.given"
        ]
    assert (approval.standing, approval.decided_by, approval.subject) == (
        1,
        "ruth",
        release.content,
    )
    assert approval.reason == "covered by standing-approval/1 until 2013-05-02 12:00"
    assert {"approval/2", "standing-approval/1"} <= parents
    assert entry.actor == "system"  # who found that it covers the release


def test_a_release_that_a_person_requested_waits_for_a_person(database: Database) -> None:
    give(database)

    assert settled(database, requested(database, 1)).state == "awaiting_approval"


def test_it_is_not_retroactive(database: Database) -> None:
    in_charge(database, 1)
    release = requested(database, 2, by=MACHINE, is_retrained=True)
    give(database, at=NOW + timedelta(minutes=1))

    assert settled(database, release).state == "awaiting_approval"


def test_a_revoked_one_covers_nothing_more(database: Database) -> None:
    in_charge(database, 1)
    give(database)
    revoke(database, 1)

    release = requested(database, 2, by=MACHINE, is_retrained=True)

    assert settled(database, release).state == "awaiting_approval"
    with database.read() as connection:
        (entry,) = ledger.entries(connection, "standing-approval/1", limit=1)
    assert (entry.action, entry.reason) == ("standing_approval.revoked", "holidays")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "price"}, "it is for price"),
        ({"environment": "staging"}, "it is for staging"),
        ({"policy": "blake3:other"}, "the gates or the rollout plan are others now"),
        ({"given_at": NOW + timedelta(seconds=1)}, "it was given after release/7 was requested"),
        ({"revoked_at": NOW}, "it was revoked"),
        ({"expires_at": NOW}, "it expired at 2013-02-01 12:00"),
        ({"given_by": "system"}, "its giver requested the release"),
    ],
)
def test_outside_its_scope_it_covers_nothing(changes: dict[str, Any], reason: str) -> None:
    given = a_standing_approval(RETRAINED, **changes)

    assert covers(RETRAINED, given, NOW) == Coverage(False, reason)


def test_within_its_scope_it_covers() -> None:
    assert covers(RETRAINED, a_standing_approval(RETRAINED), NOW) == Coverage(True, "")


def test_it_covers_only_what_the_system_requested_after_retraining() -> None:
    release = msgspec.structs.replace(RETRAINED, is_retrained=False)

    assert covers(release, a_standing_approval(release), NOW) == Coverage(
        False, "it is for what the system requests after retraining"
    )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"by": LIN},
            NotAllowed,
            "lin may not give a standing approval for delay in production: it needs the role"
            " release-manager, has scientist",
        ),
        (
            {"by": msgspec.structs.replace(RUTH, kind="system")},
            NotAllowed,
            "ruth may not give a standing approval for delay in production: only a person approves",
        ),
        (
            {"expires_at": NOW},
            InvalidInput,
            "a standing approval ends in the future, got 2013-02-01 12:00\n"
            "  hint: it is 2013-02-01 12:00 now",
        ),
        ({"reason": ""}, InvalidInput, "a standing approval says why\n  hint: give a reason"),
        (
            {"settings": EnvironmentSettings()},
            InvalidInput,
            "nobody needs to give a standing approval for delay in production: no approval is"
            " asked for there",
        ),
    ],
)
def test_it_is_refused_to_whom_it_is_not_due(
    sqlite_url: str, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    from cd4ml.store.database import open_database

    database = open_database(sqlite_url)

    with pytest.raises(error) as caught:
        give(database, **changes)

    assert str(caught.value) == message
    with database.read() as connection:
        assert rows.count(connection, StandingApproval) == 0
        assert ledger.entries(connection) == []
    database.close()


def test_another_with_the_role_may_revoke_it_and_nobody_else(database: Database) -> None:
    give(database)

    with pytest.raises(NotAllowed) as caught:
        revoke(database, 1, by=LIN)

    assert str(caught.value) == (
        "lin may not revoke standing-approval/1: it needs the role release-manager, has scientist"
    )
    assert revoke(database, 1, by=OMAR).revoked_at == NOW
    with pytest.raises(Conflict) as twice:
        revoke(database, 1)
    assert str(twice.value) == "standing-approval/1 was revoked at 2013-02-01 12:00"
