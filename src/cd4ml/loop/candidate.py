"""What a finished run offers to be judged: a model, and the rows for and against it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cd4ml.errors import (
    ConfigurationError,
    ContractViolated,
    Corrupted,
    InvalidInput,
    NotFound,
    Refused,
)
from cd4ml.loop.contracts import declared
from cd4ml.loop.cut import model_name
from cd4ml.models.contract import derive
from cd4ml.models.files import ModelFiles
from cd4ml.models.manifest import Manifest
from cd4ml.models.own_code import CODE, OwnCode, own_code
from cd4ml.models.package import CannotAnswer, package
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

LISTED = "cd4ml-model.json"  # the list of a logged model's files, in its folder of the run


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A run's model step with the addresses of its model, training rows and holdout rows.

    `step` is the step that made it, `model` what its versions are called: a name, and of a
    partition the key it is for.
    """

    run: Run
    step: str
    model: str
    estimator: str
    is_joblib: bool = False
    training: str
    holdout: str


class Logged(NamedTuple):
    """A model that was logged in a run: its list of files, and where that is kept."""

    address: str
    files: ModelFiles


class _Offered(NamedTuple):
    """A finished run with what its steps made."""

    run: Run
    outputs: dict[str, str]  # step -> address
    models: list[str]  # steps


def candidate_of(
    project: Project,
    number: int,
    *,
    model: str = "",
    step: str = "",
    lent: Mapping[str, StepRun] = MappingProxyType({}),
) -> Candidate:
    """What a run offers.

    Args:
        project: Whose run.
        number: Its number.
        model: What its versions are called; by default as the step is.
        step: The step that made it, or the name under which it was logged; by default
            `[model] step`, or the only one that is a model.
        lent: Steps of another run, whose outputs stand for those that this one lacks.

    Raises:
        NotFound: If there is no such run.
        Refused: If it did not finish.
        ConfigurationError: If its steps are not those that `[model]` names.
    """
    offered, logged = _offered(project, number, lent), logged_models(project, number)
    estimators = {name: each.files.estimator for name, each in logged.items()}
    estimators |= offered.outputs
    made = step or project.settings.model.step or _only_model(sorted({*offered.models, *logged}))
    if made not in estimators:
        raise _without(offered, made, "step")
    return _candidate(
        project,
        offered,
        model=model_name(model or made, offered.run.partition),
        step=made,
        estimator=estimators[made],
        is_joblib=made in logged and logged[made].files.form == "joblib",
    )


def candidate_behind(project: Project, version: ModelVersion) -> Candidate:
    """A version's own estimator, with the rows of the run that it comes from.

    Raises:
        Refused: If it comes from no run, or from one that did not finish, or if nobody knows its
            estimator.
        ConfigurationError: If the run's steps are not those that `[model]` names.
    """
    if not version.run:
        msg = f"{version.ref} was made by no run of this project, so no rows say what it is worth"
        raise Refused(msg, hint="cd4ml model add brings a model with the rows of a run")
    offered = _offered(project, version.run)
    if version.artifact:
        manifest = project.blobs.get_record(version.artifact, Manifest)
        estimator, is_joblib = manifest.estimator, manifest.is_joblib
    else:
        files = project.blobs.get_record(version.logged, ModelFiles)
        estimator, is_joblib = files.estimator, files.form == "joblib"
    if not estimator:
        raise without_estimator(version)
    made = [step for step, output in offered.outputs.items() if output == estimator]
    return _candidate(
        project,
        offered,
        model=version.model,
        step=made[0] if made else version.model,
        estimator=estimator,
        is_joblib=is_joblib,
    )


def estimator_of(project: Project, version: ModelVersion) -> str:
    """The address of a version's fitted estimator; "" if nobody knows one."""
    if version.artifact:
        return project.blobs.get_record(version.artifact, Manifest).estimator
    if not version.logged:
        return ""
    return project.blobs.get_record(version.logged, ModelFiles).estimator


def without_estimator(version: ModelVersion) -> Refused:
    """The refusal of a version of which nobody knows what to load."""
    msg = f"{version.ref} has no file that is known to hold a fitted estimator"
    hint = "known as one: pickles, joblib, LightGBM's, XGBoost's and ONNX files: cd4ml model add"
    if version.source and not version.run:
        hint = "of MLmodel folders the flavours lightgbm, xgboost, onnx and sklearn (pickled) are"
    return Refused(msg, hint=f"{hint}; what else MLflow loads needs mlflow itself")


def logged_models(project: Project, run: int) -> dict[str, Logged]:
    """Every model logged in a run, by the name under which it was."""
    with project.database.read() as connection:
        artifacts = rows.find(connection, RunArtifact, run=run)
    found = {}
    for artifact in artifacts:
        if artifact.path.endswith(f"/{LISTED}"):
            with suppress(NotFound, Corrupted):  # somebody else's file of this name
                files = project.blobs.get_record(artifact.address, ModelFiles)
                found[artifact.path.removesuffix(f"/{LISTED}")] = Logged(artifact.address, files)
    return found


def unfinished(run: Run, so: str) -> Refused:
    """The refusal of a run that failed, or goes on: with what that means here, and why it failed."""
    if run.state == "failed":
        reason = next(iter(run.reason.splitlines()), "")
        return Refused(f"{run.ref} failed, {so}", hint=reason or f"cd4ml show {run.ref}")
    return Refused(f"{run.ref} is {run.state}, {so}", hint="wait until it ends")


def _offered(
    project: Project, number: int, lent: Mapping[str, StepRun] = MappingProxyType({})
) -> _Offered:
    with project.database.read() as connection:
        run = rows.get(connection, Run, number)
        steps = rows.find(connection, StepRun, run=number)
    if run.state != "finished":
        raise unfinished(run, "so there is nothing to judge")
    models = [each.step for each in steps if each.kind == "model"]
    return _Offered(run, {each.step: each.output for each in (*lent.values(), *steps)}, models)


def _candidate(
    project: Project,
    offered: _Offered,
    *,
    model: str,
    step: str,
    estimator: str,
    is_joblib: bool,
) -> Candidate:
    settings = project.settings.model
    if offered.outputs.keys().isdisjoint((settings.training, settings.holdout)):
        msg = f"{offered.run.ref} has neither rows that the model learned from nor such as judge it"
        hint = f"cd4ml graduate {offered.run.ref} --rows run/N lends it those of another run"
        raise ConfigurationError(msg, hint=hint)
    for name, key in ((settings.training, "training"), (settings.holdout, "holdout")):
        if name not in offered.outputs:
            raise _without(offered, name, key)
    return Candidate(
        run=offered.run,
        model=model,
        step=step,
        estimator=estimator,
        is_joblib=is_joblib,
        training=offered.outputs[settings.training],
        holdout=offered.outputs[settings.holdout],
    )


def _without(offered: _Offered, name: str, key: str) -> ConfigurationError:
    msg = f"cd4ml.toml: {offered.run.ref} has no step {name!r} - at `model.{key}`"
    known = ", ".join(sorted(offered.outputs)) or "none"
    return ConfigurationError(msg, hint=f"its steps: {known}")


def packaged(project: Project, candidate: Candidate, contract: Contract) -> str:
    """The address of the candidate's packaged model, compared on its holdout.

    Raises:
        Refused: If it was made elsewhere and nobody answers for it.
        CannotAnswer: If the holdout has no rows, lacks a column or does not keep the contract, or
            the estimator fails on a row that the contract allows.
    """
    holdout = table(project, candidate.holdout)
    if holdout.is_empty():
        raise CannotAnswer("the holdout has no rows, so nothing says what the model is worth")
    if missing := [name for name in contract.names if name not in holdout.columns]:
        msg = f"the holdout has no column {', '.join(missing)}, and requests have to carry it"
        raise CannotAnswer(msg, hint=f"known: {', '.join(holdout.columns)}")
    try:
        return packaged_estimator(
            project,
            candidate.estimator,
            contract,
            holdout.select(contract.names),
            is_joblib=candidate.is_joblib,
        )
    except ContractViolated as broken:
        msg = f"the holdout does not keep the contract of requests: {broken.message}"
        hint = "rows like these would be refused: let the contract allow them, or leave them out"
        raise CannotAnswer(msg, hint=hint) from broken


def packaged_estimator(
    project: Project,
    estimator: str,
    contract: Contract,
    sample: pl.DataFrame,
    *,
    is_joblib: bool = False,
) -> str:
    """The address of an estimator's packaged model, with the project's modules that it needs."""
    code = code_of(project, estimator, is_joblib=is_joblib)
    # what travels with the model has to suffice: then the project's folder is not looked into
    with nullcontext() if code.modules else project_modules(project):
        return package(
            project.blobs,
            estimator=estimator,
            contract=contract,
            sample=sample,
            is_trusted=trusted_in(project.database),
            is_joblib=is_joblib,
            code=code,
        )


def code_of(project: Project, estimator: str, *, is_joblib: bool) -> OwnCode:
    """The project's modules that an estimator's classes need; none are looked for in joblib's."""
    if is_joblib:
        return OwnCode({})
    return own_code(project.blobs.get(estimator), project.folder)


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
    if contract is None:
        return contract_from_rows(project, candidate, rows_learned)
    return derive(_requests(project, rows_learned, contract), candidate.model, contract)


def contract_from_rows(
    project: Project, candidate: Candidate, rows_learned: pl.DataFrame
) -> Contract:
    """The contract that the training rows show, whatever is declared.

    Raises:
        ConfigurationError: If the target cannot be found.
    """
    target = project.settings.model.target
    _refuse_without_target(candidate, rows_learned, target)
    kept = derive(_requests(project, rows_learned, None), candidate.model)
    if not _is_binary(rows_learned, target):
        return kept
    output = Field(target, "number", minimum=0, maximum=1, unit="probability")
    return msgspec.structs.replace(kept, output=output, classes=_classes(rows_learned, target))


def _requests(
    project: Project, rows_learned: pl.DataFrame, contract: Contract | None
) -> pl.DataFrame:
    settings = project.settings.model
    asked = contract.names if contract else ()
    own = [name for name in settings.key if name not in asked]  # who it is, is no request's matter
    return rows_learned.drop(settings.target, settings.event_time, *own, strict=False)


def _classes(rows_learned: pl.DataFrame, target: str) -> tuple[str, ...]:
    import polars as pl

    return ("false", "true") if rows_learned[target].dtype == pl.Boolean else ("0", "1")


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
    manifest = project.blobs.get_record(version.artifact, Manifest)
    with modules_for(project, manifest) if manifest.kind == "native" else nullcontext():
        return load(project.blobs, version.artifact, is_trusted=trusted_in(project.database))


def modules_for(project: Project, manifest: Manifest) -> AbstractContextManager[object]:
    """The project's own modules, where a model's estimator may need them and brings none."""
    brings = CODE in manifest.files or not manifest.is_pickled
    return nullcontext() if brings else project_modules(project)


def project_modules(project: Project) -> AbstractContextManager[ModuleType]:
    """The project's own modules, importable: an estimator may need classes of theirs."""
    return imported(project.folder, project.settings.project.pipeline)


def _only_model(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    found = ", ".join(names) or "none"
    msg = f"cd4ml.toml: expected one step that returns a Model, got {found}"
    raise ConfigurationError(msg, hint="name it: [model] step = ...")
