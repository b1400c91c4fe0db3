"""Bring a whole MLflow history over: experiments, runs, files, models, aliases.

A run is one transaction, after its files are stored: killed at any moment, the same command
goes on where it was. What was brought over and has not changed since is passed over; a run
that went on is brought up to date. Nothing is loaded, and nothing is changed over there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from cd4ml.engines.mlflow.entities import moment
from cd4ml.engines.mlflow.past import (
    Past,
    PastExperiment,
    PastLoggedModel,
    PastModel,
    PastRun,
    PastVersion,
)
from cd4ml.errors import Conflict, InvalidInput
from cd4ml.experiments.logged_models import log_model_metrics
from cd4ml.loop.mlflow.brought import Brought
from cd4ml.loop.mlflow.folders import model_files
from cd4ml.loop.mlflow.ids import our_name
from cd4ml.loop.mlflow.past_files import FilesThere
from cd4ml.loop.mlflow.past_points import Points, model_metrics
from cd4ml.loop.mlflow.past_runs import input_from, run_from
from cd4ml.loop.mlflow.past_stored import StoredFiles, number_of
from cd4ml.loop.mlflow.told import NOTE
from cd4ml.models import aliases, registry
from cd4ml.records.experiment import Experiment
from cd4ml.records.logged_model import ForeignRun, LoggedModel, LoggedModelFile, RunModel
from cd4ml.records.model_version import ModelVersion, RegisteredModel
from cd4ml.records.point import PointChunk
from cd4ml.records.run import Metric, Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.release.champion import CHAMPION
from cd4ml.store import ledger, lineage, people, rows
from cd4ml.store.address import address_of, canonical
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking.experiments import (
    change_experiment,
    create_experiment,
    delete_experiment,
)
from cd4ml.store.tracking.logged import log_artifacts, log_inputs, log_metrics

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

_MODEL_STATES: dict[int, Literal["pending", "ready", "failed"]] = {
    1: "pending",
    2: "ready",
    3: "failed",
}


def open_past(source: str) -> Past:
    """The history at a place: a database's URL, or a folder `mlruns`.

    Raises:
        NotFound: If nothing is there.
        InvalidInput: If it holds no history of MLflow's.
    """
    if "://" in source:
        from cd4ml.engines.mlflow.past_database import PastDatabase

        return PastDatabase(source)
    from cd4ml.engines.mlflow.past_folder import PastFolder

    return PastFolder(Path(source))


def bring_over(
    project: Project,
    source: str,
    *,
    artifacts: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    actor: str,
) -> Brought:
    """Bring a whole MLflow history over.

    Experiments are known by name, runs and logged models by the ids they keep, versions by
    model and number: a number that is taken here by other files is left, and said so.

    Args:
        project: Where to.
        source: `sqlite:///mlflow.db`, another database's URL, or the folder `mlruns`.
        artifacts: Where files lie that MLflow kept behind its server (`mlflow-artifacts:/`), as
            `mlflow server --artifacts-destination` has it; `mlartifacts` beside the database
            by default.
        progress: Is told what is being brought.
        actor: Who brings it.

    Raises:
        NotFound: If nothing is there, or the actor is not known.
        InvalidInput: If it holds no history of MLflow's.
        Unavailable: If it does not answer.
    """
    with project.database.read() as connection:
        people.actor(connection, actor)
    past = open_past(source)
    try:
        return _Bringing(project, past, FilesThere(source, artifacts), actor).all(progress)
    finally:
        past.close()


class _Bringing:
    """One walk through a history."""

    def __init__(self, project: Project, past: Past, there: FilesThere, actor: str) -> None:
        self._project = project
        self._past = past
        self._actor = actor
        self._report = Brought()
        self._stored = StoredFiles(project, there, self._report)
        self._experiments: dict[str, Experiment] = {}  # by MLflow's id
        self._owners: set[str] = set()  # ids of runs and logged models

    def all(self, progress: Callable[[str], None]) -> Brought:
        """Everything, in an order in which what is pointed at comes first."""
        gone = []
        for each in self._past.experiments():
            self._experiment(each)
            gone += [each.id] if each.is_deleted else []
        ids = self._past.run_ids()
        for i, id in enumerate(ids):
            if i % 100 == 0:
                progress(f"run {i + 1:,} of {len(ids):,}")
            self._run(self._past.run(id))
        logged = self._past.logged_models()
        for model in logged:
            self._logged_model(model)
        self._owners = {*ids, *(model.id for model in logged)}
        for registered in self._past.models():
            self._model(registered)
        for version in self._past.versions():
            try:
                self._version(version)
            except InvalidInput as error:
                self._report.leave(f"version {version.model}/{version.number}: {error.message}")
        for registered in self._past.models():
            self._aliases(registered)
        for id in gone:
            self._delete(self._experiments[id])
        self._enter()
        return self._report

    @property
    def _at(self) -> datetime:
        return self._project.clock.now()

    def _experiment(self, past: PastExperiment) -> None:
        tags = {key: value for key, value in past.tags.items() if key != NOTE}
        note = past.tags.get(NOTE, "")
        with self._project.database.write() as connection:
            known = rows.find(connection, Experiment, name=our_name(past.name))
            if not known:
                made = create_experiment(
                    connection,
                    our_name(past.name),
                    note=note,
                    tags=tags,
                    at=self._moment(past.created_ms),
                    actor=self._actor,
                )
                self._report.experiments += 1
                self._experiments[past.id] = made
                return
            added = {key: value for key, value in tags.items() if key not in known[0].tags}
            found = known[0]
            if added:
                found = change_experiment(
                    connection, found.number, tags=added, at=self._at, actor=self._actor
                )
            self._experiments[past.id] = found

    def _delete(self, experiment: Experiment) -> None:
        with self._project.database.write() as connection:
            delete_experiment(connection, experiment.number, at=self._at, actor=self._actor)

    def _run(self, past: PastRun) -> None:
        told = past._asdict() | {"inputs": [*map(list, past.inputs)]}
        digest = address_of(canonical(told | {"points": self._past.n_points(past.id)}))
        with self._project.database.read() as connection:
            known = rows.find(connection, ForeignRun, id=past.id)
        if known and known[0].digest == digest:
            self._report.known += 1
            return
        try:
            run = run_from(past, self._experiments[past.experiment], self._actor, self._at)
            points = self._keep(past, run, known[0].run if known else 0, digest)
        except InvalidInput as error:  # a text that no database keeps, a time of no calendar
            self._report.leave(f"run {past.id}: {error.message}")
            return
        self._report.points += points
        self._report.updated += bool(known)
        self._report.runs += not known

    def _keep(self, past: PastRun, run: Run, known: int, digest: str) -> int:
        files = self._stored.files(past.artifacts, f"run {past.id}", {past.id})
        points = Points(self._past.points(past.id))
        with self._project.database.write() as connection:
            number = self._keep_run(connection, run, known)
            taken = list(points)
            log_metrics(connection, number, taken)
            log_inputs(connection, [input_from(number, each, self._at) for each in past.inputs])
            log_artifacts(
                connection,
                [
                    RunArtifact(
                        run=number, path=path, address=address, n_bytes=size, logged_at=self._at
                    )
                    for path, (address, size) in files.items()
                ],
            )
            for model, step in past.outputs:
                made = RunModel(run=number, model=model, role="made", step=step)
                rows.put(connection, made)
            brought = ForeignRun(id=past.id, run=number, digest=digest, brought_at=self._at)
            rows.put(connection, brought)
        for what in points.left:
            self._report.leave(f"run {past.id}: {what}")
        return len(taken)

    def _keep_run(self, connection: Connection, run: Run, number: int) -> int:
        """The run's row; of one that is known, without the points that come again."""
        if number:
            for kind in (Metric, PointChunk):
                table = TABLES[kind]
                connection.execute(table.delete().where(table.c.run == number))
            rows.replace(connection, msgspec.structs.replace(run, number=number))
            return number
        run = msgspec.structs.replace(run, number=rows.next_number(connection, Run))
        rows.insert(connection, run)
        lineage.note(connection, address=run.ref, kind="run", name=run.ref, at=self._at)
        return run.number

    def _logged_model(self, past: PastLoggedModel) -> None:
        try:
            self._keep_logged_model(past)
            self._model_metrics(past)
        except InvalidInput as error:
            self._report.leave(f"logged model {past.id}: {error.message}")

    def _model_metrics(self, past: PastLoggedModel) -> None:
        """Always: a metric that is logged later does not change the model."""
        with self._project.database.write() as connection:
            metrics = model_metrics(
                self._past.model_metrics(past.id),
                lambda id: number_of(connection, id),
                lambda what: self._report.leave(f"logged model {past.id}: {what}"),
            )
            log_model_metrics(connection, metrics)

    def _keep_logged_model(self, past: PastLoggedModel) -> None:
        with self._project.database.read() as connection:
            known = rows.find(connection, LoggedModel, id=past.id)
            changed_at = self._moment(past.changed_ms)
            if known and known[0].changed_at == changed_at:
                return
        files = self._stored.files(past.artifacts, f"logged model {past.id}", {past.id})
        with self._project.database.write() as connection:
            model = LoggedModel(
                id=past.id,
                experiment=self._experiments[past.experiment].number,
                name=past.name,
                kind=past.kind,
                run=number_of(connection, past.run),
                state=_MODEL_STATES.get(past.status, "pending"),
                parameters=past.params,
                tags=past.tags,
                created_at=self._moment(past.created_ms),
                created_by=self._actor,
                changed_at=changed_at,
                deleted_at=self._at if past.is_deleted else None,
            )
            rows.put(connection, model)
            for path, (address, size) in files.items():
                file = LoggedModelFile(model=past.id, path=path, address=address, n_bytes=size)
                rows.put(connection, file)
        self._report.logged_models += not known

    def _model(self, past: PastModel) -> None:
        with self._project.database.write() as connection:
            known = rows.find(connection, RegisteredModel, name=past.name)
            if known:
                return
            try:
                registry.register(
                    connection,
                    past.name,
                    description=past.description,
                    tags=past.tags,
                    by=self._actor,
                    at=self._at,
                )
            except InvalidInput as error:
                self._report.leave(f"model {past.name}: {error.message}")
                return
        self._report.models += 1

    def _version(self, past: PastVersion) -> None:
        with self._project.database.read() as connection:
            if not rows.find(connection, RegisteredModel, name=past.model):
                return  # said with the model
            taken = rows.find(connection, ModelVersion, model=past.model, number=past.number)
        ref = f"{past.model}/{past.number}"
        files = self._stored.of_version(past, self._owners)
        addresses = {path: address for path, (address, _) in files.items()}
        listed = model_files(self._project, past.model, addresses)
        logged = self._project.blobs.put_record(listed)
        if taken:
            if taken[0].logged != logged:
                self._report.leave(f"version {ref}: the number is taken here by other files")
            return
        tags = past.tags if past.stage == "None" else {**past.tags, "mlflow.stage": past.stage}
        with self._project.database.write() as connection:
            self._number_next(connection, past)
            registry.add_version(
                connection,
                past.model,
                run=number_of(connection, past.run),
                logged=logged,
                source=past.source,
                description=past.description,
                tags=tags,
                why="brought over from MLflow",
                by=self._actor,
                at=self._at,
            )
        self._report.versions += 1

    def _number_next(self, connection: Connection, past: PastVersion) -> None:
        """Let the next version have the number it has there: gaps of deleted ones stay."""
        while rows.last_number(connection, ModelVersion, past.model) < past.number - 1:
            rows.next_number(connection, ModelVersion, past.model)

    def _aliases(self, past: PastModel) -> None:
        for name, number in past.aliases.items():
            ref = f"{past.name}@{name}"
            if name == CHAMPION and self._project.settings.environments:
                self._report.leave(f"alias {ref}: only a release moves it here")
                continue
            try:
                with self._project.database.write() as connection:
                    before = aliases.alias(connection, past.name, name)
                    at, by = self._at, self._actor
                    if before is None:
                        aliases.move(connection, past.name, name, number, by=by, at=at)
                        self._report.aliases += 1
                    elif before.number != number:
                        self._report.leave(f"alias {ref}: it points at {past.name}/{before.number}")
            except (Conflict, InvalidInput) as error:
                self._report.leave(f"alias {ref}: {error.message}")

    def _moment(self, ms: int) -> datetime:
        try:
            return moment(ms) if ms else self._at
        except InvalidInput:  # no calendar has it
            return self._at

    def _enter(self) -> None:
        report = self._report
        if not (report.runs or report.updated or report.versions or report.experiments):
            return
        with self._project.database.write() as connection:
            ledger.append(
                connection,
                at=self._at,
                actor=self._actor,
                action="history.brought",
                subject="mlflow",
                details={
                    "experiments": report.experiments,
                    "runs": report.runs,
                    "updated": report.updated,
                    "versions": report.versions,
                },
            )
