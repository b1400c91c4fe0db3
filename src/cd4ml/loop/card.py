"""A model's card: all that the records know about one version, and what people wrote of its use."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from cd4ml.errors import NotFound
from cd4ml.models import registry, trust
from cd4ml.models.files import ModelFiles
from cd4ml.models.manifest import Manifest
from cd4ml.models.own_code import CODE, OwnCode
from cd4ml.models.violations import expected_of
from cd4ml.records.approval import Approval
from cd4ml.records.behaviour import BehaviourEvidence
from cd4ml.records.contract import Contract, Field
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.explanation import ExplanationEvidence
from cd4ml.records.model_version import Alias, ModelVersion, RegisteredModel
from cd4ml.records.release import Release
from cd4ml.records.run import Metric, Run
from cd4ml.records.run_input import RunInput
from cd4ml.records.trust import Trust
from cd4ml.records.verdict import Verdict
from cd4ml.store import rows
from cd4ml.store.project import Project

R = TypeVar("R")


class LearnedFrom(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset version that the version's run took; no rows are counted where nobody knows."""

    name: str  # of the input
    ref: str
    digest: str
    n_rows: int = 0
    source: str = ""
    contract_outcome: str = ""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a request, or the answer: what may stand there, and what it means."""

    name: str
    takes: str
    meaning: str = ""


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """A release of the version, and who decided about it."""

    release: Release
    approvals: tuple[Approval, ...]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One version with all that is known about it; None and () stand for what is not there.

    `written` is the project's own text on intended use and limits, as it was when the version
    was made. Every number comes from a record.
    """

    model: RegisteredModel
    version: ModelVersion
    aliases: tuple[str, ...]
    written: str
    takes: tuple[Taken, ...]  # the fields of a request
    answers: Taken | None
    packaged: Manifest | None
    run: Run | None
    metrics: dict[str, float | None]
    data: tuple[LearnedFrom, ...]
    lock: str  # address of the environment it was fitted in
    verdicts: tuple[Verdict, ...]  # about this very model, the newest first
    releases: tuple[Released, ...]  # the newest first
    estimator: str  # content address; "" if nobody knows one
    is_ours: bool  # whether a run of this project made the estimator
    trust: Trust | None
    as_of: datetime
    explanation: ExplanationEvidence | None = None  # of the newest verdict that has one
    behaviour: BehaviourEvidence | None = None  # likewise
    modules: tuple[str, ...] = ()  # the project's modules that travel with it

    @property
    def verdict(self) -> Verdict | None:
        """What was said last about it."""
        return self.verdicts[0] if self.verdicts else None


def card(project: Project, ref: str) -> Card:
    """The card of a version.

    Raises:
        NotFound: If there is no such version, or it was deleted.
    """
    with project.database.read() as connection:
        version = registry.find_version(connection, ref)
    packaged = _kept(project, version.artifact, Manifest)
    files = _kept(project, version.logged, ModelFiles)
    estimator = packaged.estimator if packaged else files.estimator if files else ""
    contract = _kept(project, version.contract or (files.contract if files else ""), Contract)
    brought = _kept(project, packaged.files.get(CODE, "") if packaged else "", OwnCode)
    written = project.blobs.get(version.card).decode() if version.card else ""
    with project.database.read() as connection:
        run = rows.get(connection, Run, version.run) if version.run else None
        verdicts = _verdicts(connection, version)
        return Card(
            model=rows.get(connection, RegisteredModel, version.model),
            version=version,
            aliases=tuple(
                alias.name
                for alias in rows.find(
                    connection, Alias, model=version.model, number=version.number
                )
            ),
            written=written,
            takes=tuple(_taken(field) for field in contract.fields) if contract else (),
            answers=_taken(contract.output) if contract and contract.output else None,
            packaged=packaged,
            modules=tuple(brought.modules) if brought else (),
            run=run,
            metrics=_metrics(connection, run),
            data=_data(connection, run),
            lock=files.lock if files and files.lock else run.lock if run else "",
            verdicts=verdicts,
            releases=_releases(connection, version),
            estimator=estimator,
            is_ours=trust.is_ours(connection, estimator),
            trust=trust.word_for(connection, estimator),
            as_of=project.clock.now(),
            explanation=_seen(project, verdicts, "explanation", ExplanationEvidence),
            behaviour=_seen(project, verdicts, "behaviour", BehaviourEvidence),
        )


def _kept(project: Project, address: str, kind: type[R]) -> R | None:
    return project.blobs.get_record(address, kind) if address else None


def _seen(project: Project, verdicts: tuple[Verdict, ...], kind: str, of: type[R]) -> R | None:
    """What was last gathered for gates of a kind."""
    found = (each.evidence[kind] for each in verdicts if kind in each.evidence)
    return _kept(project, next(found, ""), of)


def _taken(field: Field) -> Taken:
    return Taken(name=field.name, takes=expected_of(field), meaning=field.description)


def _metrics(connection: sa.Connection, run: Run | None) -> dict[str, float | None]:
    found = rows.find(connection, Metric, run=run.number) if run else []
    return {metric.name: metric.value for metric in found}


def _data(connection: sa.Connection, run: Run | None) -> tuple[LearnedFrom, ...]:
    if run is None:
        return ()
    taken = [
        _version_taken(connection, name, ref, run.datasets.get(name, ""))
        for name, ref in sorted(run.refs.items())
    ]
    named = [
        LearnedFrom(name=each.name, ref=each.name, digest=each.digest, source=each.source)
        for each in rows.find(connection, RunInput, run=run.number)
    ]
    return (*taken, *named)


def _version_taken(connection: sa.Connection, name: str, ref: str, digest: str) -> LearnedFrom:
    dataset, _, number = ref.rpartition("@")
    try:
        version = rows.get(connection, DatasetVersion, dataset, int(number))
    except (NotFound, ValueError):  # nothing had come from production yet
        return LearnedFrom(name=name, ref=ref, digest=digest)
    return LearnedFrom(
        name=name,
        ref=ref,
        digest=digest,
        n_rows=version.n_rows,
        source=version.source,
        contract_outcome=version.outcome,
    )


def _verdicts(connection: sa.Connection, version: ModelVersion) -> tuple[Verdict, ...]:
    given = rows.find(connection, Verdict, run=version.run, newest_first=True)
    about_it = (version.model, version.artifact)
    return tuple(each for each in given if (each.model, each.artifact) == about_it)


def _releases(connection: sa.Connection, version: ModelVersion) -> tuple[Released, ...]:
    found = rows.find(
        connection, Release, model=version.model, version=version.number, newest_first=True
    )
    return tuple(
        Released(
            release=release,
            approvals=tuple(rows.find(connection, Approval, release=release.number)),
        )
        for release in found
    )
