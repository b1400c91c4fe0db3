"""What happens next to a release follows from its row and the facts alone."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.records.release import ENDED, Release
from cd4ml.records.rollout import RolloutEvidence
from cd4ml.records.settings import EmergencySettings, EnvironmentSettings, FreezeSettings
from cd4ml.release.content import plan_address
from cd4ml.release.standing import Known
from cd4ml.release.states import Facts, Transition, Waiting, advance
from tests.release.builders import (
    NOW,
    PRODUCTION,
    a_release,
    a_standing_approval,
    an_approval,
)

TWO = msgspec.structs.replace(PRODUCTION, approvals=2)


KNOWN = Known(roles={"ruth": ("release-manager",), "omar": ("release-manager",)})


def facts(**changes: Any) -> Facts:
    return msgspec.structs.replace(Facts(settings=PRODUCTION, known=KNOWN, now=NOW), **changes)


def under(settings: EnvironmentSettings, **changes: Any) -> Release:
    decides = {**a_release().decides, "plan": plan_address(settings)}
    return a_release(decides=decides, **changes)


class TestAwaitingApproval:
    def test_it_waits_for_as_many_approvals_as_the_environment_asks_for(self) -> None:
        assert advance(a_release(), facts()) == Waiting(
            reason="waits for 1 approval by release-manager"
        )
        assert advance(under(TWO), facts(settings=TWO)) == Waiting(
            reason="waits for 2 approvals by release-manager"
        )

    def test_it_begins_when_enough_people_have_approved(self) -> None:
        release = a_release()

        outcome = advance(release, facts(approvals=(an_approval(release),)))

        assert outcome == Transition(state="rolling_out", step=1, reason="approved by ruth")

    def test_where_nobody_has_to_agree_it_begins_at_once(self) -> None:
        nobody = EnvironmentSettings()

        outcome = advance(under(nobody), facts(settings=nobody))

        assert outcome == Transition(state="rolling_out", step=1, reason="needs no approval")

    def test_one_person_counts_once(self) -> None:
        release = under(TWO)
        twice = (an_approval(release), an_approval(release, number=2))

        outcome = advance(release, facts(settings=TWO, approvals=twice))

        assert outcome == Waiting(reason="waits for 1 approval by release-manager")

    def test_an_approval_of_another_content_does_not_count(self) -> None:
        release = a_release()
        before = an_approval(release, subject="blake3:what-it-was")

        assert isinstance(advance(release, facts(approvals=(before,))), Waiting)

    def test_who_requested_it_does_not_count(self) -> None:
        release = a_release()

        outcome = advance(release, facts(approvals=(an_approval(release, by="ana"),)))

        assert isinstance(outcome, Waiting)

    def test_one_rejection_outweighs_all_approvals(self) -> None:
        release = a_release()
        no = an_approval(release, by="omar", decision="reject", reason="not before Easter")

        outcome = advance(release, facts(approvals=(an_approval(release), no)))

        assert outcome == Transition(
            state="rejected", step=0, reason="rejected by omar: not before Easter"
        )

    def test_it_waits_while_another_release_rolls_out(self) -> None:
        release = a_release()
        rival = a_release(number=6, state="rolling_out")

        outcome = advance(release, facts(approvals=(an_approval(release),), rival=rival))

        assert outcome == Waiting(reason="release/6 is rolling out; it has to end first")

    def test_it_stands_still_once_the_settings_it_was_requested_under_have_changed(self) -> None:
        release = a_release()

        outcome = advance(release, facts(settings=TWO, approvals=(an_approval(release),)))

        assert outcome == Waiting(
            reason="the settings of production in cd4ml.toml have changed since it was requested;"
            " restore them, or abort it and request it again"
        )


class TestWhatPeopleAskFor:
    def test_a_request_for_changes_makes_it_wait_for_its_requester(self) -> None:
        release = a_release()
        asks = an_approval(release, decision="request_changes", reason="say what a label is")

        outcome = advance(release, facts(approvals=(an_approval(release, by="omar"), asks)))

        assert outcome == Transition(
            state="changes_requested",
            step=0,
            reason="ruth asks for changes: say what a label is",
        )

    def test_until_it_is_asked_for_again_nothing_happens(self) -> None:
        release = a_release(state="changes_requested", state_reason="ruth asks for changes: more")
        asks = an_approval(release, decision="request_changes", reason="more")
        approvals = (asks, an_approval(release, by="omar"))

        assert advance(release, facts(approvals=approvals)) == Waiting(
            reason="ruth asks for changes: more; ana has to ask again"
        )

    def test_it_may_be_rejected_while_it_waits_for_its_requester(self) -> None:
        release = a_release(state="changes_requested")
        no = an_approval(release, by="omar", decision="reject", reason="never")

        assert advance(release, facts(approvals=(no,))) == Transition(
            state="rejected", step=0, reason="rejected by omar: never"
        )

    def test_approvals_before_it_was_asked_for_again_do_not_count(self) -> None:
        release = a_release(round=2)
        before = an_approval(release, round=1)
        asked = an_approval(release, by="omar", decision="request_changes", round=1)

        outcome = advance(release, facts(approvals=(before, asked)))

        assert outcome == Waiting(reason="waits for 1 approval by release-manager")
        again = an_approval(release, round=2)
        assert isinstance(advance(release, facts(approvals=(before, asked, again))), Transition)

    def test_one_of_each_role_is_two_people(self) -> None:
        each = msgspec.structs.replace(
            PRODUCTION, approvals={"release-manager": 1, "risk": 1}, roles=()
        )
        release = under(each)
        ruth = an_approval(release, roles=("release-manager", "risk"))
        omar = an_approval(release, by="omar", roles=("risk",))

        assert advance(release, facts(settings=each)) == Waiting(
            reason="waits for 1 approval by release-manager and 1 approval by risk"
        )
        assert advance(release, facts(settings=each, approvals=(ruth,))) == Waiting(
            reason="waits for 1 approval by risk"
        )
        assert advance(release, facts(settings=each, approvals=(ruth, omar))) == Transition(
            state="rolling_out", step=1, reason="approved by ruth, approved by omar"
        )

    def test_evidence_that_changed_since_stops_it(self) -> None:
        release = a_release(decides={**a_release().decides, "verdict": "blake3:as-it-was"})
        given = facts(approvals=(an_approval(release),), verdict="blake3:as-it-is")

        assert advance(release, given) == Waiting(
            reason="its version was judged again since it was requested, and the gates found"
            " something else; withdraw it and request it again"
        )


class TestTime:
    hourly = msgspec.structs.replace(
        PRODUCTION, approval_expires_hours=1.0, request_expires_hours=24.0
    )

    def test_a_request_that_has_not_begun_ends_at_its_time(self) -> None:
        release = under(self.hourly)

        def at(hours: float) -> Transition | Waiting:
            now = NOW + timedelta(hours=hours)
            return advance(release, facts(settings=self.hourly, now=now))

        assert isinstance(at(23.9), Waiting)
        assert at(24) == Transition(
            state="expired",
            step=0,
            reason="asked for at 2013-02-01 12:00, and not begun in 24 hours",
        )

    def test_asking_again_begins_its_time_anew(self) -> None:
        release = under(self.hourly, asked_at=NOW + timedelta(hours=20))

        now = NOW + timedelta(hours=30)

        assert isinstance(advance(release, facts(settings=self.hourly, now=now)), Waiting)

    def test_an_approval_ends_at_its_time_and_that_is_written_down(self) -> None:
        release = under(self.hourly)
        given = an_approval(release, expires_at=NOW + timedelta(hours=1))

        def at(hours: float, seen: Release = release) -> Transition | Waiting:
            now = NOW + timedelta(hours=hours)
            return advance(seen, facts(settings=self.hourly, approvals=(given,), now=now))

        assert isinstance(at(0.9), Transition)
        assert at(1) == Transition(state="awaiting_approval", step=0, reason="that of ruth expired")
        noticed = msgspec.structs.replace(release, entered_at=NOW + timedelta(hours=1))
        assert at(1, noticed) == Waiting(reason="waits for 1 approval by release-manager")

    def test_a_clock_that_goes_back_revives_neither_an_approval_nor_a_request(self) -> None:
        late = under(self.hourly, entered_at=NOW + timedelta(hours=25))
        given = an_approval(late, expires_at=NOW + timedelta(hours=1))
        fresh = msgspec.structs.replace(late, asked_at=NOW + timedelta(hours=20))

        outcome = advance(late, facts(settings=self.hourly, approvals=(given,), now=NOW))
        assert isinstance(outcome, Transition)
        assert outcome.state == "expired"
        assert advance(fresh, facts(settings=self.hourly, approvals=(given,), now=NOW)) == Waiting(
            reason="waits for 1 approval by release-manager"
        )

    def test_nor_a_standing_approval(self) -> None:
        release = a_release(is_retrained=True, requested_by="system", entered_at=NOW)
        standing = a_standing_approval(release, expires_at=NOW)

        outcome = advance(release, facts(standing=(standing,), now=NOW - timedelta(hours=1)))

        assert isinstance(outcome, Waiting)
        assert outcome.reason.endswith("it expired at 2013-02-01 12:00")

    def test_in_a_freeze_it_neither_begins_nor_goes_on_but_goes_back(self) -> None:
        window = FreezeSettings(begin="2013-02-01", until="2013-02-03", reason="audit")
        frozen = msgspec.structs.replace(PRODUCTION, freeze=(window,))
        words = "frozen from 2013-02-01 until 2013-02-03 (UTC): audit"
        waiting, rolling = a_release(), a_release(state="rolling_out", step=1, plan=2)
        enough = RolloutEvidence(n_new=500, n_labelled=500, worse_low=-0.01, worse_high=0.0)
        harmful = RolloutEvidence(n_new=500, n_labelled=500, worse_low=0.1, worse_high=0.2)

        def at(release: Release, **changes: Any) -> Transition | Waiting:
            given = (an_approval(waiting),)
            return advance(release, facts(settings=frozen, approvals=given, **changes))

        assert at(waiting) == Waiting(reason=words)
        assert at(rolling, evidence=enough) == Waiting(reason=words)
        first = a_release(state="rolling_out", step=1, plan=2, replaces=0)
        assert at(first) == Waiting(reason=words)
        back = at(rolling, evidence=harmful)
        assert isinstance(back, Transition)
        assert back.state == "aborted"
        monday = NOW + timedelta(days=3)
        assert isinstance(at(waiting, now=monday), Transition)
        assert isinstance(at(rolling, evidence=enough, now=monday), Transition)


class TestEmergencies:
    settings = msgspec.structs.replace(
        PRODUCTION,
        emergency=EmergencySettings(roles=("incident-lead",)),
        freeze=(FreezeSettings(begin="2013-02-01", until="2013-02-03"),),
    )

    def test_it_begins_without_approval_and_in_a_freeze(self) -> None:
        release = under(self.settings, is_emergency=True, reason="the champion fails for Bronx")

        assert advance(release, facts(settings=self.settings)) == Transition(
            state="rolling_out",
            step=1,
            reason="an emergency of ana: the champion fails for Bronx",
        )

    def test_it_takes_all_traffic_at_once_unless_its_own_rollout_says_otherwise(self) -> None:
        release = under(
            self.settings, is_emergency=True, state="rolling_out", step=1, plan=2, replaces=3
        )

        assert advance(release, facts(settings=self.settings)) == Transition(
            state="released", step=1, reason="step 1 of 1 ended at once"
        )

    def test_it_waits_for_a_rollout_under_way_like_any_other(self) -> None:
        release = under(self.settings, is_emergency=True)
        rival = a_release(number=6, state="rolling_out")

        assert advance(release, facts(settings=self.settings, rival=rival)) == Waiting(
            reason="release/6 is rolling out; it has to end first"
        )


class TestStandingApprovals:
    release = a_release(is_retrained=True, requested_by="system")

    def test_a_standing_approval_stands_in_for_its_giver(self) -> None:
        standing = a_standing_approval(self.release)

        outcome = advance(self.release, facts(standing=(standing,)))

        assert outcome == Transition(
            state="rolling_out",
            step=1,
            reason="covered by standing-approval/4 of ruth",
            standing=(standing,),
        )

    def test_two_of_the_same_giver_are_one_approval(self) -> None:
        release = under(TWO, is_retrained=True)
        both = (a_standing_approval(release), a_standing_approval(release, number=5))

        assert isinstance(advance(release, facts(settings=TWO, standing=both)), Waiting)

    def test_a_person_and_a_standing_approval_of_another_are_two(self) -> None:
        release = under(TWO, is_retrained=True)
        standing = a_standing_approval(release)
        omar = an_approval(release, by="omar")

        outcome = advance(release, facts(settings=TWO, approvals=(omar,), standing=(standing,)))

        assert isinstance(outcome, Transition)
        assert outcome.reason == "approved by omar, covered by standing-approval/4 of ruth"

    def test_a_standing_approval_that_is_not_needed_is_not_used(self) -> None:
        outcome = advance(
            self.release,
            facts(
                approvals=(an_approval(self.release, by="omar"),),
                standing=(a_standing_approval(self.release),),
            ),
        )

        assert isinstance(outcome, Transition)
        assert (outcome.reason, outcome.standing) == ("approved by omar", ())

    def test_one_that_does_not_cover_it_says_why(self) -> None:
        standing = a_standing_approval(self.release, expires_at=NOW)

        outcome = advance(self.release, facts(standing=(standing,)))

        assert outcome == Waiting(
            reason="waits for 1 approval by release-manager;"
            " standing-approval/4 does not cover it: it expired at 2013-02-01 12:00"
        )


class TestRollingOut:
    @staticmethod
    def at(step: int, **evidence: Any) -> Transition | Waiting:
        release = a_release(state="rolling_out", step=step)
        return advance(release, facts(evidence=RolloutEvidence(**evidence)))

    def test_a_step_waits_for_its_predictions(self) -> None:
        assert self.at(1, n_new=99) == Waiting(reason="step 1 of 4 waits for 99 of 100 predictions")

    def test_nothing_measured_is_nothing_reached(self) -> None:
        release = a_release(state="rolling_out", step=1)

        assert advance(release, facts()) == Waiting(
            reason="step 1 of 4 waits for 0 of 100 predictions"
        )

    def test_a_step_that_asks_for_labels_waits_for_them_too(self) -> None:
        assert self.at(2, n_new=200, n_labelled=49) == Waiting(
            reason="step 2 of 4 waits for 49 of 50 labels"
        )

    def test_a_step_ends_with_its_predictions(self) -> None:
        assert self.at(1, n_new=100) == Transition(
            state="rolling_out", step=2, reason="step 1 of 4 ended after 100 predictions"
        )

    def test_it_says_what_was_seen(self) -> None:
        outcome = self.at(2, n_new=240, n_labelled=60, worse_low=-0.02, worse_high=0.015)

        assert outcome.reason == (
            "step 2 of 4 ended after 240 predictions, 60 of them labelled; worse by -0.02 to 0.015"
        )

    def test_it_advances_one_step_at_a_time_whatever_was_seen(self) -> None:
        outcome = self.at(1, n_new=10**6, n_labelled=10**6)

        assert isinstance(outcome, Transition)
        assert outcome.step == 2

    def test_the_end_of_the_last_step_is_the_release(self) -> None:
        assert self.at(4) == Transition(
            state="released", step=4, reason="step 4 of 4 ended at once"
        )

    def test_the_first_release_needs_no_comparison(self) -> None:
        release = a_release(state="rolling_out", step=1, replaces=0)

        assert advance(release, facts()) == Transition(
            state="released",
            step=1,
            reason="the first in production: there is nothing to compare it with",
        )

    @pytest.mark.parametrize("step", [1, 2, 3, 4])
    def test_a_version_that_is_surely_worse_goes_back_at_any_step(self, step: int) -> None:
        outcome = self.at(step, n_new=500, n_labelled=400, worse_low=0.0123, worse_high=0.05)

        assert outcome == Transition(
            state="aborted",
            step=step,
            reason="surely worse than the champion by more than 0.01: at least 0.0123 on 400"
            " labelled predictions",
        )

    def test_a_version_that_may_be_worse_goes_on(self) -> None:
        outcome = self.at(1, n_new=100, n_labelled=100, worse_low=0.01, worse_high=0.2)

        assert isinstance(outcome, Transition)
        assert outcome.state == "rolling_out"

    def test_a_version_that_fails_surely_too_often_goes_back(self) -> None:
        outcome = self.at(1, n_new=60, n_failed=6)

        assert outcome == Transition(
            state="aborted",
            step=1,
            reason="surely fails on more than 1% of its requests: 6 of 60",
        )

    def test_one_failure_is_no_proof(self) -> None:
        assert isinstance(self.at(1, n_new=10, n_failed=1), Waiting)

    def test_failures_within_what_is_allowed_are_let_through(self) -> None:
        outcome = self.at(1, n_new=10_000, n_failed=100)

        assert isinstance(outcome, Transition)
        assert outcome.state == "rolling_out"

    def test_harm_counts_also_after_the_settings_have_changed(self) -> None:
        release = a_release(state="rolling_out", step=1)
        worse = RolloutEvidence(n_new=500, n_labelled=400, worse_low=0.02, worse_high=0.05)

        outcome = advance(release, facts(settings=TWO, evidence=worse))

        assert isinstance(outcome, Transition)
        assert outcome.state == "aborted"

    def test_it_stands_still_once_the_settings_have_changed(self) -> None:
        release = a_release(state="rolling_out", step=1)

        outcome = advance(release, facts(settings=TWO, evidence=RolloutEvidence(n_new=1000)))

        assert isinstance(outcome, Waiting)


@pytest.mark.parametrize("state", ["released", *sorted(ENDED)])
def test_a_release_that_has_arrived_or_ended_stays_so(state: Any) -> None:
    release = a_release(state=state, step=2)
    everything = facts(
        approvals=(an_approval(release),),
        standing=(a_standing_approval(release),),
        evidence=RolloutEvidence(n_new=10**6, worse_low=1.0),
        now=NOW + timedelta(days=400),
    )

    assert advance(release, everything) == Waiting(reason=f"it is {state}")


evidences = st.builds(
    RolloutEvidence,
    n_new=st.integers(0, 2000),
    n_labelled=st.integers(0, 2000),
    n_failed=st.integers(0, 30),
    worse_low=st.none() | st.floats(-0.1, 0.1) | st.just(float("-inf")),
    worse_high=st.none() | st.just(0.2) | st.just(float("inf")),
)


@given(evidence=evidences, step=st.integers(1, 4))
def test_traffic_never_skips_a_step_and_never_goes_to_what_is_surely_worse(
    evidence: RolloutEvidence, step: int
) -> None:
    outcome = advance(a_release(state="rolling_out", step=step), facts(evidence=evidence))

    if isinstance(outcome, Transition) and outcome.state != "aborted":
        assert evidence.worse_low is None or evidence.worse_low <= PRODUCTION.worse_by
        assert outcome.step == (step if outcome.state == "released" else step + 1)
        assert (outcome.state == "released") == (step == 4)
