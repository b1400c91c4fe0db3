"""A request carries its evidence; people send it back, take it back, and look at emergencies."""

from datetime import timedelta

import msgspec
import pytest

from cd4ml.errors import Conflict, InvalidInput, NotAllowed, Refused
from cd4ml.loop import Project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.govern import ask_again, open_reviews, request_changes, review, withdraw
from cd4ml.loop.people import add_person
from cd4ml.loop.promote import approve, request
from cd4ml.loop.releases import release_details
from cd4ml.loop.restored import restored
from cd4ml.loop.status import status
from cd4ml.loop.undo import abort, undo, undo_release
from cd4ml.loop.work import work
from cd4ml.models import registry
from cd4ml.records.model_version import ModelVersion
from cd4ml.store import rows
from tests.loop.test_evaluate import change
from tests.loop.test_promote import accept, ask_for_production, first, second
from tests.loop.world import ANN, BEGIN, DAY, EVE, HOUR, MAX, actions, entries, move, move_to

URGENT = """[environments.production.emergency]
roles = ["incident-lead"]

[[environments.production.freeze]]
from = "2013-02-01"
until = "2013-02-08"
reason = "the week of the audit"

[monitoring]"""


def judged_again(project: Project) -> None:
    """The gates find something else about the version of the newest release than before."""
    with project.database.write() as connection:
        version = rows.get(connection, ModelVersion, "delay", 1)
        verdict = registry.verdict_about(connection, version)
        assert verdict is not None
        other = msgspec.structs.replace(verdict, number=verdict.number + 7, holdout="blake3:other")
        rows.insert(connection, other)


class TestEvidence:
    def test_a_request_carries_the_verdict_and_what_is_new(self, released: Project) -> None:
        release = second(released)

        evidence = release_details(released, release.ref).evidence

        assert (evidence.verdict, evidence.outcome) == ("verdict/2", "pass")
        assert "auc at least 0.6" in {finding.gate for finding in evidence.findings}
        assert (evidence.beside, evidence.compared_with) == ("delay/1", "delay/1")
        changes = {each.what: (each.before, each.after) for each in evidence.changes}
        assert changes["data flights"] == ("flights@1", "flights@2")
        assert "model" in changes
        assert "code" not in changes
        (asked,) = (e for e in entries(released) if e.subject == release.ref and e.actor == ANN)
        assert asked.details["compared_with"] == "release/2"
        assert asked.details["changed"] == ["data", "model", "verdict"]
        assert asked.details["verdict"] == "verdict/2"

    def test_the_first_is_compared_with_nothing(self, project: Project) -> None:
        release = first(project)

        evidence = release_details(project, release.ref).evidence

        assert (evidence.compared_with, evidence.changes) == ("", ())

    def test_an_approval_after_the_evidence_changed_is_refused(self, project: Project) -> None:
        release = first(project)
        judged_again(project)
        before = actions(project)

        with pytest.raises(Refused) as refused:
            approve(project, release.ref, reason="looks good", actor=MAX)

        assert str(refused.value) == (
            "release/2 was not approved: delay/1 was judged again since it was requested, and"
            " verdict/8 says something else than verdict/1\n"
            "  hint: cd4ml release withdraw release/2, and request it anew"
        )
        assert actions(project) == before
        assert release_details(project, release.ref).waits_for.startswith(
            "its version was judged again since it was requested"
        )

    def test_judging_again_and_finding_the_same_is_the_same_evidence(
        self, project: Project
    ) -> None:
        release = first(project)
        evaluate(project, "delay/1", actor=EVE)

        assert approve(project, release.ref, reason="good", actor=MAX).state == "released"

    @pytest.mark.parametrize("digits", [12, 64, 71])
    def test_what_was_looked_at_may_be_said(self, project: Project, digits: int) -> None:
        release = first(project)
        content = release.content if digits == 71 else release.content.removeprefix("blake3:")

        with pytest.raises(Refused) as refused:
            approve(project, release.ref, reason="good", content="0" * 12, actor=MAX)
        assert refused.value.message.startswith(
            "release/2 was not approved: what was looked at is 000000000000, what would go is "
        )
        with pytest.raises(Refused):
            approve(project, release.ref, reason="good", content=content[:4], actor=MAX)
        given = approve(project, release.ref, reason="good", content=content[:digits], actor=MAX)

        assert given.state == "released"


class TestRounds:
    def test_it_waits_until_it_is_asked_for_again(self, project: Project) -> None:
        release = first(project)

        sent_back = request_changes(project, release.ref, reason="write the card", actor=MAX)
        assert sent_back.state == "changes_requested"
        assert release_details(project, release.ref).waits_for == (
            "max asks for changes: write the card; ann has to ask again"
        )
        with pytest.raises(Conflict, match=r"^release/2 is changes requested"):
            approve(project, release.ref, reason="all the same", actor=MAX)
        with pytest.raises(InvalidInput, match=r"^asking again for release/2 needs a reason"):
            ask_again(project, release.ref, reason="", actor=ANN)
        assert ask_again(project, release.ref, reason="it is written", actor=ANN).round == 2
        assert approve(project, release.ref, reason="thanks", actor=MAX).state == "released"

    def test_a_request_is_taken_back(self, project: Project) -> None:
        release = first(project)

        assert withdraw(project, release.ref, reason="too early", actor=ANN).state == "withdrawn"
        with pytest.raises(Conflict):
            approve(project, release.ref, reason="good", actor=MAX)

    def test_the_background_work_ends_a_request_that_was_sent_back_too(
        self, project: Project
    ) -> None:
        accept(project)
        with change(project, "approvals = 1", "approvals = 1\nrequest_expires_hours = 24") as timed:
            release = ask_for_production(timed)
            request_changes(timed, release.ref, reason="more", actor=MAX)
            (stage,) = (each for each in status(timed).stages if each.name == "release")
            assert ("release/2", "delay/1 to production, waits for ann") in stage.facts
            move_to(timed, BEGIN + DAY + HOUR)

            assert [each.state for each in work(timed, owner="test").releases] == ["expired"]

    def test_the_background_work_ends_a_request_whose_time_is_over(self, project: Project) -> None:
        accept(project)
        with change(project, "approvals = 1", "approvals = 1\nrequest_expires_hours = 24") as timed:
            release = ask_for_production(timed)
            move_to(timed, BEGIN + DAY + HOUR)

            (ended,) = work(timed, owner="test").releases

            assert (ended.ref, ended.state) == (release.ref, "expired")
            assert entries(timed)[-1].action == "release.expired"


class TestEmergencies:
    def test_status_shows_it_until_somebody_else_has_looked(self, released: Project) -> None:
        add_person(released, EVE, roles=("incident-lead",), actor=ANN)
        with change(released, "[monitoring]", URGENT) as urgent:
            release = second(urgent)
            assert approve(urgent, release.ref, reason="good", actor=MAX).state == (
                "awaiting_approval"
            )
            assert release_details(urgent, release.ref).waits_for == (
                "frozen from 2013-02-01 until 2013-02-08 (UTC): the week of the audit"
            )
            withdraw(urgent, release.ref, reason="it burns", actor=ANN)

            went = request(
                urgent,
                "delay/2",
                to="production",
                reason="fails for UA",
                is_emergency=True,
                actor=EVE,
            )

            assert (went.state, went.is_emergency) == ("released", True)
            assert [each.ref for each in open_reviews(urgent)] == [went.ref]
            (stage,) = (each for each in status(urgent).stages if each.name == "release")
            assert (stage.headline, stage.state) == (
                f"{went.ref} was an emergency that nobody has reviewed",
                "attention",
            )
            with pytest.raises(NotAllowed, match=r"^eve may not review release/5"):
                review(urgent, went.ref, reason="fine", actor=EVE)
            review(urgent, went.ref, reason="it did burn", actor=MAX)
            assert open_reviews(urgent) == []
            (stage,) = (each for each in status(urgent).stages if each.name == "release")
            assert (stage.headline, stage.state) == ("delay/2 in production", "good")
            assert release_details(urgent, went.ref).release.is_emergency

    def test_in_a_freeze_going_back_is_always_possible(self, released: Project) -> None:
        approve(released, second(released).ref, reason="good", actor=MAX)
        add_person(released, EVE, roles=("incident-lead",), actor=ANN)
        with change(released, "[monitoring]", URGENT) as urgent:
            with pytest.raises(Conflict):  # release/4 rolls out, in its place
                undo(urgent, environment="production", reason="worse", actor=MAX)
            assert abort(urgent, "release/4", reason="worse", actor=MAX).state == "aborted"


class TestUndo:
    def test_the_ledger_has_the_time_to_restore(self, released: Project) -> None:
        add_person(released, EVE, roles=("incident-lead",), actor=ANN)
        with change(released, "[monitoring]", URGENT) as urgent:
            withdraw(urgent, second(urgent).ref, reason="at once instead", actor=ANN)
            went = request(
                urgent, "delay/2", to="production", reason="now", is_emergency=True, actor=EVE
            )
            move(urgent, timedelta(hours=3))

            back = undo_release(urgent, went.ref, reason="worse", actor=MAX)

            assert (back.ref, back.state) == ("release/2", "released")
            told = restored(urgent, back)
            assert (told.undone, told.since) == (went.ref, went.ref)
            assert (told.in_charge_s, told.time_to_restore_s) == (10800.0, 10800.0)
            assert 0 < told.took_s < 10
            with pytest.raises(Conflict):
                undo_release(urgent, went.ref, reason="worse", actor=MAX)

    def test_it_needs_a_reason(self, released: Project) -> None:
        with pytest.raises(InvalidInput, match=r"^undoing release/2 needs a reason"):
            undo_release(released, "release/2", reason=" ", actor=MAX)
