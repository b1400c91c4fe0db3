"""An approval is a person's decision on exactly one content, and never the requester's."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from cd4ml.errors import Conflict, InvalidInput, NotAllowed, NotFound, Refused
from cd4ml.records.actor import Actor
from cd4ml.records.approval import Approval
from cd4ml.release import approvals
from cd4ml.release.decisions import valid
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.database import Database
from tests.release.builders import (
    ANA,
    LIN,
    NOW,
    OMAR,
    PRODUCTION,
    RUTH,
    a_release,
    an_approval,
    approved,
    read,
    requested,
    settled,
)

TWO = {"production": msgspec.structs.replace(PRODUCTION, approvals=2)}


def refuse_to_approve(database: Database, error: type[Exception], **changes: Any) -> str:
    release = requested(database, 1)
    given: dict[str, Any] = {
        "subject": release.content,
        "settings": PRODUCTION,
        "by": RUTH,
        "reason": "",
        "at": NOW,
    }
    with pytest.raises(error) as caught, database.write() as connection:
        approvals.approve(connection, release.number, **(given | changes))
    assert nothing_decided(database)
    return str(caught.value)


def nothing_decided(database: Database) -> bool:
    with database.read() as connection:
        return rows.count(connection, Approval) == 0 and not ledger.of_action(
            connection, "approval.given"
        )


def test_an_approval_is_kept_with_who_when_why_and_what_exactly(database: Database) -> None:
    release = requested(database, 1)

    given = approved(database, release)

    assert given == Approval(
        number=1,
        release=1,
        subject=release.content,
        decision="approve",
        reason="looks good",
        roles=("release-manager",),
        decided_at=NOW,
        decided_by="ruth",
    )
    with database.read() as connection:
        assert rows.find(connection, Approval) == [given]
        newest = ledger.entries(connection, "release/1", limit=1)[0]
        assert "approval/1" in {
            hop.edge.parent for hop in lineage.upstream(connection, "release/1")
        }
    assert (newest.actor, newest.action, newest.reason) == ("ruth", "approval.given", "looks good")
    assert newest.details["content"] == release.content


def test_approving_twice_counts_once(database: Database) -> None:
    release = requested(database, 1, environments=TWO)

    first, second = (
        approved(database, release, settings=TWO["production"], at=NOW + timedelta(hours=hours))
        for hours in (0, 1)
    )

    assert first == second
    assert settled(database, release, environments=TWO).state == "awaiting_approval"


def test_two_people_make_two_approvals(database: Database) -> None:
    release = requested(database, 1, environments=TWO)
    approved(database, release, settings=TWO["production"])
    approved(database, release, settings=TWO["production"], by=OMAR)

    assert settled(database, release, environments=TWO).state == "released"


def test_who_requests_a_release_does_not_approve_it(database: Database) -> None:
    assert refuse_to_approve(database, NotAllowed, by=ANA) == (
        "ana may not approve release/1: who requests a release does not approve it\n"
        "  hint: somebody else with the role release-manager has to"
    )


def test_without_the_role_nobody_approves(database: Database) -> None:
    assert refuse_to_approve(database, NotAllowed, by=LIN) == (
        "lin may not approve release/1: it needs the role release-manager, has scientist"
    )


def test_the_system_approves_nothing_whatever_its_roles(database: Database) -> None:
    robot = Actor(
        name="robot", kind="system", roles=("release-manager",), added_at=NOW, added_by="ana"
    )

    assert refuse_to_approve(database, NotAllowed, by=robot) == (
        "robot may not approve release/1: only a person decides"
    )


def test_an_approval_of_what_was_looked_at_before_it_changed_is_refused(
    database: Database,
) -> None:
    message = refuse_to_approve(database, Refused, subject="blake3:0123456789abcdef")

    assert message.startswith(
        "release/1 was not approved: what was looked at is 0123456789ab, what would go is "
    )
    assert message.endswith("\n  hint: look again: cd4ml release show release/1")


def test_an_approval_after_the_settings_changed_is_refused(database: Database) -> None:
    assert refuse_to_approve(database, Refused, settings=TWO["production"]) == (
        "release/1 was not approved: the settings of production in cd4ml.toml have changed since"
        " it was requested\n"
        "  hint: reject it and request it again, or restore the settings"
    )


def test_only_a_waiting_release_can_be_approved(database: Database) -> None:
    release = requested(database, 1)
    approved(database, release)
    settled(database, release)

    with pytest.raises(Conflict) as caught:
        approved(database, release, by=OMAR)

    assert str(caught.value) == (
        "release/1 is released; only one that awaits approval can be decided on"
    )


def test_a_release_that_is_not_there_cannot_be_approved(database: Database) -> None:
    with pytest.raises(NotFound) as caught:
        approved(database, a_release())
    assert str(caught.value) == "no release '7'\n  hint: there are none yet"


def reject(database: Database, number: int, *, by: Actor = RUTH, reason: str = "too slow") -> None:
    with database.write() as connection:
        approvals.reject(connection, number, settings=PRODUCTION, by=by, reason=reason, at=NOW)


def test_a_rejected_release_ends_and_another_may_be_requested(database: Database) -> None:
    release = requested(database, 1)
    reject(database, 1)

    ended = settled(database, release)

    assert (ended.state, ended.state_reason) == ("rejected", "rejected by ruth: too slow")
    with database.read() as connection:
        hops = lineage.upstream(connection, "release/1")
    assert not [hop for hop in hops if hop.edge.role == "approved by"]
    again = requested(database, 1)
    assert (again.number, again.state) == (2, "awaiting_approval")


def test_a_rejection_says_why(database: Database) -> None:
    requested(database, 1)

    with pytest.raises(InvalidInput) as caught:
        reject(database, 1, reason=" ")

    assert str(caught.value) == (
        "rejecting release/1 needs a reason\n  hint: say what to do better"
    )


def test_a_requester_may_reject_their_own_release(database: Database) -> None:
    release = requested(database, 1)

    reject(database, 1, by=ANA)

    assert settled(database, release).state == "rejected"


def test_who_approved_may_still_change_their_mind(database: Database) -> None:
    release = requested(database, 1)
    approved(database, release)

    reject(database, 1)

    assert settled(database, release).state == "rejected"


def test_who_rejected_cannot_approve_any_more(database: Database) -> None:
    release = requested(database, 1)
    reject(database, 1)

    with pytest.raises(Conflict) as caught:
        approved(database, release)

    assert str(caught.value) == (
        "ruth has rejected release/1 already; it has to be requested again"
    )
    assert read(database, 1).state == "awaiting_approval"  # until the next reconcile


def test_only_other_peoples_approvals_of_this_content_count() -> None:
    release = a_release()
    given = (
        an_approval(release, "ruth"),
        an_approval(release, "ruth"),
        an_approval(release, "ana"),
        an_approval(release, "omar", subject="blake3:other"),
        an_approval(release, "lin", decision="reject"),
    )

    assert [each.decided_by for each in valid(release, given, NOW)] == ["ruth"]
