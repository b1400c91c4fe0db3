"""Asking for a version to be released."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.errors import AlreadyExists, Conflict, Inconclusive, NotAllowed, Refused
from cd4ml.models import registry
from cd4ml.records.actor import Actor
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.verdict import Verdict
from cd4ml.release.content import content_address, decides
from cd4ml.release.environments import Environments, settings_of
from cd4ml.release.releases import in_charge, missing_before, rolling_out
from cd4ml.store import ledger, lineage, rows


def request_release(
    connection: sa.Connection,
    version: ModelVersion,
    *,
    environment: str,
    environments: Environments,
    by: Actor,
    at: datetime,
    reason: str = "",
    is_retrained: bool = False,
) -> Release:
    """Ask for a version to be offered in an environment; `reconcile` takes it from there.

    The release awaits approval, also where none is needed: the next reconcile begins it then.
    Asking again for the same content while the first release is under way gives that one.

    Args:
        connection: Of a write transaction.
        version: What to release.
        environment: Where to.
        environments: All of them, in the order of `cd4ml.toml`.
        by: Who asks; may not approve it later.
        at: Now.
        reason: Why, in words.
        is_retrained: The system asks after retraining; a standing approval may cover it.

    Raises:
        NotFound: If there is no such environment.
        Refused: If the version was deleted, is not packaged, was not judged or did not pass, or is
            not in charge in an environment before.
        Inconclusive: If the verdict is inconclusive.
        NotAllowed: If a person claims that the system retrained it.
        AlreadyExists: If exactly this content is in charge there.
        Conflict: If another release of the model is rolling out there.
    """
    settings = settings_of(environments, environment)
    verdict = _require_verdict(connection, version)
    _refuse_unless_passed(version, verdict)
    if is_retrained and by.kind != "system":
        raise NotAllowed(f"{by.name} may not request {version.ref} as retrained by the system")
    refuse_unless_before(connection, version, environment, environments)
    run = rows.get(connection, Run, version.run)
    digests = decides(version, run, verdict, environment=environment, settings=settings)
    content = content_address(digests)
    if under_way := _under_way(connection, version.model, environment, content):
        return under_way
    number = rows.next_number(connection, Release)  # from here to commit nobody else requests
    _refuse_if_taken(connection, version, environment, content)
    release = Release(
        number=number,
        model=version.model,
        version=version.number,
        environment=environment,
        state="awaiting_approval",
        decides=digests,
        content=content,
        is_retrained=is_retrained,
        reason=reason,
        requested_by=by.name,
        requested_at=at,
        entered_at=at,
    )
    _add(connection, release, verdict)
    return release


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


def _require_verdict(connection: sa.Connection, version: ModelVersion) -> Verdict:
    """What was said last about this very model: gates may have been tightened since it came in."""
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


def _refuse_unless_passed(version: ModelVersion, verdict: Verdict) -> None:
    if (verdict.model, verdict.artifact) != (version.model, version.artifact):
        raise Refused(f"{version.ref} was not released: {verdict.ref} is about another artifact")
    if verdict.outcome == "inconclusive":
        msg = f"{version.ref} was not released: {verdict.ref} is inconclusive"
        raise Inconclusive(msg, hint=f"cd4ml gate show {verdict.ref}")
    if verdict.outcome != "pass":
        msg = f"{version.ref} was not released: {verdict.ref} is {verdict.outcome}, needs pass"
        raise Refused(msg, hint=f"cd4ml gate show {verdict.ref}")


def _under_way(
    connection: sa.Connection, model: str, environment: str, content: str
) -> Release | None:
    same = rows.find(
        connection,
        Release,
        model=model,
        environment=environment,
        content=content,
        newest_first=True,
    )
    return next((one for one in same if one.state in ("awaiting_approval", "rolling_out")), None)


def _refuse_if_taken(
    connection: sa.Connection, version: ModelVersion, environment: str, content: str
) -> None:
    there = in_charge(connection, version.model, environment)
    if there is not None and there.content == content:
        same = f"{there.model}/{there.version}"
        what = same if same == version.ref else f"{same}, which is the same as {version.ref},"
        raise AlreadyExists(f"{what} is in charge in {environment} already, by {there.ref}")
    rival = rolling_out(connection, version.model, environment)
    rival = rival or _under_way(connection, version.model, environment, content)
    if rival is not None:
        msg = (
            f"{version.ref} was not released: {rival.ref} ({rival.model}/{rival.version}) is on its"
            f" way into {environment}"
        )
        raise Conflict(msg, hint=f"wait until it has ended, or: cd4ml release abort {rival.ref}")


def _add(connection: sa.Connection, release: Release, verdict: Verdict) -> None:
    rows.insert(connection, release)
    at, version = release.requested_at, f"{release.model}/{release.version}"
    lineage.note(connection, address=release.ref, kind="release", name=release.ref, at=at)
    lineage.link(connection, release.ref, version, "released as")
    lineage.link(connection, release.ref, verdict.ref, "judged by")
    ledger.append(
        connection,
        at=at,
        actor=release.requested_by,
        action="release.requested",
        subject=release.ref,
        reason=release.reason,
        details={
            "version": version,
            "environment": release.environment,
            "verdict": verdict.ref,
            "is_retrained": release.is_retrained,
            "content": release.content,
            "decides": release.decides,
        },
    )
