"""Take a model version away: as a wheel, or as what a container is built from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cd4ml.errors import InvalidInput, Unavailable
from cd4ml.loop.candidate import runtime_of
from cd4ml.models import registry
from cd4ml.pipeline.lock import hashes_in, lock_files
from cd4ml.serving.packaging.contents import contents_of
from cd4ml.serving.packaging.context import context_of, without_hash
from cd4ml.serving.packaging.requirements import own_locks
from cd4ml.serving.packaging.wheel import wheel, wheel_name
from cd4ml.store import ledger, lineage, people
from cd4ml.store.digest import address_of
from cd4ml.store.project import Project

if TYPE_CHECKING:
    from cd4ml.records.model_version import ModelVersion
    from cd4ml.serving.packaging.contents import Contents


class TakenAway(msgspec.Struct, frozen=True, kw_only=True):
    """A packaged version: where its files lie, and how it is used.

    `address` is the content address of the wheel; `without_hash` are requirements of a build
    context whose files nobody knows the hashes of.
    """

    ref: str
    distribution: str
    module: str
    requires: tuple[str, ...]
    address: str
    files: tuple[str, ...]
    without_hash: tuple[str, ...] = ()


def write_wheel(project: Project, ref: str, *, to: Path, name: str = "", actor: str) -> TakenAway:
    """A wheel of a version, with its contract and a typed `predict`; needs no cd4ml.

    The same version gives the same bytes, where the same libraries are installed.

    Args:
        project: Whose model.
        ref: `delay/3`, `delay@champion`, or `delay` (the newest).
        to: The folder; made if it is not there.
        name: What it is installed as; by default the model's name with "-model".
        actor: Who.

    Raises:
        NotFound: If there is no such version.
        Refused: If it is not packaged, its pickle is not trusted, or it needs code that no
            distribution brings.
        InvalidInput: If the name is none.
        Unavailable: If the folder cannot be written.
    """
    version, contents, data = _made(project, ref, name, actor)
    path = wheel_name(contents.distribution, contents.version)
    written = _write(to, {path: data})
    return _noted(project, version, contents, data, written, kind="wheel", actor=actor)


def write_context(project: Project, ref: str, *, to: Path, name: str = "", actor: str) -> TakenAway:
    """A build context for a container that serves a version as Amazon SageMaker asks for it.

    Requirements are locked as installed here, with the hashes that the project's own lock
    files and that of cd4ml have. Arguments and errors as of `write_wheel`; besides

    Raises:
        ConfigurationError: If something that the image needs is not installed here.
    """
    version, contents, data = _made(project, ref, name, actor)
    path = wheel_name(contents.distribution, contents.version)
    hashes = hashes_in([*lock_files(project.folder), *own_locks()])
    texts = context_of(contents, path, hashes)
    folder = to / f"{contents.distribution}-{contents.version}"
    written = _write(folder, {path: data} | {k: v.encode() for k, v in texts.items()})
    (folder / "serve").chmod(0o755)
    missing = tuple(without_hash(texts["requirements.txt"]))
    return _noted(
        project, version, contents, data, written, kind="oci", actor=actor, missing=missing
    )


def _made(
    project: Project, ref: str, name: str, actor: str
) -> tuple[ModelVersion, Contents, bytes]:
    with project.database.read() as connection:
        people.actor(connection, actor)
        version = registry.find_version(connection, ref)
    runtime_of(project, version)  # trusted, whole, and answering here as it was packaged
    contents = contents_of(project.blobs, version, name=name)
    data = wheel(
        contents.files,
        distribution=contents.distribution,
        version=contents.version,
        summary=f"The model {version.ref}, with its contract and a typed predict",
        description=_description(version, contents),
        requires=contents.requires,
    )
    return version, contents, data


def _description(version: ModelVersion, contents: Contents) -> str:
    fields = "\n".join(f"- `{name}`" for name in contents.contract.names)
    return (
        f"# {contents.distribution}\n\n{version.description}\n\n"
        f"The model {version.ref}, {version.artifact}.\n\n"
        f"```python\nfrom {contents.module} import predict\n```\n\n"
        f"`predict(row)` takes the fields\n\n{fields}\n"
    )


def _write(folder: Path, files: dict[str, bytes]) -> tuple[str, ...]:
    """Each file is there whole or not at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            draft = folder / f".{name}.{os.getpid()}"
            draft.write_bytes(data)
            draft.replace(folder / name)
    except FileExistsError:
        raise InvalidInput(f"{folder} is a file", hint="name a folder: --to FOLDER") from None
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror}"
        raise Unavailable(msg, hint="may this user write there, and is there room?") from None
    return tuple(str(folder / name) for name in files)


def _noted(
    project: Project,
    version: ModelVersion,
    contents: Contents,
    data: bytes,
    written: tuple[str, ...],
    *,
    kind: str,
    actor: str,
    missing: tuple[str, ...] = (),
) -> TakenAway:
    address, at = address_of(data), project.clock.now()
    with project.database.write() as connection:
        lineage.note(connection, address=address, kind="wheel", name=contents.distribution, at=at)
        lineage.link(connection, address, version.artifact, "packaged from")
        ledger.append(
            connection,
            at=at,
            actor=people.actor(connection, actor).name,
            action="model.taken away",
            subject=version.ref,
            details={"as": kind, "wheel": address, "distribution": contents.distribution},
        )
    return TakenAway(
        ref=version.ref,
        distribution=contents.distribution,
        module=contents.module,
        requires=contents.requires,
        address=address,
        files=written,
        without_hash=missing,
    )
