"""Why is it as it is? From one live prediction to the rows, code and people behind it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop.refs import dataset_version_in, number_in, version_in
from cd4ml.loop.train import EMPTY
from cd4ml.loop.watch import collect
from cd4ml.models import registry
from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.plan import Plan
from cd4ml.records.prediction import Prediction
from cd4ml.records.release import Release
from cd4ml.records.run import Metric, Run
from cd4ml.records.verdict import Verdict
from cd4ml.store import lineage, rows
from cd4ml.store.address import short
from cd4ml.store.project import Project

Sentence = tuple[str, str]  # the topic, and what is so

_PREDICTION = re.compile(r"[0-9a-f]{32}")


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind a thing, nearest first, and what came of it."""

    subject: str
    sentences: tuple[Sentence, ...]


def why(project: Project, ref: str) -> Explanation:
    """Explain a prediction (by its id), version, run, verdict, release, plan or dataset version.

    Raises:
        NotFound: If there is no such thing.
        InvalidInput: If the reference has none of the known forms.
    """
    if _PREDICTION.fullmatch(ref.lower()):
        ref = ref.lower()
        return Explanation(subject=ref, sentences=tuple(_prediction(project, ref)))
    explain = _explainer(ref)
    with project.database.read() as connection:
        return Explanation(subject=ref, sentences=tuple(explain(connection, ref)))


def _explainer(ref: str) -> Callable[[sa.Connection, str], list[Sentence]]:
    by_kind = {
        "run": _run_named,
        "release": _release_named,
        "verdict": _verdict_named,
        "plan": _plan_named,
    }
    kind = ref.partition("/")[0]
    if "@" in ref:
        return _dataset_named
    if kind in by_kind and "/" in ref:
        return by_kind[kind]
    if "/" in ref:
        return _version_named
    msg = f"expected a prediction id, or a name like delay/1, run/3 or flights@1, got {ref!r}"
    raise InvalidInput(msg, hint="a prediction id has 32 hex digits")


def _prediction(project: Project, prediction_id: str) -> list[Sentence]:
    answers = project.log.prediction(prediction_id)
    if not answers:
        collect(project)  # answered a moment ago, perhaps
        answers = project.log.prediction(prediction_id)
    if not answers:
        msg = f"no prediction {prediction_id!r} in the log"
        raise NotFound(msg, hint="was it answered by this project?")
    answer = answers[0]
    sentences = [
        ("prediction", _answer_text(answer)),
        ("request", msgspec.json.encode(answer.inputs).decode()),
        ("truth", _truth(project, answer)),
        *(("shadow", _answer_text(shadow)) for shadow in answers[1:]),
    ]
    with project.database.read() as connection:
        version = rows.get(connection, ModelVersion, answer.model, answer.number)
        return sentences + _version(connection, version, answer.environment)


def _answer_text(answer: Prediction) -> str:
    score = "no score" if answer.score is None else f"{answer.score:.4f}"
    return (
        f"{score} at {answer.answered_at:%Y-%m-%d %H:%M:%S} UTC, by {answer.model}/{answer.number}"
        f" as {answer.role} of plan/{answer.plan} in {answer.environment}"
    )


def _truth(project: Project, answer: Prediction) -> str:
    import polars as pl

    known = project.log.labels(start=answer.answered_at).filter(
        pl.col("prediction_id") == answer.prediction_id
    )
    found = known.collect()
    if found.is_empty():
        return "not known yet"
    label: dict[str, Any] = found.row(0, named=True)
    when = f"{label['labelled_at']:%Y-%m-%d %H:%M}"
    return f"{label['value']:g}, as {label['labelled_by']} said of {when} UTC"


def _version_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    return _version(connection, rows.get(connection, ModelVersion, *version_in(ref)), "")


def _version(connection: sa.Connection, version: ModelVersion, environment: str) -> list[Sentence]:
    added = f"{version.created_at:%Y-%m-%d %H:%M} by {version.created_by}"
    text = f"{version.ref}, {version.artifact}, added {added}"
    of_version = rows.find(connection, Release, model=version.model, version=version.number)
    released = [
        sentence
        for release in of_version
        if environment in ("", release.environment)
        for sentence in _release(connection, release)
    ]
    return [("model version", text), *released, *_made(connection, version)]


def _made(connection: sa.Connection, version: ModelVersion) -> list[Sentence]:
    """What was said about a version, and the run that made it, as far as there is either."""
    verdict = registry.verdict_about(connection, version)
    judged = _verdict(verdict) if verdict else [("verdict", "not judged yet")]
    if not version.run:
        return [*judged, ("run", f"none of this project: {version.source or 'nobody says where'}")]
    return [*judged, *_run(connection, rows.get(connection, Run, version.run))]


def _plan_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    plan = rows.get(connection, Plan, number_in(ref, "plan"))
    arms = ", ".join(f"{arm.ref} {arm.role} {arm.weight_percent:g} %" for arm in plan.arms)
    made = f"made {plan.made_at:%Y-%m-%d %H:%M} by release/{plan.release}"
    text = f"{plan.ref} in {plan.environment}: {arms} ({made})"
    return [("plan", text), *_release_named(connection, f"release/{plan.release}")]


def _release_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    release = rows.get(connection, Release, number_in(ref, "release"))
    version = rows.get(connection, ModelVersion, release.model, release.version)
    return [
        *_release(connection, release),
        *_made(connection, version),
    ]


def _release(connection: sa.Connection, release: Release) -> list[Sentence]:
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


def _verdict_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    verdict = rows.get(connection, Verdict, number_in(ref, "verdict"))
    run = rows.get(connection, Run, verdict.run)
    return [*_verdict(verdict), *_run(connection, run)]


def _verdict(verdict: Verdict) -> list[Sentence]:
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


def _run_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    return _run(connection, rows.get(connection, Run, number_in(ref, "run")))


def _run(connection: sa.Connection, run: Run) -> list[Sentence]:
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


def _dataset_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    version = rows.get(connection, DatasetVersion, *dataset_version_in(ref))
    added = f"{version.created_at:%Y-%m-%d %H:%M} by {version.created_by}"
    return [
        ("data", f"{version.ref}: {version.n_rows:,} rows, {version.digest}, added {added}"),
        ("source", f"{version.source} ({version.n_files:,} files)"),
        ("contract", f"{version.outcome} ({short(version.contract) or 'none declared'})"),
        *(("used by", name) for name in _users(connection, version)),
    ]


def _users(connection: sa.Connection, version: DatasetVersion) -> dict[str, None]:
    """Whatever was made from a version, each once though many ways lead there, nearest first."""
    return dict.fromkeys(hop.node.name for hop in lineage.downstream(connection, version.digest))
