"""Run the pipeline: once, or once a trial."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from cd4ml.data.published import version_by
from cd4ml.data.refs import find_version
from cd4ml.data.versions import newest_version
from cd4ml.errors import InvalidInput
from cd4ml.gates.policy import policy_of
from cd4ml.loop.access import admit_run, input_of, require_reader
from cd4ml.loop.announce import Announcements, announcements
from cd4ml.loop.contracts import declared
from cd4ml.loop.ingest import ingest
from cd4ml.loop.known import input_at
from cd4ml.loop.label import empty_production
from cd4ml.loop.names import require_name
from cd4ml.loop.pull import newest_or_pulled
from cd4ml.pipeline.run import DatasetInput, Hooks, Pipeline, run_pipeline
from cd4ml.records.run import Metric, Run, StepRun
from cd4ml.store import people, rows
from cd4ml.store.address import address_of_record
from cd4ml.store.project import FILE, Project

if TYPE_CHECKING:
    from cd4ml.pipeline.run import Progress

EMPTY = "empty"  # the version number of a dataset that production has not filled yet


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its steps and metrics."""

    run: Run
    steps: tuple[StepRun, ...]
    metrics: dict[str, float | None]
    seconds: float = 0.0  # of work, as the steps took it


def train(
    project: Project,
    *,
    overrides: Mapping[str, Any] | None = None,
    data: Mapping[str, str] | None = None,
    as_of: datetime | None = None,
    experiment: str = "default",
    search: int = 0,
    actor: str,
    progress: Progress | None = None,
) -> RunReport:
    """Run the pipeline on the data as it is now; what has not changed is not computed again.

    Args:
        project: Whose pipeline.
        overrides: "step.parameter" -> value, where it differs from the code.
        data: Dataset name -> version ("flights@2"), where it is not the newest. Files
            of a dataset that is not named here are versioned first.
        as_of: Run on what was known at this moment: the newest versions that had been
            published, and the rows that had arrived. Files are left as they are.
        experiment: The question that the run belongs to.
        search: The number of the search it is a trial of.
        actor: Who.
        progress: Is told when a step begins and ends.

    Raises:
        InvalidInput: If a parameter, dataset or value is not known.
        NotFound: If a version is not there, or was not yet.
        ContractViolated: If a dataset breaks its contract.
        PipelineError: If the pipeline cannot be built, or a step fails.
        ConfigurationError: If events of the run cannot go where somebody wants them.
        NotAllowed: If a step takes a restricted dataset and the actor has none of its roles.
    """
    policy_of(project.settings.gate)  # a gate that cannot be asked is said before the work
    with project.database.read() as connection:
        people.actor(connection, actor)
    require_name(experiment, "an experiment")
    announced = announcements(project)
    pipeline = pipeline_of(project)
    require_readers(project, pipeline, data or {}, actor=actor)
    run = run_pipeline(
        pipeline,
        database=project.database,
        blobs=project.blobs,
        clock=project.clock,
        actor=actor,
        datasets=_datasets(project, data or {}, actor, as_of),
        as_of=as_of,
        experiment=experiment,
        search=search,
        parameters=overrides,
        progress=progress,
        hooks=_hooks(project, announced),
    )
    with project.database.read() as connection:
        return report_of(connection, run)


def pipeline_of(project: Project) -> Pipeline:
    """The project's pipeline as its files are now.

    Raises:
        PipelineError: If it cannot be built.
    """
    return Pipeline(
        project.folder,
        project.settings.project.pipeline,
        datasets=tuple(project.settings.data),
        also=(FILE, *_contract_files(project)),
        data=tuple(each.path for each in project.settings.data.values() if each.path),
        state=project.state,
    )


def _contract_files(project: Project) -> list[str]:
    """The files that declare the contracts of `cd4ml.toml`, as far as a name tells."""
    named = [project.settings.model.contract]
    named += [each.contract for each in project.settings.data.values()]
    modules = [f"{name.partition(':')[0].replace('.', '/')}.py" for name in named if ":" in name]
    return [*modules, *(name.partition("#")[0] for name in named if name and ":" not in name)]


def require_readers(
    project: Project, pipeline: Pipeline, pinned: Mapping[str, str], *, actor: str
) -> None:
    """Refuse who may not read what the steps take, before a version of it is made.

    Args:
        project: Whose data.
        pipeline: Whose steps.
        pinned: Dataset name -> version, where it is not the newest.
        actor: Who wants to run it.

    Raises:
        NotAllowed: If a step takes a restricted dataset and the actor has none of its roles.
        NotFound: If it is restricted and nobody has the actor's name.
    """
    for name in dict.fromkeys(name for step in pipeline.graph.steps for name in step.needs):
        if name in project.settings.data:
            require_reader(project, pinned.get(name, name).partition("@")[0], actor=actor)


def _hooks(project: Project, announced: Announcements | None) -> Hooks:
    def begins(connection: sa.Connection, run: Run) -> None:
        admit_run(connection, project, run)

    if announced is None:
        return Hooks(begins=begins)
    return Hooks(begins=begins, began=announced.began, ended=announced.ended)


def report_of(connection: sa.Connection, run: Run) -> RunReport:
    """A run with what was recorded of it."""
    steps = sorted(rows.find(connection, StepRun, run=run.number), key=lambda step: step.position)
    metrics = rows.find(connection, Metric, run=run.number)
    return RunReport(
        run=run,
        steps=tuple(steps),
        metrics={metric.name: metric.number for metric in metrics},
        seconds=sum(step.seconds for step in steps),
    )


def _datasets(
    project: Project, pinned: Mapping[str, str], actor: str, as_of: datetime | None
) -> dict[str, DatasetInput]:
    unknown = sorted(set(pinned) - set(project.settings.data))
    if unknown:
        known = ", ".join(sorted(project.settings.data)) or "none"
        msg = f"no dataset named {unknown[0]!r} in cd4ml.toml"
        raise InvalidInput(msg, hint=f"known: {known}")
    if as_of is not None:
        return {
            name: _known(project, name, pinned.get(name, name), as_of)
            for name in project.settings.data
        }
    return {
        name: _pinned(project, pinned[name]) if name in pinned else _newest(project, name, actor)
        for name in project.settings.data
    }


def _known(project: Project, name: str, ref: str, as_of: datetime) -> DatasetInput:
    if project.settings.data[name].source == "production" and "@" not in ref:
        with project.database.read() as connection:
            version = version_by(connection, name, as_of)
        if version is None:
            return _empty(project, name)
    return input_at(project, ref, as_of)


def _newest(project: Project, name: str, actor: str) -> DatasetInput:
    source = project.settings.data[name].source
    if source == "files":
        return input_of(project, ingest(project, name, actor=actor))
    if source != "production":
        return input_of(project, newest_or_pulled(project, name, actor=actor))
    with project.database.read() as connection:
        version = newest_version(connection, name)
    if version is not None:
        return input_of(project, version)
    return _empty(project, name)


def _empty(project: Project, name: str) -> DatasetInput:
    contract = declared(project, project.settings.model.contract, key="model.contract")
    return DatasetInput(
        ref=f"{name}@{EMPTY}",
        digest=address_of_record((EMPTY, contract)),
        scan=lambda: empty_production(project),
    )


def _pinned(project: Project, ref: str) -> DatasetInput:
    with project.database.read() as connection:
        return input_of(project, find_version(connection, ref))
