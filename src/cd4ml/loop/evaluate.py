"""Judge a run's model; what passes becomes a version."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.errors import Inconclusive, Refused
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import Policy, policy_of
from cd4ml.gates.stored import store_evidence
from cd4ml.gates.verdicts import give_verdict, refuse_unless_passed, summary
from cd4ml.loop.candidate import (
    Candidate,
    candidate_behind,
    candidate_of,
    contract_of,
    packaged,
)
from cd4ml.loop.gathering.evidence import gather
from cd4ml.loop.refs import number_in, version_in
from cd4ml.loop.written_card import written_card
from cd4ml.models import registry
from cd4ml.models.manifest import CONTRACT, Manifest
from cd4ml.models.package import CannotAnswer
from cd4ml.models.runtime import AnswersDiffer
from cd4ml.records.finding import Finding
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.verdict import Verdict
from cd4ml.release.champion import champion_ref
from cd4ml.store import lineage, people, rows
from cd4ml.store.address import address_of_record
from cd4ml.store.project import Project
from cd4ml.store.sealed import made_of


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict, the version it let in (None if it did not), and both in words."""

    verdict: Verdict
    version: ModelVersion | None
    message: str


def evaluate(
    project: Project, ref: str, *, model: str = "", step: str = "", actor: str
) -> Judgement:
    """Judge a version, or the model of a finished run, on its holdout, beside the champion.

    A row of the holdout that taught the candidate is an error: what has been learned by
    heart measures nothing. The candidate is packaged first: what is judged is what would answer. One
    that cannot answer, or answers the same row in two ways, gets an `error` that says so. The verdict
    is kept whatever it says. Judging the same run again under the same policy, with
    the same contract of requests and the same champion in charge, gives the same verdict.

    Args:
        project: Whose model.
        ref: A run, or a version.
        model: What a run's versions are called; by default as the step is.
        step: Which step of the run; by default the one that makes the model.
        actor: Who asks.

    Raises:
        NotFound: If there is no such run or version.
        Refused: If the run did not finish, or its model was made elsewhere and nobody answers
            for it.
        ConfigurationError: If the policy or `[model]` is not as it should be.
        ContractViolated: If the training rows break the declared contract.
    """
    policy = policy_of(project.settings.gate, project.settings.model.key)
    candidate, version = _asked(project, ref, model, step)
    with project.database.read() as connection:
        people.actor(connection, actor)
        champion = _champion(project, connection, candidate.model)
        before = _verdict_before(connection, candidate, policy, champion)
    if before is not None and _is_about(project, before, candidate, version):
        with project.database.read() as connection:
            return _judgement(connection, before)
    card = written_card(project)
    tried = _tried(project, candidate, version, policy, champion)
    project.blobs.put_record(policy)
    with project.database.write() as connection:
        before = _verdict_before(connection, candidate, policy, champion)
        if before is not None and _says(before, tried):  # another was faster
            return _judgement(connection, before)
        verdict = _given(connection, project, candidate, tried, policy, champion, actor)
        _trace(connection, project, candidate, verdict)
        if version is not None and tried.contract:
            registry.set_packaged(
                connection,
                version,
                artifact=tried.artifact,
                contract=tried.contract,
                by=actor,
                at=project.clock.now(),
            )
        elif verdict.outcome == "pass":
            _add_version(connection, project, verdict, tried.contract, card, actor)
        return _judgement(connection, verdict)


class _Tried(NamedTuple):
    """A candidate that was packaged and judged, as far as that went."""

    artifact: str
    contract: str  # "" where it cannot answer
    findings: tuple[Finding, ...]
    evidence: dict[str, str]


def _tried(
    project: Project,
    candidate: Candidate,
    version: ModelVersion | None,
    policy: Policy,
    champion: ModelVersion | None,
) -> _Tried:
    """What the gates find of a candidate; that it cannot answer is a finding, too."""
    artifact = candidate.estimator
    try:
        artifact, contract = _packaged(project, candidate, version)
        evidence = gather(
            project,
            candidate,
            artifact=artifact,
            contract=contract,
            policy=policy,
            champion=champion,
        )
        findings = judge(policy.gates, evidence)
        return _Tried(artifact, contract, findings, store_evidence(project.blobs, evidence))
    except (CannotAnswer, AnswersDiffer) as error:
        return _Tried(artifact, "", (_unanswered(error),), {})


def _given(
    connection: sa.Connection,
    project: Project,
    candidate: Candidate,
    tried: _Tried,
    policy: Policy,
    champion: ModelVersion | None,
    actor: str,
) -> Verdict:
    return give_verdict(
        connection,
        model=candidate.model,
        run=candidate.run.number,
        artifact=tried.artifact,
        policy=policy,
        holdout=candidate.holdout,
        champion=champion.ref if champion else "",
        evidence=tried.evidence,
        findings=tried.findings,
        made=made_of(candidate.run),
        by=actor,
        at=project.clock.now(),
    )


def judgement_of(project: Project, run: str) -> Judgement | None:
    """The newest verdict on a run's model, under whatever policy; None if it was not judged."""
    with project.database.read() as connection:
        given = rows.find(
            connection, Verdict, run=number_in(run, "run"), newest_first=True, limit=1
        )
        return _judgement(connection, given[0]) if given else None


def verdict_of(project: Project, ref: str) -> Verdict:
    """A verdict with all its findings.

    Raises:
        NotFound: If there is none.
    """
    with project.database.read() as connection:
        return rows.get(connection, Verdict, number_in(ref, "verdict"))


def verdict_about(project: Project, version: str) -> Verdict | None:
    """What was said last about a version; None if it was never judged.

    Raises:
        NotFound: If there is no such version.
    """
    with project.database.read() as connection:
        return registry.verdict_about(connection, registry.find_version(connection, version))


def verdicts(project: Project) -> list[Verdict]:
    """Every verdict, oldest first."""
    with project.database.read() as connection:
        return rows.find(connection, Verdict)


def _champion(project: Project, connection: sa.Connection, model: str) -> ModelVersion | None:
    """The version in charge of the last environment: the one that matters most."""
    ref = champion_ref(connection, model, project.settings.environments)
    return rows.get(connection, ModelVersion, *version_in(ref)) if ref else None


def _verdict_before(
    connection: sa.Connection,
    candidate: Candidate,
    policy: Policy,
    champion: ModelVersion | None,
) -> Verdict | None:
    given = rows.find(
        connection,
        Verdict,
        model=candidate.model,
        run=candidate.run.number,
        policy=policy.address,
        holdout=candidate.holdout,
        champion=champion.ref if champion else "",
        newest_first=True,
        limit=1,
    )
    return given[0] if given else None


def _asked(
    project: Project, ref: str, model: str, step: str
) -> tuple[Candidate, ModelVersion | None]:
    """What is to be judged, and the version it is already."""
    if ref.startswith("run/") or ref.isdigit():
        return candidate_of(project, number_in(ref, "run"), model=model, step=step), None
    with project.database.read() as connection:
        version = registry.find_version(connection, ref)
    return candidate_behind(project, version), version


def _unanswered(error: CannotAnswer | AnswersDiffer) -> Finding:
    """A model that cannot be asked has no evidence: that is the finding."""
    reason = f"{error.message} ({error.hint})" if error.hint else error.message
    return Finding(gate="answers every row", metric="answers", outcome="error", reason=reason)


def _says(verdict: Verdict, tried: _Tried) -> bool:
    """Whether a verdict was about this, and no weaker: one without evidence may be outdated."""
    return verdict.artifact == tried.artifact and (
        bool(verdict.evidence) or (not tried.evidence and verdict.findings == tried.findings)
    )


def _is_about(
    project: Project, verdict: Verdict, candidate: Candidate, version: ModelVersion | None
) -> bool:
    """Whether a verdict was on this estimator, taking the requests that it is to take now.

    A run may have several models, and the contract of requests may be another one since.
    """
    if not verdict.evidence:
        return False  # it could not be asked then: perhaps it can now
    manifest = project.blobs.get_record(verdict.artifact, Manifest)
    if manifest.estimator != candidate.estimator:
        return False
    if version is not None and version.artifact:
        return True  # what a version answers with never changes
    contract = contract_of(project, candidate)
    return manifest.files[CONTRACT] == address_of_record(contract)


def _packaged(
    project: Project, candidate: Candidate, version: ModelVersion | None
) -> tuple[str, str]:
    """The addresses of what would answer, and of the contract of its requests."""
    if version is not None and version.artifact:
        return version.artifact, version.contract
    contract = contract_of(project, candidate)
    return packaged(project, candidate, contract), project.blobs.put_record(contract)


def _trace(
    connection: sa.Connection, project: Project, candidate: Candidate, verdict: Verdict
) -> None:
    at = project.clock.now()
    name = f"{candidate.model} of {candidate.run.ref}"
    if verdict.artifact != candidate.estimator:
        lineage.note(connection, address=verdict.artifact, kind="model", name=name, at=at)
        lineage.link(connection, verdict.artifact, candidate.estimator, "packaged from")
    lineage.link(connection, verdict.ref, verdict.artifact, "judged")


def _add_version(
    connection: sa.Connection,
    project: Project,
    verdict: Verdict,
    contract: str,
    card: str,
    actor: str,
) -> ModelVersion:
    if known := _version_judged(connection, verdict):
        return known  # graduated before, or judged again beside another champion
    return registry.add_version(
        connection,
        verdict.model,
        run=verdict.run,
        verdict=verdict.number,
        artifact=verdict.artifact,
        contract=contract,
        card=card,
        why=summary(verdict),
        by=actor,
        at=project.clock.now(),
    )


def _version_judged(connection: sa.Connection, verdict: Verdict) -> ModelVersion | None:
    same = rows.find(
        connection,
        ModelVersion,
        model=verdict.model,
        run=verdict.run,
        artifact=verdict.artifact,
        newest_first=True,
    )
    return next((version for version in same if version.deleted_at is None), None)


def _judgement(connection: sa.Connection, verdict: Verdict) -> Judgement:
    version = _version_judged(connection, verdict) if verdict.outcome == "pass" else None
    try:
        refuse_unless_passed(verdict)
    except (Refused, Inconclusive) as refusal:
        return Judgement(verdict=verdict, version=None, message=str(refusal))
    name = version.ref if version else verdict.artifact
    message = f"run/{verdict.run} was accepted as {name}: {summary(verdict)}"
    return Judgement(verdict=verdict, version=version, message=message)
