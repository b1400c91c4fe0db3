"""Bring a model that was made elsewhere: its bytes are kept, and not loaded."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from cd4ml.errors import InvalidInput
from cd4ml.loop.graduate import take_rows
from cd4ml.loop.model_files import Listing, listing, write_listing
from cd4ml.loop.refs import number_in
from cd4ml.loop.written_card import written_card
from cd4ml.models import registry
from cd4ml.models.files import NAMES, ModelFiles
from cd4ml.models.formats import FILES, Format, format_of
from cd4ml.models.registry.names import require_model_name
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.run import Run
from cd4ml.store import people, rows
from cd4ml.store.project import Project
from cd4ml.store.tracking.runs import end_run, start_run

_EXPERIMENT = "brought models"


def bring_model(
    project: Project,
    name: str,
    path: Path,
    *,
    rows_of: str,
    source: str = "",
    description: str = "",
    actor: str,
) -> ModelVersion:
    """Make a pickled estimator the next version of a model, without loading it.

    A run stands for how it came here, with the training and holdout rows of another run: those
    that it will be compared and judged on. Loading it, to package it, needs somebody's word
    (`loop.trust`). The same bytes again are the same version.

    Args:
        project: Whose model.
        name: The registered model.
        path: A file `.pkl`, `.pickle` or `.joblib`; of LightGBM `.txt` or `.lgb`, of XGBoost
            `.ubj` or `.json`; or `.onnx`.
        rows_of: The run whose rows judge it.
        source: Where it came from; the file's name by default.
        description: In words, Markdown.
        actor: Who brings it.

    Raises:
        InvalidInput: If the file cannot be read, its name does not say what it is, or the model's
            name is no name.
        NotFound: If there is no such run.
        ConfigurationError: If that run has no training or holdout rows.
    """
    require_model_name(name)
    form = NAMES.get(path.suffix.lower())
    if form is None or form == "mlmodel":
        *most, last = NAMES
        msg = f"expected a file named {', '.join(most)} or {last}, got {path.name!r}"
        raise InvalidInput(msg, hint="an MLmodel folder is imported as one")
    rows_from = number_in(rows_of, "run")
    main = FILES[form]
    _refuse_another(path, form)
    address = project.blobs.put_file(path)
    files = ModelFiles(form=form, files={main: address}, main=main)
    listed = listing(project.blobs, files, {main: path.stat().st_size})
    came_from, card = source or path.name, written_card(project)
    with project.database.write() as connection:
        people.actor(connection, actor)
        at = project.clock.now()
        if known := _known(connection, name, listed.address):
            return known
        run = _run(connection, name, listed, came_from, actor, at)
        take_rows(connection, project, run.number, rows_from)
        end_run(connection, run.number, "finished", at=at, actor=actor)
        return registry.add_version(
            connection,
            name,
            run=run.number,
            logged=listed.address,
            source=came_from,
            card=card,
            description=description,
            why=f"brought from {came_from}",
            by=actor,
            at=at,
        )


def _refuse_another(path: Path, form: Format) -> None:
    """Let no pickle come under the name of what holds no code, nor the other way round."""
    try:
        with path.open("rb") as file:
            found = format_of(file.read(16), is_joblib=form == "joblib")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    if found != form:
        msg = f"{path.name} does not begin as a model in the format {form} does"
        raise InvalidInput(msg, hint=f"it looks like {found}")


def _known(connection: sa.Connection, name: str, listed: str) -> ModelVersion | None:
    same = rows.find(connection, ModelVersion, model=name, logged=listed)
    return next((version for version in same if version.deleted_at is None), None)


def _run(
    connection: sa.Connection, name: str, listed: Listing, source: str, actor: str, at: datetime
) -> Run:
    """The run that stands for how a model came here; it did not make it, so nobody trusts it."""
    note = f"{name}, from {source}"
    run = start_run(connection, experiment=_EXPERIMENT, note=note, at=at, actor=actor)
    write_listing(connection, run, name, listed, at=at)
    return run
