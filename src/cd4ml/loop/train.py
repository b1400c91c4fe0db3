"""Run the pipeline: once, or once a trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from cd4ml.data.published import version_by
from cd4ml.data.refs import find_version
from cd4ml.data.versions import newest_version
from cd4ml.errors import InvalidInput
from cd4ml.gates.policy import policy_of
from cd4ml.loop.access import admit_run, input_of, require_reader
from cd4ml.loop.announce import Announcements, announcements
from cd4ml.loop.asked import Asked, asked, is_path, version_of_path
from cd4ml.loop.contracts import declared
from cd4ml.loop.cut import Cut, cut_input
from cd4ml.loop.executors import Where, open_executor
from cd4ml.loop.ingest import ingest
from cd4ml.loop.known import input_at
from cd4ml.loop.label import empty_production
from cd4ml.loop.names import require_name
from cd4ml.loop.portion import Portion, portion_taken
from cd4ml.loop.pull import newest_or_pulled
from cd4ml.loop.remember import beginning, remember
from cd4ml.loop.run_report import RunReport as RunReport
from cd4ml.pipeline.run import DatasetInput, Hooks, Pipeline, run_pipeline
from cd4ml.pipeline.task import leaving
from cd4ml.records.run import Metric, Run, StepRun
from cd4ml.store import people, rows
from cd4ml.store.address import address_of_record
from cd4ml.store.project import FILE, Project

if TYPE_CHECKING:
    from cd4ml.pipeline.executors.port import Executor
    from cd4ml.pipeline.logs import Listener
    from cd4ml.pipeline.run import Progress

Begins = Callable[[sa.Connection, Run], None]

EMPTY = "empty"  # the version number of a dataset that production has not filled yet


def train(
    project: Project,
    *,
    overrides: Mapping[str, Any] | None = None,
    data: Mapping[str, str] | None = None,
    environment: str = "",
    as_of: datetime | None = None,
    cut: Cut | None = None,
    experiment: str = "default",
    search: int = 0,
    begins: Begins | None = None,
    portion: Portion | None = None,
    actor: str,
    words: Sequence[str] | None = None,
    progress: Progress | None = None,
    listener: Listener | None = None,
    where: Where = Where(),  # noqa: B008 - immutable
    executor: Executor | None = None,
) -> RunReport:
    """Run the pipeline on the data as it is now; what has not changed is not computed again.

    Args:
        project: Whose pipeline.
        overrides: "step.parameter" -> value, where it differs from the code.
        data: Dataset name -> a version of whatever dataset ("flights@2", a tag, a date), the
            name of another dataset, or a path, where it is not the newest. Files of a dataset
            that is not named here are versioned first.
        environment: Whose data and parameters in `cd4ml.toml` hold, where none are given here.
        as_of: Run on what was known at this moment: the newest versions that had been
            published, and the rows that had arrived. Files are left as they are.
        cut: Only the rows of one key.
        experiment: The question that the run belongs to.
        search: The number of the search it is a trial of.
        begins: Is called in the transaction that begins the run: what it raises keeps the run
            from beginning.
        portion: Take only some rows of a dataset.
        actor: Who.
        words: What was typed, if the same words shall be answered from a note (`rerun`) while
            nothing changes.
        progress: Is told when a step begins and ends.
        listener: Is told what steps print, while they do.
        where: Where the steps are computed, if not as `[run]` says.
        executor: Computes them instead, and is left open.

    Raises:
        InvalidInput: If a parameter, dataset or value is not known.
        NotFound: If a version is not there, or was not yet.
        ContractViolated: If a dataset breaks its contract.
        PipelineError: If the pipeline cannot be built, or a step fails.
        ConfigurationError: If events of the run cannot go where somebody wants them.
        NotAllowed: If a step takes a restricted dataset and the actor has none of its roles.
    """
    began = beginning(project, words, actor) if words is not None else None
    policy_of(project.settings.gate)  # a gate that cannot be asked is said before the work
    announced = announcements(project)
    opened = nullcontext(executor) if executor else open_executor(project, where)
    with opened as computing, leaving():
        pipeline = pipeline_of(project, computing)
        wanted = prepared(
            project,
            pipeline,
            environment=environment,
            data=data,
            parameters=overrides,
            experiment=experiment,
            actor=actor,
        )
        datasets = _taken(project, wanted, actor=actor, as_of=as_of, cut=cut, portion=portion)
        run = run_pipeline(
            pipeline,
            database=project.database,
            blobs=project.blobs,
            clock=project.clock,
            actor=actor,
            datasets=datasets,
            as_of=as_of,
            experiment=experiment,
            search=search,
            purpose=wanted.purpose._replace(partition=str(cut) if cut else ""),
            parameters=wanted.parameters,
            progress=progress,
            listener=listener,
            executor=computing,
            prices=project.settings.prices,
            hooks=_hooks(project, announced, begins),
        )
    with project.database.read() as connection:
        report = report_of(connection, run)
    is_plain = as_of is None and cut is None and portion is None and not search
    if began is not None and is_plain and not _is_of_paths(project, wanted):
        remember(project, pipeline, began, report, wanted.data)
    return report


def _taken(
    project: Project,
    wanted: Asked,
    *,
    actor: str,
    as_of: datetime | None,
    cut: Cut | None,
    portion: Portion | None,
) -> dict[str, DatasetInput]:
    """The datasets as the run takes them: all rows, those of one key, or a part."""
    found = datasets_now(project, wanted.data, actor, as_of)
    datasets = {name: cut_input(project, name, each, cut) for name, each in found.items()}
    return datasets if portion is None else portion_taken(datasets, portion)


def _is_of_paths(project: Project, wanted: Asked) -> bool:
    """Whether files that no dataset is made of are taken: nothing notes what they were."""
    return any(is_path(project, each) for each in wanted.data.values())


def prepared(
    project: Project,
    pipeline: Pipeline,
    *,
    environment: str,
    data: Mapping[str, str] | None,
    parameters: Mapping[str, Any] | None,
    experiment: str,
    actor: str,
) -> Asked:
    """What is asked for, once all is known that a run of it could not begin with.

    Raises:
        InvalidInput: If an environment, parameter, dataset or value is not known.
        NotFound: If a version is not there, or nobody has the actor's name.
        NotAllowed: If a step takes a restricted dataset and the actor has none of its roles.
    """
    with project.database.read() as connection:
        people.actor(connection, actor)
    require_name(experiment, "an experiment")
    wanted = asked(project, environment=environment, data=data, parameters=parameters)
    pipeline.require_possible(wanted.parameters)
    require_readers(project, pipeline, wanted.data, actor=actor)
    return wanted


def pipeline_of(project: Project, executor: Executor | None = None) -> Pipeline:
    """The project's pipeline as its files are now, imported where it will be computed.

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
        seed=project.settings.project.seed,
        is_shared=project.settings.store.share_steps and project.may_share_blobs,
        takes_models=project.settings.store.share_models,
        variables=project.settings.project.variables,
        executor=executor,
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
            wanted = pinned.get(name, name)
            is_other = wanted != name and not is_path(project, wanted)
            read = wanted.partition("@")[0] if is_other else name
            require_reader(project, read, actor=actor)


def _hooks(project: Project, announced: Announcements | None, also: Begins | None = None) -> Hooks:
    def begins(connection: sa.Connection, run: Run) -> None:
        admit_run(connection, project, run)
        if also is not None:
            also(connection, run)

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


def datasets_now(
    project: Project, pinned: Mapping[str, str], actor: str, as_of: datetime | None
) -> dict[str, DatasetInput]:
    """Every dataset of the project as a run takes it, newest versions made first.

    Raises:
        InvalidInput: If files are to be read as of a moment.
        NotFound: If a version is not there, or was not yet.
        ContractViolated: If a dataset breaks its contract.
    """
    if as_of is not None:
        return {
            name: _known(project, name, pinned.get(name, name), as_of)
            for name in project.settings.data
        }
    return {
        name: _pinned(project, name, pinned[name], actor)
        if name in pinned
        else _newest(project, name, actor)
        for name in project.settings.data
    }


def _known(project: Project, name: str, ref: str, as_of: datetime) -> DatasetInput:
    if is_path(project, ref):
        msg = f"the files {ref!r} have no past that they could be read as of"
        raise InvalidInput(msg, hint=f"--data {name}={name}@NUMBER names a version")
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


def _pinned(project: Project, name: str, wanted: str, actor: str) -> DatasetInput:
    if wanted in project.settings.data:
        return _newest(project, wanted, actor)
    if is_path(project, wanted):
        return input_of(project, version_of_path(project, name, wanted, actor=actor))
    with project.database.read() as connection:
        return input_of(project, find_version(connection, wanted))
