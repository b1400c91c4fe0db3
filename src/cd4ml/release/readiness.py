"""Whether a version may be released: judged, passed, and in charge in the environments before."""

from __future__ import annotations

import sqlalchemy as sa

from cd4ml.errors import (
    Inconclusive,
    Refused,
)
from cd4ml.models import registry
from cd4ml.records.finding import Finding, Outcome, worst
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.records.verdict import Verdict
from cd4ml.release.content import (
    verdict_address,
)
from cd4ml.release.environments import Environments
from cd4ml.release.releases import missing_before


def refuse_other_verdict(
    connection: sa.Connection, version: ModelVersion, release: Release
) -> None:
    """Let nobody agree to evidence that is no longer what the gates say.

    Raises:
        Refused: If the version was judged again and the gates found something else.
    """
    verdict = registry.verdict_about(connection, version)
    if verdict is not None and verdict_address(verdict) != release.decides["verdict"]:
        msg = (
            f"{release.ref} was not approved: {version.ref} was judged again since it was requested,"
            f" and {verdict.ref} says something else than verdict/{release.verdict}"
        )
        raise Refused(msg, hint=f"cd4ml release withdraw {release.ref}, and request it anew")


def refuse_unless_before(
    connection: sa.Connection, version: ModelVersion, environment: str, environments: Environments
) -> None:
    """Let no version into an environment that is not in charge in those before.

    Raises:
        Refused: Naming the environment, and what is in charge there.
    """
    missing = missing_before(
        connection, version.model, version.number, environment, environments=environments
    )
    if missing:
        msg = f"{version.ref} was not released to {environment}: {missing.words}"
        raise Refused(msg, hint=f"cd4ml release {version.ref} --to {missing.environment}")


def require_verdict(connection: sa.Connection, version: ModelVersion) -> Verdict:
    """What was said last about this very model: gates may have been tightened since it came in.

    Raises:
        Refused: If it was deleted, is not packaged, no run made it, or no gate judged it.
    """
    if version.deleted_at is not None:
        msg = f"{version.ref} was not released: it was deleted on {version.deleted_at:%Y-%m-%d}"
        raise Refused(msg, hint=f"cd4ml model restore {version.ref}")
    if not version.artifact:
        msg = f"{version.ref} was not released: it is not packaged yet, so nobody could answer"
        raise Refused(msg, hint=f"cd4ml model package {version.ref}")
    if not version.run:
        msg = f"{version.ref} was not released: no run of this project says what it was made of"
        raise Refused(msg, hint="cd4ml model add brings a model with the rows of a run")
    verdict = registry.verdict_about(connection, version)
    if verdict is None:
        msg = f"{version.ref} was not released: it was never judged by a gate"
        raise Refused(msg, hint=f"cd4ml gate {version.ref}")
    return verdict


def refuse_unless_passed(
    version: ModelVersion, verdict: Verdict, environment: str, settings: EnvironmentSettings
) -> None:
    """Let a version go on only if all of its verdict is a pass, or the gates that are required.

    Raises:
        Refused: If it is none, or about another artifact.
        Inconclusive: If it is inconclusive.
    """
    if (verdict.model, verdict.artifact) != (version.model, version.artifact):
        raise Refused(f"{version.ref} was not released: {verdict.ref} is about another artifact")
    if settings.verdicts is not None:
        _refuse_unless_required_passed(version, verdict, environment, settings.verdicts)
        return
    _refuse_unless_pass(version, verdict.ref, verdict.outcome, verdict)


def _refuse_unless_required_passed(
    version: ModelVersion, verdict: Verdict, environment: str, required: tuple[str, ...]
) -> None:
    """Each required gate was asked, and passed; others may say what they like."""
    for name in required:
        asked = [each for each in verdict.findings if each.is_gated and is_of_gate(each, name)]
        if not asked:
            msg = (
                f"{version.ref} was not released: {environment} requires the verdict of the gate"
                f" {name!r}, and {verdict.ref} has no finding of it"
            )
            gates = dict.fromkeys(each.gate for each in verdict.findings if each.is_gated)
            raise Refused(msg, hint=f"it has: {', '.join(gates) or 'none'}")
        what = f"{name} in {verdict.ref}"
        _refuse_unless_pass(version, what, worst(tuple(each.outcome for each in asked)), verdict)


def is_of_gate(finding: Finding, name: str) -> bool:
    """Whether a finding is of the gate that `verdicts` names: by kind, metric, or what it asks.

    Examples:
        >>> floor = Finding(gate="auc at least 0.58", metric="auc", outcome="pass")
        >>> is_of_gate(floor, "auc"), is_of_gate(floor, "auc at least 0.58")
        (True, True)
        >>> is_of_gate(floor, "metric"), is_of_gate(floor, "brier")
        (True, False)
    """
    return name in (finding.kind, finding.metric, finding.gate)


def _refuse_unless_pass(
    version: ModelVersion, what: str, outcome: Outcome, verdict: Verdict
) -> None:
    hint = f"cd4ml gate show {verdict.ref}"
    if outcome == "inconclusive":
        raise Inconclusive(f"{version.ref} was not released: {what} is inconclusive", hint=hint)
    if outcome != "pass":
        msg = f"{version.ref} was not released: {what} is {outcome}, needs pass"
        raise Refused(msg, hint=hint)
