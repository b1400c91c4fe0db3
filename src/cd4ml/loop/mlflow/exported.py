"""A model version as the folder that MLflow loads."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from cd4ml.engines.mlflow.mlmodel import PICKLE, model_file
from cd4ml.engines.mlflow.pickled import modules_of
from cd4ml.errors import InvalidInput
from cd4ml.models.files import ModelFiles
from cd4ml.models.manifest import CONTRACT, ESTIMATOR, Manifest
from cd4ml.models.own_code import CODE, OwnCode
from cd4ml.records.contract import Contract
from cd4ml.records.logged_model import LoggedModelFile
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.project import Project

# what an estimator may name and still be loaded by whoever has scikit-learn
_PLAIN = {"builtins", "copyreg", "collections", "functools", "numpy", "scipy", "sklearn"}
_PLAIN |= {"_operator", "operator", "polars", "joblib", "_loss", "__builtin__"}

Files = dict[str, tuple[str, int]]


def version_files(project: Project, version: ModelVersion) -> Files:
    """The files of a version's folder: as they were logged, or made of what was packaged.

    Returns:
        Path -> content address and size in bytes; empty if it has neither.
    """
    if version.logged:
        files = project.blobs.get_record(version.logged, ModelFiles).files
        sizes = _sizes(project, set(files.values()))
        return {path: (address, sizes.get(address, 0)) for path, address in files.items()}
    if version.artifact:
        made_at = version.created_at.strftime("%Y-%m-%d %H:%M:%S.%f")
        return _made(project.blobs, version.artifact, version.ref, version.run, made_at)
    return {}


def export_version(project: Project, ref: str, folder: Path) -> list[str]:
    """Write a version's folder for MLflow; returns the paths written.

    Args:
        project: Open.
        ref: `delay/3`, `delay@champion`, or `delay` for the newest one.
        folder: Made; must not hold anything.

    Raises:
        NotFound: If there is no such version.
        InvalidInput: If the folder holds something, or the version has no files yet.
    """
    from cd4ml.models import registry

    with project.database.read() as connection:
        version = registry.find_version(connection, ref)
    files = version_files(project, version)
    if not files:
        raise InvalidInput(
            f"{version.ref} has no files yet", hint=f"cd4ml model package {version.ref}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"{folder} holds something already"
        raise InvalidInput(msg, hint="name a folder that does not exist")
    for path, (address, _) in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(project.blobs.get(address))
    return sorted(files)


def _sizes(project: Project, addresses: set[str]) -> dict[str, int]:
    """How large files are that were logged; those that came another way are left out."""
    found: dict[str, int] = {}
    with project.database.read() as connection:
        for kind in (LoggedModelFile, RunArtifact):
            table = TABLES[kind]
            known = sa.select(table.c.address, table.c.n_bytes).distinct()
            known = known.where(table.c.address.in_(sorted(addresses)))
            found |= {row.address: row.n_bytes for row in connection.execute(known)}
    return found


@lru_cache(maxsize=64)
def _made(blobs: Blobs, artifact: str, ref: str, run: int, made_at: str) -> Files:
    manifest = blobs.get_record(artifact, Manifest)
    contract = blobs.get_record(manifest.files[CONTRACT], Contract)
    if manifest.estimator_file != ESTIMATOR:
        msg = f"{ref} is kept as {manifest.estimator_file}, and MLflow is given pickles only"
        raise InvalidInput(msg, hint=f"cd4ml package {ref} --wheel takes it away")
    estimator = blobs.get(manifest.estimator)
    texts = model_file(
        contract,
        python=platform.python_version(),
        libraries={
            name: version
            for name, version in manifest.libraries.items()
            if name in ("scikit-learn", "numpy", "polars")
        },
        facts={"cd4ml_version": ref, "cd4ml_run": f"run/{run}", "cd4ml_artifact": artifact},
        n_bytes=len(estimator),
        made_at=made_at,
        is_sklearn=modules_of(estimator) <= _PLAIN,
    )
    if CODE in manifest.files:  # MLflow lets Python look into this folder
        own = blobs.get_record(manifest.files[CODE], OwnCode).modules
        texts |= {f"code/{path}": text.encode() for path, text in own.items()}
    files = {path: (blobs.put(text), len(text)) for path, text in texts.items()}
    return files | {PICKLE: (manifest.estimator, len(estimator))}
