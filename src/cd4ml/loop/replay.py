"""Judge all past candidates by another policy: what it would have stopped, and was it right?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from cd4ml.errors import Cd4mlError, ConfigurationError, Corrupted, NotFound, Unavailable
from cd4ml.gates.policy import Policy, policy_of
from cd4ml.gates.replay import rejudge
from cd4ml.gates.stored import stored_evidence
from cd4ml.monitoring.alerts import kind_of
from cd4ml.records.lineage import Edge
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.plan import Plan
from cd4ml.records.release import Release
from cd4ml.records.replay import Rejudged, Replay, Replayed, Shown, Unseen
from cd4ml.records.verdict import Verdict
from cd4ml.records.window import Window
from cd4ml.release.environments import settings_of
from cd4ml.store import ledger, rows
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project
from cd4ml.store.settings import settings_from

_ALONE = '[project]\nname = "replay"\n'  # a file with nothing but gates is a policy, too


class _Candidate(NamedTuple):
    """What was judged, the version it became, and its releases to the environment that counts."""

    verdict: Verdict
    version: ModelVersion | None
    releases: tuple[Release, ...]


class _Known(NamedTuple):
    """What production showed of a candidate."""

    shown: Shown
    words: str


def replay(
    project: Project, *, policy: Path | None = None, text: str = "", environment: str = ""
) -> Replay:
    """What a policy would have said of every past candidate, from stored evidence alone.

    Nothing is computed anew and nothing is written. A released candidate is bad if its release
    was undone, or aborted after it had answered somebody or by the rollout's own rules, or if
    the first measured window in which it was in charge shows it worse than it should be; good if
    that window shows it well; else nobody knows.

    Args:
        project: Whose candidates.
        policy: A file with `[[gate]]` tables, such as another `cd4ml.toml`; the project's own
            by default.
        text: The tables themselves, instead of a file.
        environment: Where it counts what became of a candidate; the last by default.

    Raises:
        ConfigurationError: If the file cannot be read, or asks what cannot be meant.
        NotFound: If there is no such environment.
        Unavailable: If the evidence cannot be asked for now.
    """
    asked = _policy(project, policy, text)
    name = _environment(project, environment)
    with project.database.read() as connection:
        candidates = _candidates(connection, name)
        known = [_shown(connection, each, name) for each in candidates]
    told = [
        _replayed(each, _rejudged(project, each.verdict, asked), shown)
        for each, shown in zip(candidates, known, strict=True)
    ]
    return _summed(asked, name, told)


def _policy(project: Project, path: Path | None, text: str) -> Policy:
    key = project.settings.model.key
    if path is None and not text:
        return policy_of(project.settings.gate, key)
    name = path or Path("policy")
    text = _read(path) if path is not None else text
    is_whole = any(line.strip() == "[project]" for line in text.splitlines())
    settings = settings_from(text if is_whole else f"{_ALONE}{text}", name)
    if not settings.gate:
        msg = f"{name} has no [[gate]]: it would let nothing pass"
        raise ConfigurationError(msg, hint="add the gates to be tried")
    return policy_of(settings.gate, key)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        msg = f"the policy {path} cannot be read: {reason}"
        raise ConfigurationError(msg, hint="a file with [[gate]] tables") from None


def _environment(project: Project, name: str) -> str:
    known = project.settings.environments
    if name:
        settings_of(known, name)
        return name
    return list(known)[-1] if known else project.settings.monitoring.environment


def _candidates(connection: sa.Connection, environment: str) -> list[_Candidate]:
    """Each candidate once: by the verdict it was released under, else by its newest one."""
    newest: dict[tuple[str, int, str], Verdict] = {}
    for verdict in rows.find(connection, Verdict):
        newest[verdict.model, verdict.run, verdict.artifact] = verdict
    found = [_candidate(connection, verdict, environment) for verdict in newest.values()]
    return sorted(found, key=lambda each: each.verdict.number)


def _candidate(connection: sa.Connection, verdict: Verdict, environment: str) -> _Candidate:
    versions = rows.find(
        connection, ModelVersion, model=verdict.model, run=verdict.run, artifact=verdict.artifact
    )
    if not versions:
        return _Candidate(verdict, None, ())
    version = versions[0]
    releases = rows.find(
        connection, Release, model=version.model, version=version.number, environment=environment
    )
    return _Candidate(_released_under(connection, releases, verdict), version, tuple(releases))


def _released_under(
    connection: sa.Connection, releases: list[Release], verdict: Verdict
) -> Verdict:
    for release in releases[:1]:
        for edge in rows.find(connection, Edge, child=release.ref, role="judged by"):
            return rows.get(connection, Verdict, int(edge.parent.rpartition("/")[2]))
    return verdict


def _rejudged(project: Project, verdict: Verdict, policy: Policy) -> Rejudged:
    if not verdict.evidence and verdict.outcome == "error":  # it could not even be asked
        return Rejudged(outcome=verdict.outcome, findings=verdict.findings)
    try:
        return rejudge(policy, stored_evidence(project.blobs, verdict), verdict.findings)
    except Unavailable:
        raise  # nobody knows what is there
    except Cd4mlError as error:
        if verdict.evidence and isinstance(error, Corrupted | NotFound):
            unseen = Unseen(gate="all", reason=f"the evidence is damaged: {error.message}")
            return Rejudged(outcome="damaged", unseen=(unseen,))
        unseen = Unseen(gate="all", reason=f"not looked at then: {error.message}")
        return Rejudged(outcome="not looked at", unseen=(unseen,))


def _shown(connection: sa.Connection, candidate: _Candidate, environment: str) -> _Known:
    """What became of a candidate in an environment."""
    begun = [release for release in candidate.releases if release.plan]
    if candidate.version is None or not begun:
        return _Known("unknown", f"never in {environment}")
    for release in begun:
        if _is_taken_back(connection, release):
            return _Known("bad", f"{release.ref} was {release.state}: {release.state_reason}")
    windows = rows.find(connection, Window, environment=environment, model=candidate.version.model)
    own = [window for window in windows if window.champion == candidate.version.number]
    return _of_windows(sorted(own, key=lambda window: window.start))


def _is_taken_back(connection: sa.Connection, release: Release) -> bool:
    """Whether a release did harm: a person may abort one that answered nobody for any reason."""
    if release.state != "aborted":
        return release.state == "undone"
    (entry, *_) = ledger.entries(connection, release.ref, limit=1)
    answered = any(
        arm.number == release.version and arm.role != "shadow"
        for plan in rows.find(connection, Plan, release=release.number)
        for arm in plan.arms
    )
    return answered or entry.actor == SYSTEM


def _of_windows(windows: Iterable[Window]) -> _Known:
    """By the first window that says something about performance: later ones are about the world."""
    for window in windows:
        decided = [
            finding
            for finding in window.findings
            if finding.is_gated
            and kind_of(finding) == "performance"
            and finding.outcome in ("pass", "fail")
        ]
        failed = [finding for finding in decided if finding.outcome == "fail"]
        if failed:
            return _Known("bad", f"{window.ref}: {failed[0].gate} failed")
        if decided:
            return _Known("good", f"{window.ref}: {decided[0].gate} held")
    return _Known("unknown", "not measured yet")


def _replayed(candidate: _Candidate, again: Rejudged, known: _Known) -> Replayed:
    verdict = candidate.verdict
    return Replayed(
        verdict=verdict.ref,
        run=f"run/{verdict.run}",
        version=candidate.version.ref if candidate.version else "",
        judged_at=verdict.judged_at,
        then=verdict.outcome,
        again=again,
        release=candidate.releases[0].ref if candidate.releases else "",
        shown=known.shown,
        shown_by=known.words,
    )


def _summed(policy: Policy, environment: str, told: list[Replayed]) -> Replay:
    def count(shown: Shown, *, is_stopped: bool) -> int:
        return sum(
            each.shown == shown and each.again.is_stopped is is_stopped and each.again.is_decided
            for each in told
        )

    caught, missed = count("bad", is_stopped=True), count("bad", is_stopped=False)
    blocked, kept = count("good", is_stopped=True), count("good", is_stopped=False)
    return Replay(
        policy=policy.address,
        environment=environment,
        candidates=tuple(told),
        caught=caught,
        missed=missed,
        blocked=blocked,
        kept=kept,
        precision=caught / (caught + blocked) if caught + blocked else None,
        recall=caught / (caught + missed) if caught + missed else None,
    )
