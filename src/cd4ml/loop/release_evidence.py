"""What a request for a release carries: what the gates found, and what is new about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import sqlalchemy as sa

from cd4ml.records.finding import Finding, Outcome
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.verdict import Verdict
from cd4ml.store import rows
from cd4ml.store.address import short

_DIGESTS = ("code", "model", "contract", "policy", "plan")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is another than in the release in charge; "" where there was, or is, none."""

    what: str
    before: str
    after: str


class ReleaseEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody who is asked to agree looks at.

    It follows from records that never change, so it is the same whenever it is looked at.
    `beside` is the version with which the gates compared it, `compared_with` the one that was in
    charge there when the release was requested, of which `changes` tell; "" for none.
    """

    verdict: str
    outcome: Outcome
    findings: tuple[Finding, ...]
    beside: str
    compared_with: str
    changes: tuple[Change, ...]


def evidence_of(connection: sa.Connection, release: Release) -> ReleaseEvidence:
    """The evidence of a release, beside what was in charge when it was requested."""
    verdict = rows.get(connection, Verdict, release.verdict)
    there = rows.get(connection, Release, release.compared) if release.compared else None
    return ReleaseEvidence(
        verdict=verdict.ref,
        outcome=verdict.outcome,
        findings=tuple(finding.without_example for finding in verdict.findings),
        beside=verdict.champion,
        compared_with=f"{there.model}/{there.version}" if there else "",
        changes=tuple(_changes(connection, release, there)) if there else (),
    )


def _changes(connection: sa.Connection, release: Release, there: Release) -> Iterator[Change]:
    before, after = _run_of(connection, there), _run_of(connection, release)
    yield from _other("data ", before.refs, after.refs)
    yield from _other("", before.parameters, after.parameters)
    revisions = (before.revision[:10], after.revision[:10])
    if revisions[0] != revisions[1]:
        yield Change(what="revision", before=revisions[0], after=revisions[1])
    for name in _DIGESTS:
        old, new = there.decides.get(name, ""), release.decides[name]
        if old != new:
            yield Change(what=name, before=short(old), after=short(new))
    if before.environment != after.environment:
        yield Change(
            what="distributions", before=short(before.environment), after=short(after.environment)
        )


def _run_of(connection: sa.Connection, release: Release) -> Run:
    version = rows.get(connection, ModelVersion, release.model, release.version)
    return rows.get(connection, Run, version.run)


def _other(
    prefix: str, before: Mapping[str, object], after: Mapping[str, object]
) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield Change(what=f"{prefix}{name}", before=_said(old), after=_said(new))


def _said(value: object) -> str:
    return "" if value is None else str(value)
