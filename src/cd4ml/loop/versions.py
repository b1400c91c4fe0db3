"""What can be done with the versions of a dataset: list, name, lay out, check, remove."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from cd4ml.data.checkout import checkout as lay_out
from cd4ml.data.checkout import file_of
from cd4ml.data.manifest import Manifest, manifest_of
from cd4ml.data.refs import find_version, remove_tag, set_tag
from cd4ml.data.removal import Removal, remove
from cd4ml.data.verification import Verification
from cd4ml.data.verification import verify as read_again
from cd4ml.errors import InvalidInput
from cd4ml.loop.access import admit, may_read, without_values
from cd4ml.records.dataset import Dataset, DatasetVersion, RemovedVersion, Tag
from cd4ml.store import people, rows
from cd4ml.store.project import Project


class LoggedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version in a dataset's log, with the tags it has and whether it was removed."""

    version: DatasetVersion
    tags: tuple[str, ...]
    removed: RemovedVersion | None


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """Which version was laid out where."""

    version: str
    folder: str
    n_files: int
    n_bytes: int


def log(
    project: Project, name: str, *, limit: int | None = None, actor: str = ""
) -> list[LoggedVersion]:
    """The versions of a dataset, the newest first.

    Who may not read it sees no value of it; "" is nobody in particular.

    Raises:
        NotFound: If there is no such dataset.
    """
    with project.database.read() as connection:
        rows.get(connection, Dataset, name)
        sees = may_read(connection, project, name, actor)
        tags = rows.find(connection, Tag, dataset=name)
        removed = {
            each.number: each for each in rows.find(connection, RemovedVersion, dataset=name)
        }
        return [
            LoggedVersion(
                version=version if sees else without_values(version),
                tags=tuple(tag.name for tag in tags if tag.number == version.number),
                removed=removed.get(version.number),
            )
            for version in rows.find(
                connection, DatasetVersion, dataset=name, newest_first=True, limit=limit
            )
        ]


def tag(project: Project, ref: str, name: str, *, actor: str) -> Tag:
    """Give a version a name, which another version may have had before.

    Raises:
        NotFound: If there is no such version.
        InvalidInput: If the name could be taken for a number or a date.
    """
    with project.database.write() as connection:
        people.actor(connection, actor)
        version = find_version(connection, ref)
        return set_tag(connection, version, name, at=project.clock.now(), actor=actor)


def untag(project: Project, dataset: str, name: str, *, actor: str) -> str:
    """Take a name away from its version; returns the name.

    Raises:
        NotFound: If there is no such tag.
    """
    with project.database.write() as connection:
        people.actor(connection, actor)
        remove_tag(connection, dataset, name, at=project.clock.now(), actor=actor)
    return name


def checkout(project: Project, ref: str, *, to: Path, actor: str) -> Checkout:
    """Lay a version's files out in a new folder: all of them, or nothing.

    Raises:
        NotFound: If there is no such version, or its bytes are no longer kept.
        NotAllowed: If the dataset is restricted and the actor has none of its roles.
        AlreadyExists: If the folder has something in it.
        Corrupted: If the bytes are not what was stored.
    """
    with project.database.read() as connection:
        version = find_version(connection, ref)
    admit(project, version, actor=actor, why=f"laid out in {to}")
    lay_out(project.files, version, to)
    return Checkout(
        version=version.ref, folder=str(to), n_files=version.n_files, n_bytes=version.n_bytes
    )


def get(project: Project, ref: str, path: str, *, actor: str) -> Path:
    """A local, verified file with the bytes of one file of a version.

    Raises:
        NotFound: If there is no such version or file.
        NotAllowed: If the dataset is restricted and the actor has none of its roles.
        Corrupted: If the bytes are not what was stored.
    """
    with project.database.read() as connection:
        version = find_version(connection, ref)
    admit(project, version, actor=actor, why=f"the file {path}")
    return file_of(project.files, version, path)


def files(project: Project, ref: str) -> Manifest:
    """The files that a version consists of, with sizes and digests.

    Raises:
        NotFound: If there is no such version, or its manifest is no longer there.
        Corrupted: If the manifest is not what was stored.
    """
    with project.database.read() as connection:
        version = find_version(connection, ref)
    return manifest_of(project.blobs, version)


def gc(
    project: Project, *, keep: int | None = None, is_rehearsed: bool = False, actor: str
) -> Removal:
    """Remove versions that need not be kept, and bytes that nothing needs.

    Args:
        project: Whose data.
        keep: How many of the newest versions of every dataset are kept; as `cd4ml.toml`
            says for each by default.
        is_rehearsed: Only say what would be removed.
        actor: Who.

    Raises:
        InvalidInput: If fewer than one version would be kept.
    """
    if keep is not None and keep < 1:
        msg = f"expected to keep at least the newest version of each dataset, got {keep}"
        raise InvalidInput(msg, hint="--keep 1")
    with project.database.read() as connection:
        people.actor(connection, actor)
        names = [dataset.name for dataset in rows.find(connection, Dataset)]
    kept = {name: each.keep for name, each in project.settings.data.items() if each.keep}
    if keep is not None:
        kept = dict.fromkeys(names, keep)
    return remove(
        project.database,
        project.files,
        keep=kept,
        at=project.clock.now(),
        actor=actor,
        is_rehearsed=is_rehearsed,
    )


def verify(
    project: Project,
    ref: str = "",
    *,
    tell: Callable[[int, int], None] = lambda done, total: None,
    actor: str = "",
) -> Verification:
    """Read the bytes of a version, or of all versions of a dataset or of all, again.

    Args:
        project: Whose data.
        ref: A version or a dataset; all of them without it.
        tell: Called with how many files are done, and of how many.
        actor: Who, where somebody has to be known to ask for it.

    Raises:
        NotFound: If there is no such dataset, version or actor.
    """
    with project.database.read() as connection:
        if actor:
            people.actor(connection, actor)
        versions = _asked(project, ref)
        removed = {(each.dataset, each.number) for each in rows.find(connection, RemovedVersion)}
    there = [each for each in versions if (each.dataset, each.number) not in removed]
    found = read_again(project.database, project.files, there, tell=tell)
    with project.database.read() as connection:
        later = {(each.dataset, each.number) for each in rows.find(connection, RemovedVersion)}
    kept = [each for each in there if (each.dataset, each.number) not in later]
    if found.damaged and len(kept) < len(there):  # what `gc` removes meanwhile is no damage
        return read_again(project.database, project.files, kept, tell=tell)
    return found


def _asked(project: Project, ref: str) -> list[DatasetVersion]:
    with project.database.read() as connection:
        if "@" in ref:
            return [find_version(connection, ref)]
        if ref:
            rows.get(connection, Dataset, ref)
            return rows.find(connection, DatasetVersion, dataset=ref)
        return rows.find(connection, DatasetVersion)
