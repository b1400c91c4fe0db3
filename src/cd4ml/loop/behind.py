"""What stands behind a version, release, verdict or run, in sentences, the nearest first."""

from __future__ import annotations

import sqlalchemy as sa

from cd4ml.loop.train import EMPTY
from cd4ml.models import registry
from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.run import Metric, Run
from cd4ml.records.verdict import Verdict
from cd4ml.store import lineage, rows
from cd4ml.store.address import short

Sentence = tuple[str, str]  # the topic, and what is so

_ASKING = ("job", "trigger", "alert")
_DATA = "dataset version"
_MOST = 20  # data behind the data


def of_version(
    connection: sa.Connection, version: ModelVersion, environment: str
) -> list[Sentence]:
    """A version, its releases (those to one environment, if one is named), and how it was made."""
    added = f"{version.created_at:%Y-%m-%d %H:%M} by {version.created_by}"
    text = f"{version.ref}, {version.artifact or 'not packaged yet'}, added {added}"
    of_version = rows.find(connection, Release, model=version.model, version=version.number)
    released = [
        sentence
        for release in of_version
        if environment in ("", release.environment)
        for sentence in of_release(connection, release)
    ]
    return [("model version", text), *released, *made(connection, version)]


def made(connection: sa.Connection, version: ModelVersion) -> list[Sentence]:
    """What was said about a version, and the run that made it, as far as there is either."""
    verdict = registry.verdict_about(connection, version)
    judged = of_verdict(verdict) if verdict else [("verdict", "not judged yet")]
    if not version.run:
        return [*judged, ("run", f"none of this project: {version.source or 'nobody says where'}")]
    run = rows.get(connection, Run, version.run)
    return [*judged, *of_run(connection, run), *_further(connection, version, run)]


def _further(connection: sa.Connection, version: ModelVersion, run: Run) -> list[Sentence]:
    """Who asked for its training, and the data that stand behind those of its run."""
    hops = lineage.upstream(connection, version.ref, without=lineage.THROUGH_PRODUCTION)
    asked = dict.fromkeys(hop.node.name for hop in hops if hop.node.kind in _ASKING)
    behind = dict.fromkeys(hop.node.name for hop in hops if hop.node.kind == _DATA)
    names = [name for name in behind if name not in run.refs.values()]
    more = f"and {len(names) - _MOST:,} more" if len(names) > _MOST else ""
    return [
        *(("asked by", name) for name in asked),
        *(("earlier data", name) for name in names[:_MOST]),
        *([("earlier data", more)] if more else []),
    ]


def of_release(connection: sa.Connection, release: Release) -> list[Sentence]:
    """A release, and who decided about it."""
    asked = f"{release.requested_at:%Y-%m-%d %H:%M} by {release.requested_by}"
    text = (
        f"{'an emergency, ' if release.is_emergency else ''}"
        f"{release.ref} of {release.model}/{release.version} to {release.environment},"
        f" {release.state}: {release.reason or 'no reason given'} (requested {asked});"
        f" {release.state_reason}"
    )
    approvals = rows.find(connection, Approval, release=release.number)
    return [
        ("release", text),
        *(("approval", _approval(connection, approval)) for approval in approvals),
    ]


_DECIDED = {
    "approve": "approved",
    "reject": "rejected",
    "request_changes": "sent back",
    "review": "reviewed as an emergency",
}


def _approval(connection: sa.Connection, approval: Approval) -> str:
    verb = _DECIDED[approval.decision]
    text = f"{verb} by {approval.decided_by} at {approval.decided_at:%Y-%m-%d %H:%M}"
    text += f" for content {short(approval.subject)}: {approval.reason or 'no reason given'}"
    if not approval.standing:
        return text
    standing = rows.get(connection, StandingApproval, approval.standing)
    given = f"{standing.given_at:%Y-%m-%d} until {standing.expires_at:%Y-%m-%d}"
    return f"{text} (a standing approval, {given}: {standing.reason})"


def of_verdict(verdict: Verdict) -> list[Sentence]:
    """A verdict, and the findings that decided it."""
    beside = f" beside {verdict.champion}" if verdict.champion else ""
    text = (
        f"{verdict.ref} {verdict.outcome}, under policy {short(verdict.policy)}"
        f" on holdout {short(verdict.holdout)}{beside}, asked by {verdict.judged_by}"
    )
    gated = [finding for finding in verdict.findings if finding.is_gated]
    return [
        ("verdict", text),
        *(
            ("finding", f"{finding.gate}: {_value(finding.value)} - {finding.outcome}")
            for finding in gated
        ),
    ]


def _value(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def of_run(connection: sa.Connection, run: Run) -> list[Sentence]:
    """A run: its code, environment, parameters, metrics and data."""
    tree = "with uncommitted changes" if run.is_dirty else "unchanged"
    revision = f"{run.revision} ({tree})" if run.revision else "outside git"
    parameters = ", ".join(f"{name}={value}" for name, value in sorted(run.parameters.items()))
    metrics = ", ".join(
        f"{metric.name} {_value(metric.value)}"
        for metric in rows.find(connection, Metric, run=run.number)
    )
    began = f"{run.started_at:%Y-%m-%d %H:%M} by {run.created_by}"
    return [
        ("run", f"{run.ref} {run.state}, experiment {run.experiment}, started {began}"),
        ("code", f"revision {revision}, reached code {short(run.code)}"),
        ("environment", f"distributions {short(run.environment)}"),
        ("parameters", parameters or "none"),
        ("metrics", metrics or "none"),
        *(("data", _data(connection, ref, run.datasets[name])) for name, ref in run.refs.items()),
        *([("known", f"what had arrived by {run.as_of.isoformat()}")] if run.as_of else []),
    ]


def _data(connection: sa.Connection, ref: str, digest: str) -> str:
    name, _, number = ref.partition("@")
    if number == EMPTY:
        return f"{ref}: production had shown nothing yet"
    version = rows.get(connection, DatasetVersion, name, int(number))
    return f"{ref}: {version.n_rows:,} rows from {version.source}, {digest}"
