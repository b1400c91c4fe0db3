"""The data that a run took, found again by what it recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.data.manifest import manifest_of
from cd4ml.data.partition import key_digest
from cd4ml.data.refs import find_version
from cd4ml.data.versions import paths_of
from cd4ml.loop.cut import Cut
from cd4ml.loop.known import digest_at
from cd4ml.loop.rebuild_plan import Rows
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.run import Run

if TYPE_CHECKING:
    from cd4ml.store.project import Project


def versions_of(project: Project, run: Run) -> list[DatasetVersion]:
    """The dataset versions that a run took.

    Raises:
        NotFound: If one was removed.
    """
    with project.database.read() as connection:
        return [find_version(connection, ref) for ref in run.refs.values() if _is_numbered(ref)]


def datasets_of(project: Project, run: Run) -> dict[str, Rows]:
    """Name -> the rows that a run took of it, with local and verified files.

    Raises:
        NotFound: If a version, or bytes of it, are no longer there.
        Corrupted: If they are not what was stored.
    """
    return {name: _rows(project, run, name, ref) for name, ref in run.refs.items()}


def cut_of(project: Project, run: Run) -> Cut | None:
    """The key that a run was made for, with the datasets that were cut; None if it had all rows.

    Raises:
        NotFound: If a version is no longer there.
    """
    column, _, key = run.partition.partition("=")
    if not run.partition:
        return None
    # what production had not filled yet had no rows to be cut: it is from now on
    names = [
        name
        for name, ref in run.refs.items()
        if not _is_numbered(ref) or _is_cut(project, run, name, _version(project, ref))
    ]
    return Cut(column, key, tuple(names))


def _rows(project: Project, run: Run, name: str, ref: str) -> Rows:
    if not _is_numbered(ref):  # production had not filled it yet
        return Rows(ref=ref, digest=run.datasets[name])
    version = _version(project, ref)
    manifest = manifest_of(project.blobs, version)
    paths = paths_of(project.files, version, manifest)
    column, _, key = run.partition.partition("=")
    return Rows(
        ref=ref,
        digest=run.datasets[name],
        paths=tuple(str(path.absolute()) for path in paths),
        reading=manifest.reading,
        contract=_contract(project, version) if run.as_of else None,
        as_of=run.as_of,
        partition=(column, key) if _is_cut(project, run, name, version) else None,
    )


def _version(project: Project, ref: str) -> DatasetVersion:
    with project.database.read() as connection:
        return find_version(connection, ref)


def _is_cut(project: Project, run: Run, name: str, version: DatasetVersion) -> bool:
    """Whether a run of a key took that key's rows of a version alone."""
    column, _, key = run.partition.partition("=")
    whole = version.digest if run.as_of is None else digest_at(project, version, run.as_of)
    return bool(run.partition) and run.datasets[name] == key_digest(whole, column, key)


def _contract(project: Project, version: DatasetVersion) -> Contract | None:
    if not version.contract:
        return None
    return project.blobs.get_record(version.contract, Contract)


def _is_numbered(ref: str) -> bool:
    return ref.partition("@")[2].isdigit()
