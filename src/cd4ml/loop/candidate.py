"""What a finished run offers to be judged: a model, and the rows for and against it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import ModuleType
from typing import TYPE_CHECKING

import msgspec

from cd4ml.errors import ConfigurationError, InvalidInput, Refused
from cd4ml.loop.contracts import declared
from cd4ml.loop.cut import model_name
from cd4ml.models.contract import derive
from cd4ml.models.runtime import Runtime, load
from cd4ml.models.trust import recorded_by_a_run
from cd4ml.pipeline.module import imported
from cd4ml.records.contract import Contract, Field
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.run import Run, StepRun
from cd4ml.store import rows
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A run's model step with the addresses of its model, training rows and holdout rows.

    `model` is what its versions are called: the step, and of a partition the key it is for.
    """

    run: Run
    step: str
    model: str
    estimator: str
    training: str
    holdout: str


def candidate_of(project: Project, number: int) -> Candidate:
    """What a run offers.

    Raises:
        NotFound: If there is no such run.
        Refused: If it did not finish.
        ConfigurationError: If its steps are not those that `[model]` names.
    """
    with project.database.read() as connection:
        run = rows.get(connection, Run, number)
        steps = rows.find(connection, StepRun, run=number)
    if run.state != "finished":
        msg = f"{run.ref} is {run.state}, so there is nothing to judge"
        raise Refused(msg, hint=run.reason.splitlines()[0] if run.reason else "wait until it ends")
    settings = project.settings.model
    outputs = {step.step: step.output for step in steps}
    model = settings.step or _only_model([step.step for step in steps if step.kind == "model"])
    for name, key in (
        (model, "step"),
        (settings.training, "training"),
        (settings.holdout, "holdout"),
    ):
        if name not in outputs:
            msg = f"cd4ml.toml: {run.ref} has no step {name!r} - at `model.{key}`"
            raise ConfigurationError(msg, hint=f"its steps: {', '.join(sorted(outputs))}")
    return Candidate(
        run=run,
        step=model,
        model=model_name(model, run.partition),
        estimator=outputs[model],
        training=outputs[settings.training],
        holdout=outputs[settings.holdout],
    )


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
    """A version, loaded and ready to answer."""
    with project_modules(project):
        return load(project.blobs, version.artifact, is_trusted=recorded_by_a_run(project.database))


def project_modules(project: Project) -> AbstractContextManager[ModuleType]:
    """The project's own modules, importable: an estimator may need classes of theirs."""
    return imported(project.folder, project.settings.project.pipeline)


def _only_model(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    found = ", ".join(names) or "none"
    msg = f"cd4ml.toml: expected one step that returns a Model, got {found}"
    raise ConfigurationError(msg, hint="name it: [model] step = ...")
