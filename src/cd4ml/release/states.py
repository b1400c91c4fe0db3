"""What happens next to a release: decided from its row and the facts, without a store.

    changes_requested
        ^   |
        |   v
    awaiting_approval --> rolling_out (step 1 .. n) --> released --> superseded
            |                      |                        |
            v                      v                        v
    rejected, expired,          aborted                  undone
        withdrawn

The arrows out of `released` are taken by the next release and by `undo`, those back from
`changes_requested` and to `withdrawn` by who requested it; `aborted` is also what a person's
`abort` leads to. All others are taken here.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from math import log
from typing import NamedTuple

import msgspec

from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.release import WAITING, Release, ReleaseState
from cd4ml.records.rollout import RolloutEvidence, RolloutStep
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release.agreement import Agreement, Voice, agreement
from cd4ml.release.content import plan_address
from cd4ml.release.decisions import decision_of, valid
from cd4ml.release.freeze import frozen
from cd4ml.release.plans import steps_of
from cd4ml.release.standing import Known, covers, still
from cd4ml.release.standing import ref as standing_ref

FAILURES_ALLOWED = 0.01  # share of requests; abort once the new version surely fails on more
FAILURES_ALPHA = 0.05  # chance that a version failing on exactly that share is ever aborted for it


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a release's next transition depends on, beside its row.

    `rival` is another release of the model on its way into the same environment. `evidence` is
    about the release's present plan; None where nothing has been measured. `missing_before` says
    in words which environment before does not have the version in charge now; "" for none.
    `verdict` is the address of what the gates say now about its version, `unlike_champion` says in
    words that they compared it with another version than the champion of now; "" if not. `known`
    is what standing approvals are held against.
    """

    settings: EnvironmentSettings
    approvals: tuple[Approval, ...] = ()
    standing: tuple[StandingApproval, ...] = ()
    known: Known = Known({})
    evidence: RolloutEvidence | None = None
    rival: Release | None = None
    missing_before: str = ""
    verdict: str = ""
    unlike_champion: str = ""
    now: datetime


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """The next state and step, why, and the standing approvals that it rests on.

    The same state as before means that approvals were found to have expired.
    """

    state: ReleaseState
    step: int
    reason: str
    standing: tuple[StandingApproval, ...] = ()


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing happens yet, or ever again; `reason` says what it waits for."""

    reason: str


def advance(release: Release, facts: Facts) -> Transition | Waiting:
    """The next transition of a release, or what it waits for; one step at a time."""
    if release.state in WAITING:
        return _decided(release, facts) or _begin(release, facts)
    if release.state == "rolling_out":
        return _roll_out(release, facts)
    return Waiting(reason=f"it is {release.state}")


def _decided(release: Release, facts: Facts) -> Transition | None:
    """What people said against it, or the time that has passed."""
    if no := decision_of("reject", release, facts.approvals):
        return _to(release, "rejected", f"rejected by {no.decided_by}: {no.reason}")
    now, hours = _latest(release, facts), facts.settings.request_expires_hours
    if hours is not None and now >= release.asked_at + timedelta(hours=hours):
        asked = f"{release.asked_at:%Y-%m-%d %H:%M}"
        return _to(release, "expired", f"asked for at {asked}, and not begun in {hours:g} hours")
    if release.state == "changes_requested":
        return None
    if asks := decision_of("request_changes", release, facts.approvals):
        reason = f"{asks.decided_by} asks for changes: {asks.reason}"
        return _to(release, "changes_requested", reason)
    lapsed = [
        f"that of {each.decided_by} expired"
        for each in facts.approvals
        if each in valid(release, facts.approvals, release.entered_at)
        and each not in valid(release, facts.approvals, now)
    ]
    return _to(release, release.state, ", ".join(lapsed)) if lapsed else None


def _to(release: Release, state: ReleaseState, reason: str) -> Transition:
    return Transition(state=state, step=release.step, reason=reason)


def _latest(release: Release, facts: Facts) -> datetime:
    """Now, and never before what has happened: a clock that goes back revives nothing."""
    return max(facts.now, release.entered_at)


def _begin(release: Release, facts: Facts) -> Transition | Waiting:
    if release.state == "changes_requested":
        return Waiting(reason=f"{release.state_reason}; {release.requested_by} has to ask again")
    if changed := _changed_settings(release, facts.settings) or _changed_verdict(release, facts):
        return changed
    if facts.unlike_champion:
        return Waiting(reason=f"{facts.unlike_champion}; judge it again and request it again")
    if release.is_emergency:
        came_to: _Agreed | Waiting = _Agreed(
            f"an emergency of {release.requested_by}: {release.reason}"
        )
    else:
        came_to = _agreed(release, facts)
    if isinstance(came_to, Waiting):
        return came_to
    if facts.missing_before:
        return Waiting(reason=facts.missing_before)
    if facts.rival:
        return Waiting(reason=f"{facts.rival.ref} is rolling out; it has to end first")
    if stop := _frozen(release, facts):
        return stop
    return Transition(state="rolling_out", step=1, reason=came_to.why, standing=came_to.standing)


class _Agreed(NamedTuple):
    """Who agreed, in words, and the standing approvals among them."""

    why: str
    standing: tuple[StandingApproval, ...] = ()


def _agreed(release: Release, facts: Facts) -> _Agreed | Waiting:
    """Who agreed; or who has not yet."""
    given = valid(release, facts.approvals, _latest(release, facts))
    people = [Voice(each.decided_by, each.roles) for each in given]
    covering = _covering(release, facts, {voice.name for voice in people})
    roles = facts.known.roles
    in_advance = [Voice(each.given_by, still(each, roles)) for each in covering]
    came_to = agreement(facts.settings, [*people, *in_advance])
    if came_to.missing:
        return Waiting(reason=_missing(release, facts, came_to))
    counted = {voice.name for voice in came_to.counted}
    standing = tuple(each for each in covering if each.given_by in counted)
    names = [f"approved by {voice.name}" for voice in dict.fromkeys(people)]
    names += [f"covered by {standing_ref(each)} of {each.given_by}" for each in standing]
    return _Agreed(", ".join(names) or "needs no approval", standing)


def _frozen(release: Release, facts: Facts) -> Waiting | None:
    if release.is_emergency:
        return None
    why = frozen(facts.settings.freeze, facts.now)
    return Waiting(reason=why) if why else None


def _roll_out(release: Release, facts: Facts) -> Transition | Waiting:
    if not release.replaces:
        if stop := _frozen(release, facts):
            return stop
        reason = f"the first in {release.environment}: there is nothing to compare it with"
        return Transition(state="released", step=release.step, reason=reason)
    evidence = facts.evidence or RolloutEvidence()
    if harm := _harm(evidence, facts.settings):
        return Transition(state="aborted", step=release.step, reason=harm)
    if stop := _changed_settings(release, facts.settings) or _frozen(release, facts):
        return stop
    steps = steps_of(facts.settings, has_champion=True, is_emergency=release.is_emergency)
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


def _changed_verdict(release: Release, facts: Facts) -> Waiting | None:
    if not facts.verdict or facts.verdict == release.decides["verdict"]:
        return None
    return Waiting(
        reason="its version was judged again since it was requested, and the gates found something"
        " else; withdraw it and request it again"
    )


def _covering(
    release: Release, facts: Facts, people: Collection[str]
) -> tuple[StandingApproval, ...]:
    """The standing approvals that cover the release, one a giver who has not approved it."""
    by_giver: dict[str, StandingApproval] = {}
    for standing in facts.standing:
        if (
            standing.given_by not in people
            and covers(release, standing, _latest(release, facts), facts.known).is_covered
        ):
            by_giver.setdefault(standing.given_by, standing)
    return tuple(by_giver.values())


def _missing(release: Release, facts: Facts, came_to: Agreement) -> str:
    wanted = (
        f"{'1 approval' if n == 1 else f'{n} approvals'} by {role}" for role, n in came_to.missing
    )
    reasons = [f"waits for {' and '.join(wanted)}"]
    if release.is_retrained:
        reasons += [
            f"{standing_ref(given)} does not cover it: {coverage.reason}"
            for given in facts.standing
            if not (
                coverage := covers(release, given, _latest(release, facts), facts.known)
            ).is_covered
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
