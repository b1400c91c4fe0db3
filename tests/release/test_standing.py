"""A standing approval lets retrained models through within what a person wrote down, no further."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from cd4ml.errors import Conflict, InvalidInput, NotAllowed
from cd4ml.records.actor import Actor
from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.finding import Finding
from cd4ml.records.metric_gate import MetricGate
from cd4ml.records.release import Release
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release import standing
from cd4ml.release.content import made_as, plan_address, scope_address
from cd4ml.release.margin import beyond, require_compared
from cd4ml.release.standing import Agreed, Coverage, Known, covers
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.address import address_of_record
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
    add_version,
    approved,
    in_charge,
    requested,
    settled,
    staffed,
    waiting_for,
)

RETRAINED = a_release(is_retrained=True, requested_by="system", caused_by="lin")
KNOWN = Known(roles={"ruth": ("release-manager",), "system": ("release-manager",)})
NOW_SINCE = NOW.replace(day=15, month=1)  # after `a_standing_approval` was given


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
        "basis": {},
        "margins": {},
        "expires_at": "2013-05-02T12:00:00+00:00",
        "records": {"standing-approval/1": address_of_record(given)},
    }


def test_a_retrained_release_goes_on_under_it(database: Database) -> None:
    staffed(database)
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
    staffed(database)
    in_charge(database, 1)
    release = requested(database, 2, by=MACHINE, is_retrained=True)
    give(database, at=NOW + timedelta(minutes=1))

    assert settled(database, release).state == "awaiting_approval"


def test_a_revoked_one_covers_nothing_more(database: Database) -> None:
    staffed(database)
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
        ({"given_by": "lin"}, "its giver asked for the retraining"),
        ({"roles": ("risk",)}, "ruth has the role risk no more"),
        (
            {"basis": {}},
            "nothing was in charge when it was given, so nobody knows how it is made",
        ),
        (
            {"basis": made_as({**RETRAINED.decides, "code": "blake3:reviewed"})},
            "its code is not what people agreed to",
        ),
        (
            {"basis": made_as({"configuration": RETRAINED.decides["configuration"]})},
            "its code and contract are not what people agreed to",
        ),
    ],
)
def test_outside_its_scope_it_covers_nothing(changes: dict[str, Any], reason: str) -> None:
    given = a_standing_approval(RETRAINED, **changes)

    assert covers(RETRAINED, given, NOW, KNOWN) == Coverage(False, reason)


def test_within_its_scope_it_covers() -> None:
    assert covers(RETRAINED, a_standing_approval(RETRAINED), NOW, KNOWN) == Coverage(True, "")


def test_it_covers_only_what_the_system_requested_after_retraining() -> None:
    release = msgspec.structs.replace(RETRAINED, is_retrained=False)

    assert covers(release, a_standing_approval(release), NOW, KNOWN) == Coverage(
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


def retrained(database: Database, number: int, *, caused_by: str = "", **changes: Any) -> Release:
    """A release that the system asks for after retraining, of a version made as is said."""
    with database.write() as connection:
        add_version(connection, number, **changes)
    return requested(database, number, by=MACHINE, is_retrained=True, caused_by=caused_by)


def test_other_code_needs_a_person_though_it_was_retrained(database: Database) -> None:
    staffed(database)
    in_charge(database, 1)
    give(database)

    release = settled(database, retrained(database, 2, code="blake3:edited-at-night"))

    assert release.state == "awaiting_approval"
    assert waiting_for(database, release) == (
        "waits for 1 approval by release-manager; standing-approval/1 does not cover it: its code"
        " is not what people agreed to"
    )


def test_once_people_agreed_to_the_other_code_retraining_it_is_covered(
    database: Database,
) -> None:
    staffed(database)
    in_charge(database, 1)
    give(database)
    first = retrained(database, 2, code="blake3:reviewed")
    approved(database, first, by=OMAR)
    settled(database, first)

    assert settled(database, retrained(database, 3, code="blake3:reviewed")).state == "released"


def test_what_a_standing_approval_let_through_is_no_agreement_of_people(
    database: Database,
) -> None:
    agreed = Agreed(made_as({**RETRAINED.decides, "code": "blake3:reviewed"}), NOW_SINCE)
    before = Agreed(made_as(RETRAINED.decides), NOW.replace(year=2012))
    basis = made_as({**RETRAINED.decides, "code": "blake3:first"})
    given = a_standing_approval(RETRAINED, basis=basis)

    for known in ((), (agreed,), (before,)):
        coverage = covers(RETRAINED, given, NOW, KNOWN._replace(agreed=known))
        assert coverage == Coverage(False, "its code is not what people agreed to")
    since = before._replace(at=NOW_SINCE)
    assert covers(RETRAINED, given, NOW, KNOWN._replace(agreed=(since,))).is_covered

    staffed(database)
    in_charge(database, 1)
    give(database)
    through = settled(database, retrained(database, 2))
    with database.read() as connection:
        decided = {through.number: rows.find(connection, Approval, release=through.number)}
    assert standing.agreed_to([through], decided) == ()


def test_it_counts_only_while_its_giver_has_the_role(database: Database) -> None:
    staffed(database)
    in_charge(database, 1)
    give(database)
    with database.write() as connection:
        rows.put(connection, msgspec.structs.replace(RUTH, roles=("clinician",)))

    release = settled(database, retrained(database, 2))

    assert release.state == "awaiting_approval"
    assert waiting_for(database, release) == (
        "waits for 1 approval by release-manager; standing-approval/1 does not cover it: ruth has"
        " the role release-manager no more"
    )


def test_who_asked_for_the_retraining_approves_it_neither_now_nor_in_advance(
    database: Database,
) -> None:
    staffed(database)
    in_charge(database, 1)
    give(database)
    release = settled(database, retrained(database, 2, caused_by="ruth"))

    assert release.state == "awaiting_approval"
    with pytest.raises(NotAllowed) as refused:
        approved(database, release)
    assert str(refused.value) == (
        "ruth may not approve release/2: who asks for a retraining does not approve what comes of"
        " it\n  hint: somebody else with the role release-manager has to"
    )
    approved(database, release, by=OMAR)
    assert settled(database, release).state == "released"


WITHIN = Finding(
    gate="auc no worse than champion by 0.1",
    metric="auc",
    value=0.80,
    low=0.78,
    high=0.82,
    limit=0.70,
    outcome="pass",
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"champion": "delay/9"}, "its verdict is beside delay/1, and delay/9 is there"),
        (
            {"findings": (msgspec.structs.replace(WITHIN, low=0.769),)},
            "its auc may be worse than the champion by 0.031, more than the margin of 0.03",
        ),
        (
            {"findings": (msgspec.structs.replace(WITHIN, limit=None),)},
            "its verdict does not compare its auc with a champion",
        ),
        ({"findings": ()}, "its verdict does not compare its auc with a champion"),
        (
            {"findings": (msgspec.structs.replace(WITHIN, slice="carrier=AA"),)},
            "its verdict does not compare its auc with a champion",
        ),
    ],
)
def test_beyond_the_margin_a_person_has_to_look(changes: dict[str, Any], reason: str) -> None:
    given = a_standing_approval(RETRAINED, margins={"auc": 0.03})
    known = KNOWN._replace(findings=(WITHIN,), beside="delay/1", champion="delay/1")

    assert covers(RETRAINED, given, NOW, known._replace(**changes)) == Coverage(not reason, reason)


def test_an_error_is_worse_the_higher_it_is() -> None:
    asked = msgspec.structs.replace(
        WITHIN, gate="brier better than champion", metric="brier", limit=0.2, low=0.15, high=0.19
    )

    assert beyond({"brier": 0.0}, [asked]) == ""
    assert beyond({"brier": 0.0}, [msgspec.structs.replace(asked, high=0.21)]) == (
        "its brier may be worse than the champion by 0.01, more than the margin of 0"
    )


def test_a_margin_in_what_no_gate_compares_is_refused() -> None:
    gates = (MetricGate(metric="auc", no_worse_than={"champion": 0.1}),)

    require_compared({"auc": 0.01}, gates)
    with pytest.raises(InvalidInput) as refused:
        require_compared({"brier": 0.01}, gates)
    assert str(refused.value) == (
        "no gate of cd4ml.toml compares brier with the champion\n  hint: those that are: auc"
    )
    with pytest.raises(InvalidInput, match=r"^a margin is a number from 0 on, got auc=nan$"):
        require_compared({"auc": float("nan")}, gates)
