"""Offer a version in an environment: request, agree or not, go back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.commands import requests
from cd4ml.cli.commands.requests import show_release
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, Parser, UsageError, day_or_time

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.release_evidence import ReleaseEvidence
    from cd4ml.loop.releases import ReleaseDetails
    from cd4ml.loop.restored import Restored
    from cd4ml.records.approval import StandingApproval
    from cd4ml.records.release import Release


def add(commands: Commands) -> None:
    """`release`, `approve`, `reject`, `revoke`, `undo`."""
    _add_release(commands)
    _add_approve(commands)
    parser = commands.add("reject", reject, "decide against a release that waits for approval")
    _takes_release(parser)
    _takes_reason(parser, is_required=True)
    parser = commands.add("revoke", revoke, "end a standing approval now")
    parser.add_argument("approval", metavar="standing-approval/NUMBER")
    _takes_reason(parser, is_required=True)
    parser = commands.add(
        "undo",
        undo,
        "put the version that was in charge before back in charge",
        "At once, without a rollout: the version has been approved and in charge before. The\n"
        "ledger has how long the one it replaces was in charge, and the time to restore.",
    )
    parser.add_argument("--in", dest="environment", metavar="ENVIRONMENT", required=True)
    parser.add_argument("--model", default="", help="(default: the only one there)")
    _takes_reason(parser, is_required=True)


def _add_release(commands: Commands) -> None:
    nouns = commands.group(
        "release",
        "offer a model version in an environment",
        "`cd4ml release MODEL/NUMBER --to ENVIRONMENT` is short for `cd4ml release start ...`.",
    )
    parser = nouns.add(
        "start",
        request,
        "request a release: it rolls out when the environment's approvals are there",
        "The release names what decides it: digests of code, data, model, contract, policy and\n"
        "rollout plan. An approval counts for exactly these. Leaves with 0 once it is requested,\n"
        "also while it waits for approval.",
    )
    parser.add_argument("version", metavar="MODEL/NUMBER", help="a version that passed its gates")
    parser.add_argument("--to", dest="environment", metavar="ENVIRONMENT", required=True)
    parser.add_argument(
        "--emergency",
        action="store_true",
        help="without approval, also in a freeze, where the policy lets your role; needs a reason,"
        " is marked for ever, and somebody else reviews it afterwards",
    )
    _takes_reason(parser)
    nouns.add("list", list_releases, "list releases, newest first")
    parser = nouns.add("show", show, "show a release: what decides it, approvals, plans, history")
    _takes_release(parser)
    parser = nouns.add("abort", abort, "stop a rollout: the version in charge takes all traffic")
    _takes_release(parser)
    _takes_reason(parser, is_required=True)
    requests.add_to(nouns)


def _add_approve(commands: Commands) -> None:
    parser = commands.add(
        "approve",
        approve,
        "agree to a release, or in advance to those of retrained models",
        "An approval counts only from a person other than the requester, with a role that the\n"
        "environment asks for. With --standing there is no RELEASE: it covers retrained versions\n"
        "of --model that pass every gate, to --to, before --until, while the policy stays as it is,\n"
        "their code, configuration and contract are what people agreed to, and you have the role.",
    )
    parser.add_argument("release", metavar="release/NUMBER", nargs="?", default="")
    parser.add_argument(
        "--content",
        default=None,
        help="what you looked at, as `release show` says; refused if it is another",
    )
    parser.add_argument("--standing", action="store_true", help="approve in advance")
    parser.add_argument("--model", default="", help="of the standing approval")
    parser.add_argument("--to", dest="environment", metavar="ENVIRONMENT", default="")
    parser.add_argument(
        "--until", metavar="DATE", type=day_or_time, help="YYYY-MM-DD, or with a time"
    )
    parser.add_argument(
        "--margin",
        dest="margins",
        metavar="METRIC=VALUE",
        action="append",
        default=[],
        help="of the standing approval: by how much a candidate may be worse than the champion, by"
        " the interval of its verdict; may be repeated",
    )
    _takes_reason(parser, is_required=True)


def request(given: Given) -> Answer[Release]:
    """Request a release."""
    from cd4ml.loop.promote import request as ask

    words = given.words
    release = ask(
        given.project,
        words.version,
        to=words.environment,
        reason=words.reason,
        is_emergency=words.emergency,
        actor=given.actor,
    )
    return Answer(release, show_release)


def approve(given: Given) -> Answer[Release] | Answer[StandingApproval]:
    """Approve one release, or a class of them."""
    if given.words.standing:
        return _stand(given)
    if not given.words.release:
        raise UsageError("cd4ml approve: which release?", hint="cd4ml release list")
    from cd4ml.loop.promote import approve as agree
    from cd4ml.loop.releases import release_details

    words = given.words
    release = agree(
        given.project,
        words.release,
        reason=words.reason,
        content=words.content,
        actor=given.actor,
    )
    waits = release_details(given.project, release.ref).waits_for
    return Answer(release, lambda screen, it: _show_agreed(screen, it, waits))


def _show_agreed(screen: Screen, release: Release, waits: str) -> None:
    show_release(screen, release, waits)
    if waits and release.state in ("awaiting_approval", "rolling_out"):
        screen.line(waits, indent=2)


def _stand(given: Given) -> Answer[StandingApproval]:
    from cd4ml.loop.standing import stand

    words = given.words
    if not (words.model and words.environment and words.until) or words.release:
        raise UsageError(
            "cd4ml approve --standing: needs --model, --to and --until, and no release",
            hint="cd4ml approve --help",
        )
    approval = stand(
        given.project,
        model=words.model,
        environment=words.environment,
        until=words.until,
        reason=words.reason,
        margins=_margins(words.margins),
        actor=given.actor,
    )
    return Answer(approval, _show_standing)


def _margins(said: list[str]) -> dict[str, float]:
    """By metric, what `--margin METRIC=VALUE` says."""
    margins = {}
    for text in said:
        metric, _, value = text.partition("=")
        try:
            margins[metric] = float(value)
        except ValueError:
            msg = f"cd4ml approve --margin: expected METRIC=VALUE, got {text!r}"
            raise UsageError(msg, hint="for example --margin auc=0.005") from None
    return margins


def reject(given: Given) -> Answer[Release]:
    """Decide against a release."""
    from cd4ml.loop.promote import reject as refuse

    words = given.words
    release = refuse(given.project, words.release, reason=words.reason, actor=given.actor)
    return Answer(release, show_release)


def revoke(given: Given) -> Answer[StandingApproval]:
    """End a standing approval."""
    from cd4ml.loop.standing import revoke as take_back

    words = given.words
    approval = take_back(given.project, words.approval, reason=words.reason, actor=given.actor)
    return Answer(approval, lambda screen, ended: _show_revoked(screen, ended, words.reason))


def abort(given: Given) -> Answer[Release]:
    """Stop a rollout."""
    from cd4ml.loop.undo import abort as stop

    words = given.words
    release = stop(given.project, words.release, reason=words.reason, actor=given.actor)
    return Answer(release, show_release)


def undo(given: Given) -> Answer[Restored]:
    """Go back to the version before."""
    from cd4ml.loop.restored import restored
    from cd4ml.loop.undo import undo as go_back

    words = given.words
    release = go_back(
        given.project,
        environment=words.environment,
        model=words.model,
        reason=words.reason,
        actor=given.actor,
    )
    return Answer(restored(given.project, release), _show_restored)


def list_releases(given: Given) -> Answer[list[Release]]:
    """All releases."""
    from cd4ml.loop.releases import releases

    return Answer(releases(given.project)[::-1], _show_releases)


def show(given: Given) -> Answer[ReleaseDetails]:
    """One release."""
    from cd4ml.loop.releases import release_details

    return Answer(release_details(given.project, given.words.release), _show_details)


def _takes_release(parser: Parser) -> None:
    parser.add_argument("release", metavar="release/NUMBER")


def _takes_reason(parser: Parser, *, is_required: bool = False) -> None:
    parser.add_argument(
        "--reason", required=is_required, default="", help="why, for the ledger and the next reader"
    )


def _show_releases(screen: Screen, releases: list[Release]) -> None:
    from cd4ml.cli.screen import moment, words

    screen.table(
        ("release", "version", "to", "state", "requested", "by"),
        (
            (
                release.ref,
                f"{release.model}/{release.version}",
                release.environment,
                words(release.state) + (", an emergency" if release.is_emergency else ""),
                moment(release.requested_at),
                release.requested_by,
            )
            for release in releases
        ),
    )


def _show_standing(screen: Screen, approval: StandingApproval) -> None:
    from cd4ml.cli.screen import moment, short

    screen.title(f"standing approval {approval.number}")
    screen.facts(
        (
            ("covers", f"retrained versions of {approval.model} to {approval.environment}"),
            ("made as", ", ".join(f"{k} {short(v)}" for k, v in approval.basis.items())),
            (
                "worse by",
                ", ".join(f"{k} at most {v:g}" for k, v in approval.margins.items()),
            ),
            ("until", f"{moment(approval.expires_at)} UTC"),
            ("given by", f"{approval.given_by} ({', '.join(approval.roles)})"),
            ("revoked", moment(approval.revoked_at)),
            ("policy", short(approval.policy)),
            ("given because", approval.reason),
        )
    )


def _show_revoked(screen: Screen, approval: StandingApproval, reason: str) -> None:
    _show_standing(screen, approval)
    screen.line(f"revoked: {reason}", indent=2)


def _show_details(screen: Screen, details: ReleaseDetails) -> None:
    from cd4ml.cli.screen import moment, short, words

    show_release(screen, details.release, details.waits_for)
    if details.waits_for:
        screen.line(f"  {details.waits_for}")
    screen.facts(
        (
            ("content", short(details.release.content)),
            *((f"  {name}", short(digest)) for name, digest in details.release.decides.items()),
        )
    )
    _show_evidence(screen, details.evidence)
    screen.title("\napprovals" if details.approvals else "\nno approvals")
    for approval in details.approvals:
        standing = f" (standing approval {approval.standing})" if approval.standing else ""
        when = f"{words(approval.decision)} by {approval.decided_by}, {moment(approval.decided_at)}"
        until = f", until {moment(approval.expires_at)}" if approval.expires_at else ""
        screen.line(f"  - {when}{until}{standing}: {approval.reason}")
    screen.title("\nplans")
    for plan in details.plans:
        arms = ", ".join(f"{arm.ref} {arm.role} {arm.weight_percent:g} %" for arm in plan.arms)
        screen.line(f"  - {plan.ref}, {moment(plan.made_at)}: {arms}")
    screen.title("\nhistory")
    screen.log(((moment(each.at), each.actor, each.action), each.reason) for each in details.ledger)


def _show_evidence(screen: Screen, evidence: ReleaseEvidence) -> None:
    against = f", beside {evidence.beside or 'no version'}"
    gated = [each.outcome for each in evidence.findings if each.is_gated]
    passed = f"{gated.count('pass')} of {len(gated)} findings passed"
    screen.title(f"\nevidence: {evidence.verdict} {evidence.outcome}, {passed}{against}")
    if evidence.changes and evidence.compared_with != evidence.beside:
        screen.line(f"  new since {evidence.compared_with}, in charge when it was requested:")
    for change in evidence.changes:
        screen.line(f"  - {change.what}: {change.before or 'none'} -> {change.after or 'none'}")


def _show_restored(screen: Screen, restored: Restored) -> None:
    show_release(screen, restored.release)
    screen.facts(
        (
            ("instead of", restored.undone),
            ("which was in charge for", _duration(restored.in_charge_s)),
            ("time to restore", f"{_duration(restored.time_to_restore_s)} since {restored.since}"),
            ("the undo took", f"{restored.took_s:.3f} s"),
        )
    )


def _duration(seconds: float) -> str:
    """Days, hours, minutes and seconds, the two largest of them.

    Examples:
        >>> _duration(3725.0), _duration(0.5)
        ('1 h 2 min', '0.5 s')
    """
    units = (("d", 86400), ("h", 3600), ("min", 60))
    parts, left = [], seconds
    for unit, size in units:
        if seconds >= size:
            parts.append(f"{int(left // size)} {unit}")
            left %= size
    return " ".join(parts[:2] if len(parts) > 1 else [*parts, f"{left:.3g} s"])
