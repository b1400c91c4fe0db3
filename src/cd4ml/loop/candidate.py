"""What a finished run offers to be judged: a model, and the rows for and against it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import ModuleType
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from cd4ml.errors import ConfigurationError, InvalidInput, Refused
from cd4ml.loop.contracts import declared
from cd4ml.models.contract import derive
from cd4ml.models.files import ModelFiles
from cd4ml.models.manifest import Manifest
from cd4ml.models.package import package
from cd4ml.models.runtime import Runtime, load
from cd4ml.models.trust import trusted_in
from cd4ml.pipeline.module import imported
from cd4ml.records.contract import Contract, Field
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.run import Run, StepRun
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import rows
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl

LISTED = "model.json"  # the list of a logged model's files, in its folder of the run


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A run's model step with the addresses of its model, training rows and holdout rows.

    `model` is what its versions are called, `step` the step that made it.
    """

    run: Run
    model: str
    step: str
    estimator: str
    is_joblib: bool = False
    training: str
    holdout: str


def candidate_of(project: Project, number: int, *, model: str = "", step: str = "") -> Candidate:
    """What a run offers.

    Args:
        project: Whose run.
        number: Its number.
        model: What its versions are called; by default as the step is.
        step: The step that made it; by default `[model] step`, or the only one that is a model.

    Raises:
        NotFound: If there is no such run.
        Refused: If it did not finish.
        ConfigurationError: If its steps are not those that `[model]` names.
    """
    with project.database.read() as connection:
        run = rows.get(connection, Run, number)
        steps = rows.find(connection, StepRun, run=number)
        logged = logged_models(connection, number)
    if run.state != "finished":
        msg = f"{run.ref} is {run.state}, so there is nothing to judge"
        raise Refused(msg, hint=run.reason.splitlines()[0] if run.reason else "wait until it ends")
    settings = project.settings.model
    files = {name: _files(project, address) for name, address in logged.items()}
    outputs = {name: each.estimator for name, each in files.items() if each.estimator}
    outputs |= {each.step: each.output for each in steps}
    models = {*files, *(each.step for each in steps if each.kind == "model")}
    step = step or settings.step or _only_model(sorted(models))
    for name, key in (
        (step, "step"),
        (settings.training, "training"),
        (settings.holdout, "holdout"),
    ):
        if name not in outputs:
            msg = f"cd4ml.toml: {run.ref} has no step {name!r} - at `model.{key}`"
            raise ConfigurationError(msg, hint=f"its steps: {', '.join(sorted(outputs))}")
    return Candidate(
        run=run,
        model=model or step,
        step=step,
        estimator=outputs[step],
        is_joblib=step in files and files[step].form == "joblib",
        training=outputs[settings.training],
        holdout=outputs[settings.holdout],
    )


def candidate_behind(project: Project, version: ModelVersion) -> Candidate:
    """What the run of a version offered when the version was made of it.

    Raises:
        Refused: If it was made by no run, or by one that did not finish.
        ConfigurationError: If the run's steps are not those that `[model]` names.
    """
    if not version.run:
        msg = f"{version.ref} was made by no run of this project, so no rows say what it is worth"
        raise Refused(msg, hint="cd4ml model add brings a model with the rows of a run")
    estimator = estimator_of(project, version)
    with project.database.read() as connection:
        made = [
            each.step for each in rows.find(connection, StepRun, run=version.run, output=estimator)
        ]
        logged = logged_models(connection, version.run)
    made += [
        name for name, files in logged.items() if _files(project, files).estimator == estimator
    ]
    return candidate_of(project, version.run, model=version.model, step=made[0] if made else "")


def estimator_of(project: Project, version: ModelVersion) -> str:
    """The address of a version's fitted estimator; "" if nobody knows one."""
    if version.artifact:
        return project.blobs.get_record(version.artifact, Manifest).estimator
    return _files(project, version.logged).estimator if version.logged else ""


def logged_models(connection: sa.Connection, run: int) -> dict[str, str]:
    """Name -> address of the list of files, of every model logged in a run."""
    return {
        artifact.path.removesuffix(f"/{LISTED}"): artifact.address
        for artifact in rows.find(connection, RunArtifact, run=run)
        if artifact.path.endswith(f"/{LISTED}")
    }


def packaged(project: Project, candidate: Candidate, contract: Contract) -> str:
    """The address of the candidate's packaged model, compared on its holdout.

    Raises:
        Refused: If it was made elsewhere and nobody answers for it.
        ContractViolated: If the holdout does not keep the contract.
        InvalidInput: If the estimator fails on a row that the contract allows.
    """
    with project_modules(project):
        return package(
            project.blobs,
            estimator=candidate.estimator,
            contract=contract,
            sample=table(project, candidate.holdout).select(contract.names),
            is_trusted=trusted_in(project.database),
            is_joblib=candidate.is_joblib,
        )


def _files(project: Project, address: str) -> ModelFiles:
    return project.blobs.get_record(address, ModelFiles)


def contract_of(project: Project, candidate: Candidate) -> Contract:
    """The contract of the candidate's requests: the declared one, or what its rows show.

    Raises:
        ContractViolated: If its training rows break the declared one.
        ConfigurationError: If what is declared, or the target, cannot be found.
    """
    settings = project.settings.model
    rows_learned = table(project, candidate.training)
    _refuse_without_target(candidate, rows_learned, settings.target)
    contract = declared(project, settings.contract, key="model.contract")
    asked = contract.names if contract else ()
    own = [name for name in settings.key if name not in asked]  # who it is, is no request's matter
    requests = rows_learned.drop(settings.target, settings.event_time, *own, strict=False)
    kept = derive(requests, candidate.model, contract)
    if contract is None and _is_binary(rows_learned, settings.target):
        output = Field(settings.target, "number", minimum=0, maximum=1, unit="probability")
        return msgspec.structs.replace(kept, output=output)
    return kept


def _refuse_without_target(candidate: Candidate, rows_learned: pl.DataFrame, target: str) -> None:
    if target not in rows_learned.columns:
        msg = f"cd4ml.toml: the training rows of {candidate.run.ref} have no column {target!r}"
        known = ", ".join(rows_learned.columns)
        raise ConfigurationError(f"{msg} - at `model.target`", hint=f"known: {known}")


def _is_binary(rows_learned: pl.DataFrame, target: str) -> bool:
    return set(rows_learned[target].unique()) <= {0, 1}


def table(project: Project, address: str) -> pl.DataFrame:
    """The table that a step stored.

    Raises:
        InvalidInput: If what it stored is no table.
    """
    import polars as pl
    from polars.exceptions import ComputeError

    try:
        path = project.blobs.path(address)
        return pl.read_parquet(path, glob=False, hive_partitioning=False)
    except ComputeError:
        msg = f"the output {address} is not a table"
        raise InvalidInput(msg, hint="training and holdout steps return a DataFrame") from None


def runtime_of(project: Project, version: ModelVersion) -> Runtime:
    """A version, loaded and ready to answer.

    Raises:
        Refused: If it is not packaged yet.
    """
    if not version.artifact:
        msg = f"{version.ref} is not packaged yet, so it cannot answer"
        raise Refused(msg, hint=f"cd4ml model package {version.ref}")
    with project_modules(project):
        return load(project.blobs, version.artifact, is_trusted=trusted_in(project.database))


def project_modules(project: Project) -> AbstractContextManager[ModuleType]:
    """The project's own modules, importable: an estimator may need classes of theirs."""
    return imported(project.folder, project.settings.project.pipeline)


def _only_model(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    found = ", ".join(names) or "none"
    msg = f"cd4ml.toml: expected one step that returns a Model, got {found}"
    raise ConfigurationError(msg, hint="name it: [model] step = ...")
