"""MLflow's model folders as files of a version: what is known of them, and bringing one in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.engines.mlflow.mlmodel import FILE, ModelFile, read_model_file
from cd4ml.errors import InvalidInput
from cd4ml.models import registry
from cd4ml.models.files import ModelFiles
from cd4ml.models.registry_names import require_model_name
from cd4ml.records.contract import Contract
from cd4ml.records.model_version import ModelVersion
from cd4ml.store import people, rows

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.store.project import Project


def model_files(project: Project, name: str, files: Mapping[str, str]) -> ModelFiles:
    """The files of a folder, and what its `MLmodel` says of them.

    The contract is what the signature makes, the sample what the input example holds: with
    both a version can be packaged without a run's rows. Nothing is unpickled.

    Args:
        project: Where the files are stored.
        name: Of the model.
        files: Path -> content address.
    """
    kept = dict(sorted(files.items()))
    if FILE not in files:
        return ModelFiles(form="mlmodel", files=kept)
    told = read_model_file(project.blobs.get(files[FILE]), f"the file {FILE}")
    contract = _contract(told, name)
    sample = _sample(project, told, contract, files) if contract else None
    return ModelFiles(
        form="mlmodel",
        files=kept,
        main=told.estimator if told.estimator in files else "",
        contract=project.blobs.put_record(contract) if contract else "",
        sample=_stored(project, sample) if sample is not None else "",
    )


def import_folder(project: Project, folder: Path, name: str, *, actor: str) -> ModelVersion:
    """Make an MLmodel folder the next version of a model, without loading it.

    Packaging it, to serve it, unpickles its estimator: that needs somebody's word
    (`cd4ml model trust`). The same folder again is the same version.

    Args:
        project: Whose model.
        folder: With a file `MLmodel` in it.
        name: The registered model.
        actor: Who brings it.

    Raises:
        InvalidInput: If the folder has no such file, or the name is no name.
        NotFound: If the actor is not known.
    """
    require_model_name(name)
    if not (folder / FILE).is_file():
        msg = f"{folder} is no MLmodel folder: it has no file {FILE}"
        raise InvalidInput(msg, hint="mlflow.sklearn.save_model(...) makes one")
    with project.database.read() as connection:
        people.actor(connection, actor)
    files = stored_files(project, folder)
    listed = project.blobs.put_record(model_files(project, name, files))
    with project.database.write() as connection:
        for known in rows.find(connection, ModelVersion, model=name, logged=listed):
            if known.deleted_at is None:
                return known
        return registry.add_version(
            connection,
            name,
            logged=listed,
            source=folder.name,
            why=f"brought from the MLmodel folder {folder.name}",
            by=actor,
            at=project.clock.now(),
        )


def stored_files(project: Project, folder: Path) -> dict[str, str]:
    """Store the files below a folder; path -> content address."""
    return {
        path.relative_to(folder).as_posix(): project.blobs.put_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _contract(told: ModelFile, name: str) -> Contract | None:
    try:
        return told.contract(name)
    except InvalidInput:  # a column that no request carries: the model is kept, and not served
        return None


def _sample(
    project: Project, told: ModelFile, contract: Contract, files: Mapping[str, str]
) -> pl.DataFrame | None:
    """The input example as rows of requests; None if there is none that fits the contract."""
    from cd4ml.models.frames import to_frame

    if told.example not in files:
        return None
    try:
        example = json.loads(project.blobs.get(files[told.example]))
        at = [example["columns"].index(field) for field in contract.names]
        return to_frame(contract, [[row[i] for i in at] for row in example["data"]])
    except (ValueError, KeyError, TypeError, IndexError, InvalidInput):
        return None


def _stored(project: Project, sample: pl.DataFrame) -> str:
    from cd4ml.pipeline.storage import parquet

    return project.blobs.put(parquet(sample))
