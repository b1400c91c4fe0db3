"""Close the loop: what production brought back becomes data, and the data a new version."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.feedback.triggers import trace
from cd4ml.loop.candidate import candidate_of
from cd4ml.loop.compare import runs
from cd4ml.loop.evaluate import Judgement, evaluate, judgement_of
from cd4ml.loop.label import curate
from cd4ml.loop.promote import request
from cd4ml.loop.reasons import require_reason
from cd4ml.loop.recorded_data import cut_of
from cd4ml.loop.releases import releases
from cd4ml.loop.roll_out import roll_out
from cd4ml.loop.train import train
from cd4ml.models import registry
from cd4ml.records.job import Job
from cd4ml.records.model_version import Alias, ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.trigger import Trigger
from cd4ml.store import jobs, ledger, lineage, people, rows
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project

RETRAIN = "retrain"


class RetrainReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a retraining came to: the data, the run, the verdict, the releases asked for."""

    dataset: str
    run: str
    verdict: str
    version: str
    releases: tuple[str, ...]
    outcome: str


def ask(project: Project, *, reason: str, actor: str) -> Job:
    """Ask for a retraining now; background work carries it out.

    Raises:
        NotFound: If nobody has the actor's name, or no version is in charge that could be
            trained again.
        InvalidInput: If no reason is given.
    """
    require_reason(reason, "a retraining", hint="say what has changed")
    now = project.clock.now()
    with project.database.write() as connection:
        people.actor(connection, actor)
        model = _champion(connection).model
        job = jobs.ask(
            connection,
            kind=RETRAIN,
            key=f"{RETRAIN}/{actor}/{now.isoformat()}",
            payload={"reason": reason},
            at=now,
            actor=actor,
        )
        if not rows.find(connection, Trigger, job=job.number):
            _write_down(connection, project, job, model)
        return job


def retrain(project: Project, job: Job) -> RetrainReport:
    """Curate, train with the champion's parameters, judge, and ask for the releases.

    A model that is a version already is not made a second one. What an earlier retraining
    made and could not ask for, because another release was under way, is asked for then.

    Each part looks first whether this job has done it: a process that takes over from
    one that died goes on, and does nothing twice.

    Raises:
        NotFound: If no version is in charge whose parameters could be used.
        Cd4mlError: If a part fails; the job then says why.
    """
    run = _finished(project, job) or _trained(project, job)
    _trace(project, run, job)
    _refuse_unless_learned(project, run)
    # a verdict of this run was given for this job: it stays, though meanwhile the run's
    # own version may have become the champion
    judgement = judgement_of(project, run.ref)
    if judgement is None and (same := _made_before(project, run)):
        return _nothing_new(project, job, run, same)
    judgement = judgement or evaluate(project, run.ref, actor=SYSTEM)
    asked = _released(project, judgement.version, job) if judgement.version else []
    return RetrainReport(
        dataset=run.refs.get(project.settings.retrain.dataset, ""),
        run=run.ref,
        verdict=judgement.verdict.ref,
        version=judgement.version.ref if judgement.version else "",
        releases=tuple(release.ref for release in asked),
        outcome=_outcome(judgement, asked),
    )


def _champion(connection: sa.Connection) -> Alias:
    champions = rows.find(connection, Alias, name="champion")
    if not champions:
        msg = "no version is in charge yet, so there is nothing to retrain"
        raise NotFound(msg, hint="release one first: cd4ml release MODEL/1 --to ENVIRONMENT")
    return champions[0]


def _write_down(connection: sa.Connection, project: Project, job: Job, model: str) -> None:
    trigger = Trigger(
        number=rows.next_number(connection, Trigger),
        environment=project.settings.retrain.environment,
        model=model,
        rule="person",
        job=job.number,
        reason=str(job.payload["reason"]),
        fired_at=job.created_at,
    )
    rows.insert(connection, trigger)
    trace(connection, trigger)
    ledger.append(
        connection,
        at=job.created_at,
        actor=job.created_by,
        action="retraining.triggered",
        subject=trigger.ref,
        reason=trigger.reason,
        details={"rule": trigger.rule, "job": job.number},
    )


def _trained(project: Project, job: Job) -> Run:
    """A run on the data that are known now, with the parameters and key of the version in charge."""
    with project.database.read() as connection:
        alias = _champion(connection)
        version = rows.get(connection, ModelVersion, alias.model, alias.number)
        champion = rows.get(connection, Run, version.run)
    curated = curate(project, actor=SYSTEM)
    taken = {curated.dataset: curated.ref} if curated.dataset in project.settings.data else {}
    report = train(
        project,
        overrides=champion.parameters,
        data=taken,
        cut=cut_of(project, champion),
        experiment=_experiment(job),
        actor=SYSTEM,
    )
    return report.run


def _trace(project: Project, run: Run, job: Job) -> None:
    with project.database.write() as connection:
        lineage.link(connection, run.ref, job.ref, "asked by")


def _finished(project: Project, job: Job) -> Run | None:
    """The run that this job has made already."""
    done = runs(project, experiment=_experiment(job), state="finished", limit=1)
    return done[0].run if done else None


def _experiment(job: Job) -> str:
    return f"{RETRAIN}-{job.number}"


def _refuse_unless_learned(project: Project, run: Run) -> None:
    dataset = project.settings.retrain.dataset
    if dataset not in run.refs:
        msg = f"no step takes the dataset {dataset!r}, so there is nothing new to learn from"
        hint = f'[data.{dataset}] source = "production" in cd4ml.toml, and a step with it'
        raise InvalidInput(msg, hint=hint)


def _made_before(project: Project, run: Run) -> ModelVersion | None:
    """The newest version that was judged and whose run made the same model, byte for byte."""
    model = candidate_of(project, run.number)
    with project.database.read() as connection:
        for version in registry.versions(connection, model.model, newest_first=True):
            if not (version.run and registry.verdict_about(connection, version)):
                continue  # nobody said yet what it is worth
            before = rows.get(connection, Run, version.run)
            if before.outputs.get(model.step) == model.estimator:
                return version
    return None


def _nothing_new(project: Project, job: Job, run: Run, same: ModelVersion) -> RetrainReport:
    # how far a person's version goes is that person's affair
    asked = _released(project, same, job) if same.created_by == SYSTEM else []
    states = "".join(f"; {release.ref} {release.state}" for release in asked)
    return RetrainReport(
        dataset=run.refs.get(project.settings.retrain.dataset, ""),
        run=run.ref,
        verdict=f"verdict/{same.verdict}",
        version=same.ref,
        releases=tuple(release.ref for release in asked),
        outcome=f"nothing new: {run.ref} made the same model as {same.ref}{states}",
    )


def _released(project: Project, version: ModelVersion, job: Job) -> list[Release]:
    """Ask for each environment up to the one that was retrained for, as far as it goes.

    Raises:
        Conflict: If another release of the model is under way there.
        Refused: If an environment before has another version.
    """
    asked: list[Release] = []
    for environment in _up_to(project, project.settings.retrain.environment):
        release = _asked_before(project, version, environment) or request(
            project,
            version.ref,
            to=environment,
            reason=f"retrained by job/{job.number}: {job.payload.get('reason', 'asked for')}",
            is_retrained=True,
            caused_by="" if job.created_by == SYSTEM else job.created_by,
            actor=SYSTEM,
        )
        asked.append(release)
        if release.state != "released":
            break
    return asked


def _up_to(project: Project, environment: str) -> list[str]:
    names = list(project.settings.environments)
    return names[: names.index(environment) + 1] if environment in names else names


def _asked_before(project: Project, version: ModelVersion, environment: str) -> Release | None:
    """The release that was asked for already, as far as it goes by now."""
    wanted = (version.model, version.number, environment)
    for release in releases(project):
        if (release.model, release.version, release.environment) == wanted:
            moved = roll_out(project, release.ref)  # whoever asked may have died before
            return moved[-1] if moved else release
    return None


def _outcome(judgement: Judgement, asked: list[Release]) -> str:
    if judgement.version is None:
        return judgement.message
    states = ", ".join(f"{release.ref} {release.state}" for release in asked)
    return f"{judgement.version.ref} passed; {states or 'no release was asked for'}"
