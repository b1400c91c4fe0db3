"""From a run to a version of a registered model: in one step, and before anything is promised.

A version says what a model is. Whether it is good enough is for the gates to say, and whether it
answers anybody for a release; neither is asked here.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import polars as pl
import sqlalchemy as sa

from cd4ml.errors import ConfigurationError, InvalidInput, Refused
from cd4ml.loop.candidate import (
    Logged,
    candidate_behind,
    candidate_of,
    contract_of,
    logged_models,
    packaged,
    packaged_estimator,
    table,
    unfinished,
    without_estimator,
)
from cd4ml.loop.refs import number_in
from cd4ml.loop.written_card import written_card
from cd4ml.models import registry
from cd4ml.models.files import ModelFiles
from cd4ml.records.contract import Contract
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.run import Run, StepRun
from cd4ml.store import lineage, people, rows
from cd4ml.store.project import Project


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is made of; addresses, "" for what is not there yet."""

    model: str
    estimator: str
    artifact: str = ""
    contract: str = ""
    logged: str = ""


def graduate(
    project: Project,
    run: str,
    *,
    model: str = "",
    step: str = "",
    description: str = "",
    tags: Mapping[str, str] | None = None,
    rows_of: str = "",
    why: str = "",
    actor: str,
) -> ModelVersion:
    """Make the model of a run the next version of a registered model.

    It is packaged if the run has rows to compare its compiled form on, else later
    (`package_version`). Graduating the same model again gives the same version.

    Args:
        project: Whose run.
        run: Which.
        model: The registered model; by default it is called as the step is.
        step: The step, or the name under which it was logged; by default the only one.
        description: In words, Markdown.
        tags: Name -> value.
        rows_of: Another run, whose training and holdout rows stand for those that this one lacks.
        why: For the ledger.
        actor: Who.

    Raises:
        NotFound: If there is no such run.
        Refused: If it did not finish, or the model was made elsewhere and nobody answers for it.
        ConfigurationError: If it has no model, or several and `step` names none.
        ContractViolated: If its rows break the declared contract.
        InvalidInput: If the estimator fails on a row the contract allows, or a name is no name.
    """
    number = number_in(run, "run")
    rows_from = number_in(rows_of, "run") if rows_of else 0
    with project.database.read() as connection:
        people.actor(connection, actor)
        lent = _lent(connection, project, number, rows_from) if rows_from else {}
    card = written_card(project)
    made = _made(project, number, model, step, lent)
    at = project.clock.now()
    with project.database.write() as connection:
        if rows_from:
            take_rows(connection, project, number, rows_from)
        known = _known(connection, number, made)
        if known is not None:
            return known
        if made.artifact:
            _trace_package(connection, project, made, number)
        return registry.add_version(
            connection,
            made.model,
            run=number,
            artifact=made.artifact,
            contract=made.contract,
            logged=made.logged,
            card=card,
            description=description,
            tags=tags,
            why=why or f"graduated from run/{number}",
            by=actor,
            at=at,
        )


def package_version(project: Project, ref: str, *, actor: str) -> ModelVersion:
    """Make what a version answers with: compiled if that gives the same answers, else as it is.

    Raises:
        NotFound: If there is no such version.
        Refused: If its model was made elsewhere and nobody answers for it, or if nobody knows
            rows to compare on.
        InvalidInput: If the estimator fails on a row the contract allows.
    """
    with project.database.read() as connection:
        people.actor(connection, actor)
        version = registry.find_version(connection, ref)
    if version.artifact:
        return version
    made = _packaged_version(project, version)
    with project.database.write() as connection:
        _trace_package(connection, project, made, version.run)
        return registry.set_packaged(
            connection,
            version,
            artifact=made.artifact,
            contract=made.contract,
            by=actor,
            at=project.clock.now(),
        )


def take_rows(connection: sa.Connection, project: Project, run: int, rows_of: int) -> None:
    """Let the training and holdout rows of one run stand for those that another one lacks.

    Raises:
        NotFound: If there is no such run.
        ConfigurationError: If the other run has none either.
    """
    for step in _lent(connection, project, run, rows_of).values():
        position = rows.count(connection, StepRun, run=run)
        taken = msgspec.structs.replace(
            step, run=run, position=position, fingerprint="", state="cached"
        )
        rows.insert(connection, taken)
        lineage.link(connection, f"run/{run}", taken.output, "input")


def _lent(
    connection: sa.Connection, project: Project, run: int, rows_of: int
) -> dict[str, StepRun]:
    """The steps of the other run whose rows this one lacks."""
    settings = project.settings.model
    taker = rows.get(connection, Run, run)
    rows.get(connection, Run, rows_of)
    lent = {}
    for name in (settings.training, settings.holdout):
        found = rows.find(connection, StepRun, run=rows_of, step=name)
        if not found:
            known = ", ".join(each.step for each in rows.find(connection, StepRun, run=rows_of))
            msg = f"run/{rows_of} has no step {name!r}, whose rows could judge {taker.ref}"
            raise ConfigurationError(msg, hint=f"its steps: {known or 'none'}")
        if not rows.find(connection, StepRun, run=run, step=name):
            lent[name] = found[0]
    return lent


def _made(
    project: Project, number: int, model: str, step: str, lent: Mapping[str, StepRun]
) -> _Made:
    with project.database.read() as connection:
        run = rows.get(connection, Run, number)
        own = {each.step for each in rows.find(connection, StepRun, run=number)}
    steps = {*own, *lent}
    logged = logged_models(project, number)
    if run.deleted_at is not None:
        msg = f"{run.ref} was deleted on {run.deleted_at:%Y-%m-%d}"
        raise Refused(msg, hint="restore it first")
    settings = project.settings.model
    has_rows = {settings.training, settings.holdout} <= steps
    if has_rows and run.state == "finished":
        candidate = candidate_of(project, number, model=model, step=step, lent=lent)
        contract = contract_of(project, candidate)
        return _Made(
            model=candidate.model,
            estimator=candidate.estimator,
            artifact=packaged(project, candidate, contract),
            contract=project.blobs.put_record(contract),
            logged=logged[candidate.step].address if candidate.step in logged else "",
        )
    name = step or _only(run, logged)
    if name not in logged:
        if not logged:
            return _refuse_without_rows(project, run, steps)
        msg = f"{run.ref} has no model logged as {name!r}"
        raise ConfigurationError(msg, hint=f"logged: {', '.join(sorted(logged))}")
    address, files = logged[name]
    made = _Made(model=model or name, estimator=files.estimator, logged=address)
    return _packaged_files(project, made, files) if files.sample else made


def _only(run: Run, logged: Mapping[str, Logged]) -> str:
    if len(logged) > 1:
        msg = f"{run.ref} has several models: {', '.join(sorted(logged))}"
        raise ConfigurationError(msg, hint="name one with --step")
    return next(iter(logged), "")


def _refuse_without_rows(project: Project, run: Run, steps: set[str]) -> _Made:
    if run.state != "finished":
        raise unfinished(run, "and logged no model")
    settings = project.settings.model
    missing = sorted({settings.training, settings.holdout} - steps)
    msg = f"{run.ref} logged no model, and has no step {' and no step '.join(map(repr, missing))}"
    raise ConfigurationError(msg, hint=f"its steps: {', '.join(sorted(steps)) or 'none'}")


def _packaged_version(project: Project, version: ModelVersion) -> _Made:
    made = _Made(model=version.model, estimator="", logged=version.logged)
    if version.logged:
        files = project.blobs.get_record(version.logged, ModelFiles)
        made = msgspec.structs.replace(made, estimator=files.estimator)
        if not files.estimator:
            raise without_estimator(version)
        if files.sample:
            return _packaged_files(project, made, files)
    candidate = candidate_behind(project, version)
    contract = contract_of(project, candidate)
    artifact = packaged(project, candidate, contract)
    return msgspec.structs.replace(
        made,
        estimator=candidate.estimator,
        artifact=artifact,
        contract=project.blobs.put_record(contract),
    )


def _packaged_files(project: Project, made: _Made, files: ModelFiles) -> _Made:
    contract = project.blobs.get_record(files.contract, Contract)
    artifact = packaged_estimator(
        project,
        files.estimator,
        contract,
        _sample(project, files),
        is_joblib=files.form == "joblib",
    )
    return msgspec.structs.replace(made, artifact=artifact, contract=files.contract)


def _sample(project: Project, files: ModelFiles) -> pl.DataFrame:
    try:
        return table(project, files.sample)
    except InvalidInput:
        raise InvalidInput(f"the sample {files.sample} is no table in Parquet") from None


def _known(connection: sa.Connection, run: int, made: _Made) -> ModelVersion | None:
    """The version that this model of this run is already."""
    for version in rows.find(connection, ModelVersion, model=made.model, run=run):
        is_same = version.artifact == made.artifact or (
            not made.artifact and version.logged == made.logged
        )
        if is_same and version.deleted_at is None:
            return version
    return None


def _trace_package(connection: sa.Connection, project: Project, made: _Made, run: int) -> None:
    at, name = project.clock.now(), f"{made.model} of run/{run}"
    lineage.note(connection, address=made.artifact, kind="model", name=name, at=at)
    lineage.link(connection, made.artifact, made.estimator, "packaged from")
