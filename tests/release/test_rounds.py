"""Changes are requested, a release is asked for again or withdrawn, an emergency is reviewed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from cd4ml.errors import Cd4mlError, Conflict, InvalidInput, NotAllowed, Refused
from cd4ml.records.actor import Actor
from cd4ml.records.finding import Finding
from cd4ml.records.release import Release
from cd4ml.records.rollout import RolloutStep
from cd4ml.records.settings import EmergencySettings, EnvironmentSettings, FreezeSettings
from cd4ml.release import approvals, requests, reviews
from cd4ml.store import ledger, rows
from cd4ml.store.database import Database
from tests.release.builders import (
    ALONE,
    ANA,
    LIN,
    MACHINE,
    NOW,
    OMAR,
    PRODUCTION,
    ROLLOUT,
    RUTH,
    add_version,
    approved,
    everything,
    in_charge,
    person,
    plans,
    read,
    requested,
    settled,
    tick,
    traffic,
)

LEA = person("lea", "incident-lead")
URGENT = msgspec.structs.replace(
    PRODUCTION,
    emergency=EmergencySettings(roles=("incident-lead",)),
    freeze=(FreezeSettings(begin="2013-02-01", until="2013-02-03"),),
)
CALM = {"production": msgspec.structs.replace(PRODUCTION, request_expires_hours=24.0)}


def act(
    database: Database, verb: Callable[..., Any], number: int = 1, *, by: Actor, **changes: Any
) -> Any:
    given: dict[str, Any] = {"reason": "the slices are missing", "at": NOW}
    if verb is not requests.withdraw:
        given["settings"] = PRODUCTION
    with database.write() as connection:
        return verb(connection, number, by=by, **{**given, **changes})


def refused(
    database: Database, error: type[Cd4mlError], verb: Callable[..., Any], **given: Any
) -> str:
    before = everything(database)
    with pytest.raises(error) as caught:
        act(database, verb, **given)
    assert everything(database) == before
    return str(caught.value)


def sent_back(database: Database, **changes: Any) -> Release:
    """Requested by Ana, approved by Omar, and sent back by Ruth."""
    release = requested(database, 1, **changes)
    approved(database, release, by=OMAR)
    act(database, approvals.request_changes, by=RUTH)
    return settled(database, release)


def actions(database: Database) -> list[str]:
    with database.read() as connection:
        return [entry.action for entry in reversed(ledger.entries(connection, "release/1"))]


class TestRounds:
    def test_everybody_looks_again_after_changes_were_requested(self, database: Database) -> None:
        release = sent_back(database)
        assert (release.state, release.state_reason) == (
            "changes_requested",
            "ruth asks for changes: the slices are missing",
        )

        again = act(database, requests.ask_again, by=ANA, reason="they are in the card now")
        assert (again.state, again.round, again.content) == (
            "awaiting_approval",
            2,
            release.content,
        )
        assert settled(database, again).state == "awaiting_approval"
        approved(database, again, by=OMAR)
        assert settled(database, again).state == "released"
        assert actions(database) == [
            "release.requested",
            "approval.given",
            "changes.requested",
            "release.sent_back",
            "release.asked_again",
            "approval.given",
            "release.begun",
            "release.released",
        ]

    def test_who_asked_for_changes_may_approve_the_next_round(self, database: Database) -> None:
        sent_back(database)
        again = act(database, requests.ask_again, by=ANA)

        approved(database, again, by=RUTH)

        assert settled(database, again).state == "released"

    def test_only_its_requester_asks_again(self, database: Database) -> None:
        sent_back(database)

        assert refused(database, NotAllowed, requests.ask_again, by=OMAR) == (
            "omar may not ask again for release/1: ana requested it\n"
            "  hint: cd4ml release abort release/1 stops it for everybody"
        )

    def test_who_asks_again_for_what_the_system_requested_does_not_approve_it(
        self, database: Database
    ) -> None:
        release = requested(database, 1, by=MACHINE, is_retrained=True)
        act(database, approvals.request_changes, by=RUTH)
        settled(database, release)

        again = act(database, requests.ask_again, by=OMAR, reason="it is fine as it is")

        assert (again.requested_by, again.is_retrained) == ("omar", False)
        with pytest.raises(NotAllowed):
            approved(database, again, by=OMAR)

    def test_what_nobody_sent_back_is_not_asked_for_again(self, database: Database) -> None:
        requested(database, 1)

        assert refused(database, Conflict, requests.ask_again, by=ANA) == (
            "release/1 is awaiting approval; nobody waits for its requester"
        )

    def test_under_other_settings_it_would_be_another_release(self, database: Database) -> None:
        sent_back(database)
        stricter = msgspec.structs.replace(PRODUCTION, approvals=2)

        assert refused(database, Refused, requests.ask_again, by=ANA, settings=stricter) == (
            "the settings of production have changed since release/1 was requested\n"
            "  hint: cd4ml release withdraw release/1, and request it anew"
        )

    def test_asking_for_changes_says_which(self, database: Database) -> None:
        requested(database, 1)

        message = refused(database, InvalidInput, approvals.request_changes, by=RUTH, reason=" ")

        assert message == (
            "asking for changes of release/1 needs a reason\n  hint: say what to change"
        )

    def test_only_who_may_approve_asks_for_changes(self, database: Database) -> None:
        requested(database, 1)

        assert refused(database, NotAllowed, approvals.request_changes, by=LIN) == (
            "lin may not request changes of release/1: it needs the role release-manager,"
            " has scientist"
        )

    def test_nothing_is_approved_while_it_waits_for_its_requester(self, database: Database) -> None:
        release = sent_back(database)

        with pytest.raises(Conflict) as caught:
            approved(database, release, by=RUTH)

        assert str(caught.value) == (
            "release/1 is changes requested; only one that awaits approval can be decided on"
        )

    def test_a_request_that_was_sent_back_expires_too(self, database: Database) -> None:
        release = requested(database, 1, environments=CALM)
        settings = CALM["production"]
        act(database, approvals.request_changes, by=RUTH, settings=settings)
        waiting = settled(database, release, environments=CALM)

        later = tick(database, waiting, environments=CALM, now=NOW + timedelta(hours=24))

        assert later.state == "expired"
        assert requested(database, 1, environments=CALM).number == 2


class TestWithdrawing:
    def test_a_requester_takes_it_back_and_may_ask_anew(self, database: Database) -> None:
        release = requested(database, 1)

        withdrawn = act(database, requests.withdraw, by=ANA, reason="a better one comes")

        assert (withdrawn.state, withdrawn.state_reason) == (
            "withdrawn",
            "withdrawn by ana: a better one comes",
        )
        assert settled(database, release) == withdrawn
        assert requested(database, 1).number == 2

    def test_nobody_else_does(self, database: Database) -> None:
        requested(database, 1)

        assert refused(database, NotAllowed, requests.withdraw, by=RUTH).startswith(
            "ruth may not withdraw release/1: ana requested it"
        )

    def test_what_has_begun_is_aborted_instead(self, database: Database) -> None:
        in_charge(database, 1)
        release = requested(database, 2)
        approved(database, release)
        tick(database, release)

        message = refused(database, Conflict, requests.withdraw, number=2, by=ANA)

        assert message == (
            "release/2 is rolling out; only a request that has not begun can be withdrawn\n"
            "  hint: cd4ml release abort release/2"
        )


class TestEmergencies:
    def called(self, database: Database) -> Release:
        """delay/2 released by Lea in the freeze, without approval, in place of delay/1."""
        first = requested(database, 1, environments={"production": URGENT})
        approved(database, first, settings=URGENT)
        monday = NOW + timedelta(days=3)
        settled(database, first, environments={"production": URGENT}, now=monday)
        release = requested(
            database,
            2,
            environments={"production": URGENT},
            by=LEA,
            reason="fails for Bronx",
            is_emergency=True,
        )
        return settled(database, release, environments={"production": URGENT}, evidence=None)

    def test_it_answers_everything_at_once_and_stays_marked(self, database: Database) -> None:
        release = self.called(database)

        assert (release.state, release.is_emergency, release.needs_review) == (
            "released",
            True,
            True,
        )
        assert traffic(plans(database)[-1]) == [("champion", "delay/2", 100.0)]
        with database.read() as connection:
            asked = ledger.entries(connection, "release/2")[-1]
        assert (asked.details["is_emergency"], asked.reason) == (True, "fails for Bronx")

    def test_it_takes_over_from_an_open_request_of_the_same_version(
        self, database: Database
    ) -> None:
        waiting = requested(database, 1, environments={"production": URGENT})

        release = requested(
            database,
            1,
            environments={"production": URGENT},
            by=LEA,
            reason="fails for Bronx",
            is_emergency=True,
        )

        assert (release.number, release.is_emergency) == (2, True)
        with database.read() as connection:
            ended = rows.get(connection, Release, waiting.number)
            (entry, *_) = ledger.entries(connection, waiting.ref)
        assert (ended.state, entry.action, entry.actor) == ("withdrawn", "release.withdrawn", "lea")
        assert entry.reason == "an emergency of lea took its place: fails for Bronx"

    def test_it_takes_over_from_what_rolls_out(self, database: Database) -> None:
        self.called(database)
        urgent = {"production": msgspec.structs.replace(URGENT, freeze=(), rollout=ROLLOUT)}
        rolling = requested(database, 3, environments=urgent)
        approved(database, rolling, settings=urgent["production"])
        rolling = tick(database, rolling, environments=urgent)
        assert rolling.state == "rolling_out"

        release = requested(
            database, 4, environments=urgent, by=LEA, reason="worse", is_emergency=True
        )
        done = settled(database, release, environments=urgent, evidence=None)

        assert (done.state, read(database, rolling.number).state) == ("released", "aborted")

    def test_somebody_else_with_the_role_reviews_it_once(self, database: Database) -> None:
        self.called(database)
        review = {"number": 2, "settings": URGENT, "reason": "it was one"}

        assert refused(database, NotAllowed, reviews.review, by=LEA, **review) == (
            "lea may not review release/2: who releases in an emergency does not\n"
            "  hint: somebody else with the role release-manager has to"
        )
        assert refused(database, NotAllowed, reviews.review, by=LIN, **review) == (
            "lin may not review release/2: it needs the role release-manager, has scientist"
        )
        reviewed = act(database, reviews.review, by=RUTH, **review)
        assert (reviewed.is_emergency, reviewed.needs_review) == (True, False)
        assert refused(database, Conflict, reviews.review, by=OMAR, **review) == (
            "release/2 was reviewed already"
        )
        with database.read() as connection:
            newest = ledger.entries(connection, "release/2", limit=1)[0]
        assert (newest.actor, newest.action, newest.reason) == (
            "ruth",
            "release.reviewed",
            "it was one",
        )
        assert read(database, 2).state_reason == "step 1 of 1 ended at once"

    def test_what_people_agreed_to_needs_no_review(self, database: Database) -> None:
        in_charge(database, 1)

        assert refused(database, Conflict, reviews.review, by=RUTH) == (
            "release/1 was no emergency: people agreed to it before"
        )

    @pytest.mark.parametrize(
        ("settings", "by", "reason", "error", "message"),
        [
            (
                PRODUCTION,
                LEA,
                "now",
                NotAllowed,
                "lea may not release delay/1 to production in an emergency: the policy allows none"
                " there",
            ),
            (
                URGENT,
                RUTH,
                "now",
                NotAllowed,
                "ruth may not release delay/1 to production in an emergency: it needs the role"
                " incident-lead, has release-manager",
            ),
            (
                URGENT,
                MACHINE,
                "now",
                NotAllowed,
                "system may not release delay/1 to production in an emergency: only a person knows"
                " of one",
            ),
            (URGENT, LEA, "", InvalidInput, "an emergency release says why"),
        ],
    )
    def test_only_who_the_policy_names_calls_one_and_says_why(
        self,
        database: Database,
        settings: EnvironmentSettings,
        by: Actor,
        reason: str,
        error: type[Cd4mlError],
        message: str,
    ) -> None:
        with pytest.raises(error) as caught:
            requested(
                database,
                1,
                environments={"production": settings},
                by=by,
                reason=reason,
                is_emergency=True,
            )

        assert caught.value.message == message
        with database.read() as connection:
            assert ledger.entries(connection) == []

    def test_it_needs_a_pass_like_any_other(self, database: Database) -> None:

        with database.write() as connection:
            add_version(connection, 1, outcome="fail")

        with pytest.raises(Refused):
            requested(
                database,
                1,
                environments={"production": URGENT},
                by=LEA,
                reason="now",
                is_emergency=True,
            )


def test_an_expired_approval_is_written_down_and_may_be_given_anew(database: Database) -> None:
    settings = msgspec.structs.replace(PRODUCTION, approvals=2, approval_expires_hours=8.0)
    environments = {"production": settings}
    release = requested(database, 1, environments=environments)
    approved(database, release, settings=settings)
    evening, morning = NOW + timedelta(hours=9), NOW + timedelta(hours=20)

    lapsed = tick(database, release, environments=environments, now=evening)

    assert lapsed.state_reason == "that of ruth expired"
    assert actions(database)[-1] == "approval.expired"
    assert tick(database, lapsed, environments=environments, now=NOW) == lapsed  # a clock went back
    approved(database, lapsed, by=OMAR, settings=settings, at=morning)
    approved(database, lapsed, by=RUTH, settings=settings, at=morning)
    assert settled(database, lapsed, environments=environments, now=morning).state == "released"


@pytest.mark.parametrize("clock_is_back", [False, True])
def test_approving_again_after_it_expired_counts(database: Database, clock_is_back: bool) -> None:
    settings = msgspec.structs.replace(PRODUCTION, approval_expires_hours=8.0, approvals=2)
    environments = {"production": settings}
    release = requested(database, 1, environments=environments)
    first = approved(database, release, settings=settings)
    lapsed = tick(database, release, environments=environments, now=NOW + timedelta(hours=9))

    at = NOW if clock_is_back else NOW + timedelta(hours=9)
    second = approved(database, lapsed, settings=settings, at=at)

    assert second.number != first.number


def test_a_required_verdict_alone_has_to_have_passed(database: Database) -> None:

    def finding(metric: str, outcome: Any) -> Finding:
        return Finding(gate=f"{metric} at least 0.5", metric=metric, outcome=outcome)

    with database.write() as connection:
        found = (finding("auc", "pass"), finding("brier", "fail"), finding("loss", "inconclusive"))
        add_version(connection, 1, outcome="fail", findings=found)

    def ask(*verdicts: str) -> Release:
        research = EnvironmentSettings(verdicts=verdicts, rollout=(RolloutStep(mode="full"),))
        return requested(database, 1, environment="research", environments={"research": research})

    for name, message in (
        ("brier", "delay/1 was not released: brier in verdict/1 is fail, needs pass"),
        ("loss", "delay/1 was not released: loss in verdict/1 is inconclusive"),
        (
            "fairness",
            "delay/1 was not released: research requires the verdict of the gate 'fairness', and"
            " verdict/1 has no finding of it",
        ),
    ):
        with pytest.raises(Cd4mlError) as caught:
            ask("auc", name)
        assert caught.value.message == message
    assert ask("auc", "auc at least 0.5").number == 1
    with pytest.raises(Refused, match=r"verdict/1 is fail, needs pass"):
        requested(database, 1, environments=ALONE)


def test_the_system_tables_keep_what_was_decided(database: Database) -> None:
    sent_back(database)
    with database.read() as connection:
        kept = connection.execute(
            sa.text('SELECT decision, round, decided_by FROM approvals ORDER BY "number"')
        ).all()
    assert [tuple(row) for row in kept] == [("approve", 1, "omar"), ("request_changes", 1, "ruth")]
