"""Whether the bytes of a version are still those that were judged."""

from __future__ import annotations

from cd4ml.errors import Corrupted, NotFound, Refused
from cd4ml.models.manifest import Manifest
from cd4ml.records.model_version import ModelVersion
from cd4ml.store.project import Project


def refuse_damaged(project: Project, version: ModelVersion, what: str) -> None:
    """Let no version go on of which a stored file is gone, or is another than was packaged.

    Every file is read and its digest compared; call it outside of transactions.

    Args:
        project: Whose version.
        version: One that is packaged; of others nothing can be said.
        what: What does not happen: "was not released".

    Raises:
        Refused: Naming the file.
    """
    if not version.artifact:
        return
    part = "its manifest"
    try:
        manifest = project.blobs.get_record(version.artifact, Manifest)
        for name, address in manifest.files.items():
            part = name
            project.blobs.path(address)
    except (Corrupted, NotFound) as error:
        msg = f"{version.ref} {what}: its stored model is damaged, in {part}: {error.message}"
        hint = "put the file back from a copy of the store, or train and judge it again"
        raise Refused(msg, hint=hint) from error
