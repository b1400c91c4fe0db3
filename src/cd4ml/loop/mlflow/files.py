"""Files of runs, logged models and versions: put, fetched, listed, removed.

Bytes are stored under their digest before anything names them; what a client was told is
stored is on disk.
"""

from __future__ import annotations

import posixpath
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.engines.mlflow import messages
from cd4ml.engines.mlflow.entities import FileInfo
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop.mlflow.ids import run_of
from cd4ml.loop.mlflow.places import Held, Place, held_at, listed, place_in, put_file, remove_files
from cd4ml.loop.mlflow.told import ARTIFACTS

if TYPE_CHECKING:
    from cd4ml.store.project import Project

_MOST_PARTS = 10_000


def arriving(project: Project) -> Path:
    """A new file for bytes that arrive; who asks for it removes it."""
    folder = project.state / "cache" / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / secrets.token_hex(16)


def require_place(project: Project, path: str) -> Place:
    """The place of a file that may be put, before its bytes are read.

    Raises:
        NotFound: If there is no such run or model.
    """
    place = place_in(path)
    with project.database.read() as connection:
        held_at(project, connection, place)
    return place


def put(project: Project, path: str, content: bytes | Path) -> None:
    """Store a file under a path of the artifact proxy.

    Raises:
        NotFound: If there is no such run or model.
        Conflict: If nobody writes there.
    """
    place = place_in(path)
    if isinstance(content, Path):
        held = Held(project.blobs.put_file(content), content.stat().st_size)
    else:
        held = Held(project.blobs.put(content), len(content))
    with project.database.write() as connection:
        put_file(connection, place, held, at=project.clock.now())


def fetch(project: Project, path: str) -> Path:
    """A local file with the bytes at a path of the artifact proxy, verified.

    Raises:
        NotFound: If nothing lies there.
        Corrupted: If what is stored has another digest.
    """
    place = place_in(path)
    with project.database.read() as connection:
        files = held_at(project, connection, place)
    if place.path not in files:
        msg = f"there is no file {place.path!r} in {place.root}"
        raise NotFound(msg, hint=_known(files, place.path))
    return project.blobs.path(files[place.path].address)


def remove(project: Project, path: str) -> dict[str, object]:
    """Forget a file, or what lies in a folder.

    Raises:
        NotFound: If there is no such run or model, or nothing lies there.
        Conflict: If nobody writes there.
    """
    place = place_in(path)
    with project.database.write() as connection:
        n_removed = remove_files(connection, place)
    if n_removed == 0 and place.path:
        raise NotFound(f"there is no file {place.path!r} in {place.root}")
    return {}


def list_files(project: Project, asked: messages.ListFiles, actor: str) -> dict[str, object]:
    """What lies in a folder of the artifact proxy; names without the folder's.

    Raises:
        NotFound: If there is no such run, model or version.
    """
    place = place_in(asked.path)
    return {"files": _in(project, place)}


def list_run_artifacts(
    project: Project, asked: messages.ListArtifacts, actor: str
) -> dict[str, object]:
    """The artifacts of a run in a folder; with whole paths.

    Raises:
        NotFound: If there is no such run.
    """
    with project.database.read() as connection:
        run_of(connection, asked.run)
    place = place_in(f"runs/{asked.run}/artifacts/{asked.path}")
    return {"root_uri": place.root, "files": _with_paths(_in(project, place), place.path)}


def list_model_artifacts(
    project: Project, asked: messages.ListModelArtifacts, actor: str
) -> dict[str, object]:
    """The files of a logged model in a folder; with whole paths.

    Raises:
        NotFound: If there is no such model.
    """
    place = place_in(f"models/{asked.model_id}/artifacts/{asked.artifact_directory_path}")
    return {"root_uri": place.root, "files": _with_paths(_in(project, place), place.path)}


def begin_upload(project: Project, path: str, asked: messages.CreateUpload, base: str) -> object:
    """A large file is to come in parts, each to an address of its own.

    Whoever knows such an address may send that part: it is not to be guessed.

    Args:
        project: Open.
        path: Of the folder, as the artifact proxy names it.
        asked: What the client says of the file.
        base: The server's address, before which a part's path stands.

    Raises:
        NotFound: If there is no such run or model.
        InvalidInput: If it has too many parts.
    """
    if not 1 <= asked.num_parts <= _MOST_PARTS:
        raise InvalidInput(f"expected 1 to {_MOST_PARTS:,} parts, got {asked.num_parts:,}")
    require_place(project, _uploaded(path, asked.path))
    folder = arriving(project)
    folder.mkdir()
    url = f"{base}/api/2.0/mlflow-artifacts/mpu/parts/{folder.name}"
    credentials = [
        {"url": f"{url}/{number}", "part_number": number, "headers": {}}
        for number in range(1, asked.num_parts + 1)
    ]
    return {"upload_id": folder.name, "credentials": credentials}


def part_of(project: Project, upload: str, number: int) -> Path:
    """Where a part of an upload goes.

    Raises:
        NotFound: If there is no such upload.
    """
    return _upload(project, upload) / str(number)


def complete_upload(project: Project, path: str, asked: messages.CompleteUpload) -> object:
    """All parts have arrived: the file is stored.

    Raises:
        NotFound: If there is no such upload.
        InvalidInput: If a part is missing.
    """
    folder = _upload(project, asked.upload_id)
    parts = [folder / str(part.part_number) for part in asked.parts]
    missing = [part.name for part in parts if not part.is_file()]
    if missing or not parts:
        raise InvalidInput(f"parts {', '.join(missing) or 'of the file'} have not arrived")
    whole = folder / "whole"
    with whole.open("wb") as file:
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, file)
    put(project, _uploaded(path, asked.path), whole)
    shutil.rmtree(folder)
    return {}


def abort_upload(project: Project, path: str, asked: messages.AbortUpload) -> object:
    """The parts that have arrived are of no use.

    Raises:
        NotFound: If there is no such upload.
    """
    shutil.rmtree(_upload(project, asked.upload_id))
    return {}


def root_of_run(id: str) -> str:
    """Where a client finds the artifacts of a run."""
    return f"{ARTIFACTS}/runs/{id}/artifacts"


def _in(project: Project, place: Place) -> list[FileInfo]:
    with project.database.read() as connection:
        files = held_at(project, connection, place)
    return listed(((path, held.n_bytes) for path, held in files.items()), place.path)


def _with_paths(files: list[FileInfo], folder: str) -> list[FileInfo]:
    return [
        FileInfo(
            path=posixpath.join(folder, each.path), is_dir=each.is_dir, file_size=each.file_size
        )
        for each in files
    ]


def _upload(project: Project, upload: str) -> Path:
    folder = project.state / "cache" / "uploads" / upload
    if not (upload.isalnum() and folder.is_dir()):
        raise NotFound(f"no upload {upload!r:.80}", hint="it was completed, or given up")
    return folder


def _uploaded(folder: str, local: str) -> str:
    """The path of the file that a client calls by its path on its own machine."""
    return posixpath.join(folder, local.replace("\\", "/").rpartition("/")[2])


def _known(files: dict[str, Held], path: str) -> str:
    folder = path.rpartition("/")[0]
    names = [each.path for each in listed(((name, 0) for name in files), folder)]
    return f"in its folder: {', '.join(names[:10]) or 'nothing'}"
