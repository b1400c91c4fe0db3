"""From a folder of files to a released, approved model."""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta
from typing import Any

from cd4ml.errors import Refused, RehearsalFailed
from cd4ml.loop.catalog import catalog
from cd4ml.loop.compare import compare, runs
from cd4ml.loop.evaluate import Judgement, evaluate, judgement_of
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.promote import approve, request
from cd4ml.loop.rehearsal import findings
from cd4ml.loop.rehearsal.stage import MANAGER, SCIENTIST, Stage, endpoint, expect
from cd4ml.loop.releases import releases
from cd4ml.loop.roll_out import roll_out
from cd4ml.loop.search import search
from cd4ml.loop.standing import stand
from cd4ml.loop.train import RunReport, train
from cd4ml.models.manifest import Manifest
from cd4ml.records.approval import StandingApproval
from cd4ml.records.contract import Contract
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.settings import SearchSettings
from cd4ml.store import rows

FIRST, AGAIN, SEARCH, CORRUPTED = "first", "again", "search", "corrupted"

_SMOKE_REQUESTS = 20
_SORT_BY = "auc"
_WHY = "the best of the first search"


def play(stage: Stage) -> None:
    """Data, pipeline, experiments, gates, release."""
    _data(stage)
    _pipeline(stage)
    best = _experiments(stage)
    version = _gates(stage, best)
    _corrupted(stage)
    _staging(stage, version)
    _production(stage, version)
    _standing(stage, version)


def _data(stage: Stage) -> None:
    stage.tell.chapter(2, "Data that is versioned, checked and owned")
    for name, settings in stage.project.settings.data.items():
        if settings.source == "files":
            stage.tell.command(f"cd4ml data add {name}")
            ingest(stage.project, name, actor=SCIENTIST)
    newest = [
        (entry.dataset.owner, entry.newest) for entry in catalog(stage.project) if entry.newest
    ]
    stage.tell.table(
        "catalog",
        ("dataset", "owner", "rows", "columns", "contract"),
        [
            (
                version.ref,
                owner,
                f"{version.n_rows:,}",
                str(len(version.columns)),
                version.outcome if version.contract else "none",
            )
            for owner, version in newest
        ],
    )
    checked = [version for _owner, version in newest if version.contract]
    expect(bool(checked), "a dataset with a contract")
    expect(all(version.outcome == "pass" for version in checked), "data that keeps its contract")


def _pipeline(stage: Stage) -> None:
    stage.tell.chapter(3, "A pipeline, and experiments side by side")
    stage.tell.command("cd4ml run")
    first = _trained(stage, FIRST)
    stage.tell.line(f"{first.run.ref}: {_steps(first)} - {_metrics(first)}")
    stage.tell.command("cd4ml run   (again, nothing changed)")
    again = _trained(stage, AGAIN)
    stage.tell.line(f"{again.run.ref}: {_steps(again)}")
    expect(all(step.state == "cached" for step in again.steps), "a second run computes nothing")
    _show_lineage(stage)


def _show_lineage(stage: Stage) -> None:
    name = next(iter(stage.project.settings.data))
    stage.tell.command(f"cd4ml data show {name}")
    details = show_dataset(stage.project, name)
    columns = [f"{column.name} {column.type}" for column in details.version.columns]
    stage.tell.line(f"{details.version.ref} has {len(columns)} columns: {', '.join(columns)}")
    stage.tell.line(f"it went into: {', '.join(dict.fromkeys(details.children))}")
    expect(bool(details.children), "the lineage of a dataset that was used")


def _experiments(stage: Stage) -> RunReport:
    options = " ".join(
        f"--grid {name}={','.join(str(value) for value in values)}"
        for name, values in stage.world.GRID.items()
    )
    stage.tell.command(f"cd4ml run {options} --workers 2")
    best_first = _trials(stage)
    if not best_first:
        wanted = SearchSettings(space=dict(stage.world.GRID), workers=2, experiment=SEARCH)
        search(stage.project, wanted, actor=SCIENTIST)
        best_first = _trials(stage)
    _show_comparison(stage, [report.run.ref for report in best_first])
    expect(len(best_first) > 1, "several trials")
    stage.tell.line(f"{best_first[0].run.ref} has the best {_SORT_BY}")
    return best_first[0]


def _trials(stage: Stage) -> list[RunReport]:
    """The runs of the first search that came to its end, the best first; none without one."""
    size = math.prod(len(values) for values in stage.world.GRID.values())
    done = runs(stage.project, experiment=SEARCH, state="finished", sort_by=_SORT_BY, limit=1000)
    n_runs = Counter(report.run.search for report in done)
    whole = [number for number in sorted(n_runs) if n_runs[number] == size]
    return [report for report in done if whole and report.run.search == whole[0]]


def _show_comparison(stage: Stage, refs: list[str]) -> None:
    stage.tell.command(f"cd4ml compare {' '.join(refs)}")
    comparison = compare(stage.project, refs)
    stage.tell.table(
        "what differs",
        ("", *comparison.runs),
        [
            (
                line.name,
                *(
                    f"{_cell(value)}{' *' if position in line.best else ''}"
                    for position, value in enumerate(line.values)
                ),
            )
            for line in comparison.differences
        ],
    )


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _gates(stage: Stage, best: RunReport) -> ModelVersion:
    stage.tell.chapter(4, "Gates that say yes, and no")
    stage.tell.command(f"cd4ml gate {best.run.ref}")
    judgement = _judged(stage, best)
    _show_findings(stage, judgement)
    if judgement.version is None:
        raise RehearsalFailed(f"{best.run.ref} was to pass its gates: {judgement.message}")
    stage.tell.line(f"accepted as {judgement.version.ref}")
    _show_contract(stage, judgement.version)
    return judgement.version


def _show_contract(stage: Stage, version: ModelVersion) -> None:
    contract = stage.project.blobs.get_record(version.contract, Contract)
    parity = stage.project.blobs.get_record(version.artifact, Manifest).parity
    stage.tell.line(
        f"its requests keep the contract {contract.name} {contract.version}:"
        f" {', '.join(contract.names)}"
    )
    expect(parity.n_rows > 0, "the contract and the compiled model are checked")
    answers = f"answers {parity.n_rows:,} checked rows as scikit-learn does"
    stage.tell.line(
        f"not compiled: {parity.refusal}"
        if parity.refusal
        else f"compiled it {answers}, within {parity.max_difference:.1g}"
    )


def _corrupted(stage: Stage) -> None:
    options = " ".join(f"--set {name}={value}" for name, value in stage.world.CORRUPTED.items())
    stage.tell.command(f"cd4ml run {options}   (a corrupted join)")
    report = _trained(stage, CORRUPTED, stage.world.CORRUPTED)
    stage.tell.command(f"cd4ml gate {report.run.ref}")
    judgement = _judged(stage, report)
    stage.tell.line(judgement.message)
    expect(judgement.verdict.outcome == "fail", "the corrupted candidate is refused")
    expect(judgement.version is None, "a refused candidate gets no version")


def _staging(stage: Stage, version: ModelVersion) -> None:
    stage.tell.chapter(5, "Staging, approval, production")
    stage.tell.command(f"cd4ml release {version.ref} --to staging --reason '{_WHY}'")
    release = _requested(stage, version, "staging")
    if release.state == "rolling_out":
        roll_out(stage.project)
    if _release_of(stage, version, "production"):
        stage.tell.line("staging answered before")
        return
    with endpoint(stage, "staging", stage.staging_port) as serving:
        answers = [serving.application.ask(row) for row in _first_requests(stage)]
    expect(all(answer is not None for answer in answers), "staging answers")
    stage.tell.line(f"staging answered {len(answers)} requests over HTTP")


def _production(stage: Stage, version: ModelVersion) -> None:
    stage.tell.command(f"cd4ml release {version.ref} --to production --reason '{_WHY}'")
    release = _requested(stage, version, "production")
    if release.state == "awaiting_approval":
        stage.tell.line(f"{release.ref} waits for a release manager")
        _refuse_own_approval(stage, release)
        reason = "gates passed, staging answers"
        stage.tell.command(f"cd4ml approve {release.ref} --reason '{reason}' --as {MANAGER}")
        approve(stage.project, release.ref, reason=reason, actor=MANAGER)
    roll_out(stage.project)
    release = next(other for other in releases(stage.project) if other.number == release.number)
    arrived = {"released": "is", "superseded": "was"}  # the latter when a rehearsal goes on
    expect(release.state in arrived, f"{release.ref} is released to production")
    verb = arrived[release.state]
    stage.tell.line(f"{release.ref}: {version.ref} {verb} in charge of production")


def _refuse_own_approval(stage: Stage, release: Release) -> None:
    stage.tell.command(f"cd4ml approve {release.ref} --reason 'it is good' --as {SCIENTIST}")
    try:
        approve(stage.project, release.ref, reason="it is good", actor=SCIENTIST)
    except Refused as refusal:
        stage.tell.line(f"refused: {refusal.message}")
        return
    expect(False, "a requester cannot approve the own request")


def _standing(stage: Stage, version: ModelVersion) -> None:
    until = stage.world.BEGIN.replace(year=stage.world.BEGIN.year + 1)
    reason = "retrained candidates that pass every gate against the champion"
    stage.tell.command(
        f"cd4ml approve --standing --model {version.model} --to production"
        f" --until {until:%Y-%m-%d} --reason '{reason}' --as {MANAGER}"
    )
    with stage.project.database.read() as connection:
        given = rows.find(connection, StandingApproval)
    if not given:
        stand(
            stage.project,
            model=version.model,
            environment="production",
            until=until,
            reason=reason,
            actor=MANAGER,
        )
    stage.tell.line(f"retrained candidates that pass may go without asking until {until:%d %B %Y}")


def _trained(stage: Stage, experiment: str, overrides: dict[str, Any] | None = None) -> RunReport:
    done = runs(stage.project, experiment=experiment, state="finished", limit=1)
    if done:
        return done[0]
    return train(stage.project, overrides=overrides or {}, experiment=experiment, actor=SCIENTIST)


def _judged(stage: Stage, report: RunReport) -> Judgement:
    # a rehearsal that goes on keeps the verdict it had: beside a champion that has learned
    # from the very rows it would be judged on, the first version looks bad
    before = judgement_of(stage.project, report.run.ref)
    return before or evaluate(stage.project, report.run.ref, actor=SCIENTIST)


def _requested(stage: Stage, version: ModelVersion, environment: str) -> Release:
    reason = "the best of the first search"
    return _release_of(stage, version, environment) or request(
        stage.project, version.ref, to=environment, reason=reason, actor=SCIENTIST
    )


def _release_of(stage: Stage, version: ModelVersion, environment: str) -> Release | None:
    wanted = (version.model, version.number, environment)
    for release in releases(stage.project):
        if (release.model, release.version, release.environment) == wanted:
            return release
    return None


def _first_requests(stage: Stage) -> list[dict[str, Any]]:
    asked = stage.world.requests(stage.world.BEGIN, stage.world.BEGIN + timedelta(days=1))
    fields = asked.drop("key", "event_at", "label", "label_at").head(_SMOKE_REQUESTS)
    return list(fields.iter_rows(named=True))


def _show_findings(stage: Stage, judgement: Judgement) -> None:
    findings.show(stage.tell, judgement.verdict)
    findings.show_slices(stage.tell, judgement.verdict, _SORT_BY)


def _steps(report: RunReport) -> str:
    states = [step.state for step in report.steps]
    return ", ".join(
        f"{states.count(state)} {state}" for state in ("computed", "cached") if state in states
    )


def _metrics(report: RunReport) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in report.metrics.items())
