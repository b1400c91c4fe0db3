"""What happens next to a release: decided from its row and the facts, without a store.

    awaiting_approval --> rolling_out (step 1 .. n) --> released --> superseded
            |                      |                        |
            v                      v                        v
         rejected               aborted                  undone

The arrows out of `released` are taken by the next release and by `undo`; `aborted` is also what
a person's `abort` leads to. All others are taken here.
"""

from __future__ import annotations

from datetime import datetime
from math import log

import msgspec

from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.release import Release, ReleaseState
from cd4ml.records.rollout import RolloutEvidence, RolloutStep
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release.approvals import approvers, rejection
from cd4ml.release.content import plan_address
from cd4ml.release.plans import steps_of
from cd4ml.release.standing import covers
from cd4ml.release.standing import ref as standing_ref

FAILURES_ALLOWED = 0.01  # share of requests; abort once the new version surely fails on more
FAILURES_ALPHA = 0.05  # chance that a version failing on exactly that share is ever aborted for it


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a release's next transition depends on, beside its row.

    `rival` is another release of the model on its way into the same environment. `evidence` is
    about the release's present plan; None where nothing has been measured. `missing_before` says
    in words which environment before does not have the version in charge now; "" for none.
    """

    settings: EnvironmentSettings
    approvals: tuple[Approval, ...] = ()
    standing: tuple[StandingApproval, ...] = ()
    evidence: RolloutEvidence | None = None
    rival: Release | None = None
    missing_before: str = ""
    now: datetime


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """The next state and step, why, and the standing approvals that it rests on."""

    state: ReleaseState
    step: int
    reason: str
    standing: tuple[StandingApproval, ...] = ()


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing happens yet, or ever again; `reason` says what it waits for."""

    reason: str


def advance(release: Release, facts: Facts) -> Transition | Waiting:
    """The next transition of a release, or what it waits for; one step at a time."""
    if release.state == "awaiting_approval":
        return _begin(release, facts)
    if release.state == "rolling_out":
        return _roll_out(release, facts)
    return Waiting(reason=f"it is {release.state}")


def _begin(release: Release, facts: Facts) -> Transition | Waiting:
    rejected = rejection(release, facts.approvals)
    if rejected:
        reason = f"rejected by {rejected.decided_by}: {rejected.reason}"
        return Transition(state="rejected", step=release.step, reason=reason)
    if changed := _changed_settings(release, facts.settings):
        return changed
    people = approvers(release, facts.approvals)
    n_missing = facts.settings.approvals - len(people)
    standing = _standing_in(release, facts, people)[: max(0, n_missing)]
    if len(standing) < n_missing:
        return Waiting(reason=_missing(release, facts, n_missing - len(standing)))
    if facts.missing_before:
        return Waiting(reason=facts.missing_before)
    if facts.rival:
        return Waiting(reason=f"{facts.rival.ref} is rolling out; it has to end first")
    names = [f"approved by {name}" for name in people]
    names += [f"covered by {standing_ref(given)} of {given.given_by}" for given in standing]
    reason = ", ".join(names) or "needs no approval"
    return Transition(state="rolling_out", step=1, reason=reason, standing=standing)


def _roll_out(release: Release, facts: Facts) -> Transition | Waiting:
    if not release.replaces:
        reason = f"the first in {release.environment}: there is nothing to compare it with"
        return Transition(state="released", step=release.step, reason=reason)
    evidence = facts.evidence or RolloutEvidence()
    if harm := _harm(evidence, facts.settings):
        return Transition(state="aborted", step=release.step, reason=harm)
    if changed := _changed_settings(release, facts.settings):
        return changed
    steps = steps_of(facts.settings, has_champion=True)
    missing = _not_reached(steps[release.step - 1], evidence)
    if missing:
        return Waiting(reason=f"step {release.step} of {len(steps)} waits for {missing}")
    done = f"step {release.step} of {len(steps)} ended {_seen(evidence)}"
    if release.step == len(steps):
        return Transition(state="released", step=release.step, reason=done)
    return Transition(state="rolling_out", step=release.step + 1, reason=done)


def _harm(evidence: RolloutEvidence, settings: EnvironmentSettings) -> str:
    """Why the new version has to go back, or nothing; both rules may be asked at any moment."""
    if evidence.worse_low is not None and evidence.worse_low > settings.worse_by:
        return (
            f"surely worse than the champion by more than {settings.worse_by:g}: at least"
            f" {evidence.worse_low:.4g} on {evidence.n_labelled} labelled predictions"
        )
    if _surely_fails(evidence):
        return (
            f"surely fails on more than {FAILURES_ALLOWED:.0%} of its requests:"
            f" {evidence.n_failed} of {evidence.n_new}"
        )
    return ""


def _surely_fails(evidence: RolloutEvidence) -> bool:
    n = max(evidence.n_new, evidence.n_failed)
    if evidence.n_failed <= FAILURES_ALLOWED * n:
        return False
    from cd4ml.measures.evidence import betabinomial_e

    against_allowed = betabinomial_e(
        evidence.n_failed,
        n,
        p0=FAILURES_ALLOWED,
        a=20 * FAILURES_ALLOWED,
        b=20 * (1 - FAILURES_ALLOWED),
    )
    return float(against_allowed) >= log(1 / FAILURES_ALPHA)


def _changed_settings(release: Release, settings: EnvironmentSettings) -> Waiting | None:
    if plan_address(settings) == release.decides["plan"]:
        return None
    return Waiting(
        reason=f"the settings of {release.environment} in cd4ml.toml have changed since it was"
        " requested; restore them, or abort it and request it again"
    )


def _standing_in(
    release: Release, facts: Facts, people: tuple[str, ...]
) -> tuple[StandingApproval, ...]:
    """The standing approvals that cover the release, one a giver who has not approved it."""
    by_giver: dict[str, StandingApproval] = {}
    for standing in facts.standing:
        if standing.given_by not in people and covers(release, standing, facts.now).is_covered:
            by_giver.setdefault(standing.given_by, standing)
    return tuple(by_giver.values())


def _missing(release: Release, facts: Facts, n_missing: int) -> str:
    approvals = "1 approval" if n_missing == 1 else f"{n_missing} approvals"
    reasons = [f"waits for {approvals} by {' or '.join(facts.settings.roles)}"]
    if release.is_retrained:
        reasons += [
            f"{standing_ref(given)} does not cover it: {coverage.reason}"
            for given in facts.standing
            if not (coverage := covers(release, given, facts.now)).is_covered
        ]
    return "; ".join(reasons)


def _not_reached(step: RolloutStep, evidence: RolloutEvidence) -> str:
    counts = (
        (evidence.n_new, step.predictions, "predictions"),
        (evidence.n_labelled, step.labels, "labels"),
    )
    return ", ".join(f"{got} of {need} {what}" for got, need, what in counts if got < need)


def _seen(evidence: RolloutEvidence) -> str:
    if evidence.n_new == 0:
        return "at once"
    seen = f"after {evidence.n_new} predictions"
    if evidence.worse_low is None or evidence.worse_high is None:
        return seen
    interval = f"{evidence.worse_low:.4g} to {evidence.worse_high:.4g}"
    return f"{seen}, {evidence.n_labelled} of them labelled; worse by {interval}"
