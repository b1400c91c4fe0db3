"""The files of a logged model, listed among those of its run."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from cd4ml.loop.candidate import LISTED
from cd4ml.models.files import ModelFiles
from cd4ml.records.run import Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import lineage
from cd4ml.store.address import canonical
from cd4ml.store.blobs import Blobs
from cd4ml.store.tracking.logged import log_artifacts


class Listing(NamedTuple):
    """A model's files, where the list of them is kept, and how large each is."""

    files: ModelFiles
    address: str
    sizes: dict[str, int]


def listing(blobs: Blobs, files: ModelFiles, sizes: dict[str, int]) -> Listing:
    """The list of a model's files, kept.

    Args:
        blobs: Where.
        files: All of them, in the blobs already.
        sizes: Of each, in bytes.
    """
    return Listing(files, blobs.put_record(files), {**sizes, LISTED: len(canonical(files))})


def write_listing(
    connection: sa.Connection, run: Run, name: str, listed: Listing, *, at: datetime
) -> None:
    """Note a model's files as artifacts of a run, below the model's name."""
    artifacts = [
        RunArtifact(
            run=run.number,
            path=f"{name}/{path}",
            address=address,
            n_bytes=listed.sizes[path],
            logged_at=at,
        )
        for path, address in {**listed.files.files, LISTED: listed.address}.items()
    ]
    log_artifacts(connection, artifacts)
    lineage.note(
        connection, address=listed.address, kind="model files", name=f"{name} of {run.ref}", at=at
    )
    lineage.link(connection, listed.address, run.ref, "output")
