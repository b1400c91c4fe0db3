"""Keep a fitted model with the run that made it: from a notebook, a script, another tool.

Logging writes the model's bytes and a few rows. What takes seconds is put off: the compiled
form, and the proof that it gives the same answers, are made when the model is packaged
(`loop.graduate`), and nothing answers anybody before that. What it was fitted with is the
environment's lock, which is known; nothing is imported again to find out.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.errors import AlreadyExists, InvalidInput
from cd4ml.loop.model_files import Listing, listing, write_listing
from cd4ml.loop.written_card import written_card
from cd4ml.models import estimator as estimators
from cd4ml.models import graph, registry
from cd4ml.models.contract import derive
from cd4ml.models.files import ModelFiles
from cd4ml.models.formats import FILES, format_of
from cd4ml.models.package import libraries
from cd4ml.pipeline.environment import present_environment
from cd4ml.pipeline.lock import kept_lock
from cd4ml.pipeline.storage import parquet
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.run import Run, StepRun
from cd4ml.store import ledger, lineage, people, rows
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl

_ONE_TABLE = "all models of a run have the same training and holdout rows"
_NAME = re.compile(r"[\w.-]{1,100}")


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was logged: of which run, its list of files, and the version if it is one."""

    run: int
    name: str
    address: str  # of the list of its files, as `ModelFiles`
    estimator: str  # content address
    version: ModelVersion | None = None


class _Stored(NamedTuple):
    """What lies in the blobs before anything is written down."""

    listed: Listing
    tables: dict[str, str]
    card: str

    @property
    def estimator(self) -> str:
        return self.listed.files.estimator


def log_model(
    project: Project,
    run: int,
    model: Any,
    *,
    name: str = "",
    sample: pl.DataFrame | None = None,
    training: pl.DataFrame | None = None,
    holdout: pl.DataFrame | None = None,
    register: str = "",
    actor: str,
) -> LoggedModel:
    """Keep a fitted estimator with its run.

    Args:
        project: Whose run.
        run: Its number; it may still be running.
        model: The estimator: anything with `predict` or `predict_proba`, or an ONNX graph.
        name: What to call it in the run; the project's `[model] step`, or "model", by default.
        sample: Raw columns of requests, at least one row: the contract is derived from them, and
            the compiled form compared on them. Without it the holdout's are taken.
        training: The rows it learned from, with the target: gates ask for them.
        holdout: The rows to judge it on, with the target: gates ask for them.
        register: The registered model to add it to, as its next version; "" for none.
        actor: Who.

    Raises:
        NotFound: If there is no such run, or nobody has the actor's name.
        InvalidInput: If it is no estimator, or holds something that cannot be stored, or a name
            is no name.
        AlreadyExists: If the run has another model of this name.
    """
    called = name or project.settings.model.step or "model"
    _refuse_unless_possible(model, called)
    with project.database.read() as connection:
        people.actor(connection, actor)
        found = rows.get(connection, Run, run)
    stored = _stored(project, found, model, called, sample, training, holdout)
    with project.database.write() as connection:
        _write_down(connection, project, found, called, stored, actor)
        version = _registered(connection, project, found, called, register, stored, actor)
    return LoggedModel(
        run=run,
        name=called,
        address=stored.listed.address,
        estimator=stored.estimator,
        version=version,
    )


def _refuse_unless_possible(model: Any, name: str) -> None:
    can_answer = any(hasattr(model, each) for each in ("predict", "predict_proba"))
    if not (can_answer or isinstance(model, bytes) or graph.is_given(model)):
        msg = f"expected a fitted estimator, got one of type {type(model).__name__}"
        raise InvalidInput(
            msg, hint="it needs `predict` or `predict_proba`, as scikit-learn has it"
        )
    if not _NAME.fullmatch(name):
        msg = f"expected a name of 1 to 100 letters, digits, '.', '_' and '-', got {name[:60]!r}"
        raise InvalidInput(msg)


def _stored(
    project: Project,
    run: Run,
    model: Any,
    name: str,
    sample: pl.DataFrame | None,
    training: pl.DataFrame | None,
    holdout: pl.DataFrame | None,
) -> _Stored:
    settings, blobs = project.settings.model, project.blobs
    data = estimators.dump(model)
    given = {settings.training: training, settings.holdout: holdout}
    tables = {key: blobs.put(parquet(each)) for key, each in given.items() if each is not None}
    requests = _requests(project, sample if sample is not None else holdout)
    kind = format_of(data)
    main = FILES[kind]
    files = ModelFiles(
        form=kind,
        files={main: blobs.put(data)},
        main=main,
        contract="" if requests is None else blobs.put_record(derive(requests, name)),
        sample="" if requests is None else blobs.put(parquet(requests)),
        lock=run.lock or _lock(project),
        libraries=libraries(),
    )
    listed = listing(blobs, files, {main: len(data)})
    return _Stored(listed, tables, written_card(project))


def _requests(project: Project, rows_given: pl.DataFrame | None) -> pl.DataFrame | None:
    """The raw columns of requests in some rows."""
    settings = project.settings.model
    if rows_given is None:
        return None
    if rows_given.is_empty():
        raise InvalidInput("expected at least one row of requests as a sample, got none")
    return rows_given.drop(settings.target, settings.event_time, *settings.key, strict=False)


def _lock(project: Project) -> str:
    environment = present_environment()
    return kept_lock(environment, project.folder, state=project.state, blobs=project.blobs)


def _write_down(
    connection: sa.Connection,
    project: Project,
    run: Run,
    name: str,
    stored: _Stored,
    actor: str,
) -> None:
    at = project.clock.now()
    _add_output(connection, run, name, "model", stored.estimator, at)
    for table, address in stored.tables.items():
        _add_output(connection, run, table, "table", address, at)
    write_listing(connection, run, name, stored.listed, at=at)
    lineage.link(connection, stored.listed.address, stored.estimator, "holds")
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action="model.logged",
        subject=run.ref,
        details={"name": name, "files": stored.listed.address, "estimator": stored.estimator},
    )


def _add_output(
    connection: sa.Connection,
    run: Run,
    step: str,
    kind: Literal["model", "table"],
    address: str,
    at: datetime,
) -> None:
    known = rows.find(connection, StepRun, run=run.number, step=step)
    if known and known[0].output == address:
        return
    if known:
        msg = f"{run.ref} has another {step!r} already"
        hint = "call this one something else: name=..." if kind == "model" else _ONE_TABLE
        raise AlreadyExists(msg, hint=hint)
    made = StepRun(
        run=run.number,
        step=step,
        position=rows.count(connection, StepRun, run=run.number),
        fingerprint="",  # of no code that could be looked up: never taken from the cache
        state="computed",
        kind=kind,
        output=address,
    )
    rows.insert(connection, made)
    name = f"{step} of {run.ref}"
    lineage.note(connection, address=address, kind="step output", name=name, at=at)
    lineage.link(connection, address, run.ref, "output")


def _registered(
    connection: sa.Connection,
    project: Project,
    run: Run,
    name: str,
    register: str,
    stored: _Stored,
    actor: str,
) -> ModelVersion | None:
    if not register:
        return None
    for known in registry.versions(connection, register):
        if (known.run, known.logged) == (run.number, stored.listed.address):
            return known  # logged again: the same
    return registry.add_version(
        connection,
        register,
        run=run.number,
        logged=stored.listed.address,
        card=stored.card,
        why=f"logged as {name} of {run.ref}",
        by=actor,
        at=project.clock.now(),
    )
