"""What a run was made from, beside its data and parameters: all that is needed to make it again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.pipeline.environment import Environment, present_variables
from cd4ml.pipeline.kept_files import archive, small_files
from cd4ml.pipeline.lock import kept_lock
from cd4ml.pipeline.named_folders import files_in_folder, is_folder
from cd4ml.pipeline.revision import Revision, committed_at, revision_of

if TYPE_CHECKING:
    from cd4ml.pipeline.fingerprint import Reached
    from cd4ml.pipeline.sources import Sources
    from cd4ml.store.blobs import Blobs


class Origin(NamedTuple):
    """Where a run's code and environment are kept; the fields are those of `Run`."""

    revision: str
    committed_at: datetime | None
    is_dirty: bool
    patch: str
    folder: str
    files: str
    lock: str
    variables: dict[str, str]


def origin_of(
    sources: Sources,
    reached: Iterable[Reached],
    environment: Environment,
    *,
    also: Collection[str],
    data: Collection[str],
    state: Path,
    blobs: Blobs,
) -> Origin:
    """Keep what a run is made from, as far as no commit does, and say where.

    Args:
        sources: The project's files.
        reached: The code that each step reaches.
        environment: That of this process.
        also: Files below the project's folder that it is not a project without.
        data: The paths and patterns of its datasets, which are kept as versions instead.
        state: The project's folder for what cd4ml keeps.
        blobs: Where it is kept.
    """
    is_data = _data_files(also, data)
    revision = revision_for(sources.folder, also=also, data=data)
    needed = {*also, *_own(sources, reached, is_data)}
    if not revision.commit:
        needed.update(small_files(sources.folder, leave_out=is_data))
    files = _beyond(sources.folder, revision, needed)
    return Origin(
        revision=revision.commit,
        committed_at=committed_at(sources.folder, revision.commit),
        is_dirty=revision.is_dirty,
        patch=blobs.put(revision.patch) if revision.is_dirty else "",
        folder=revision.folder,
        files=blobs.put(archive(sources.folder, files)) if files else "",
        lock=kept_lock(environment, sources.folder, state=state, blobs=blobs),
        variables=present_variables(),
    )


def revision_for(folder: Path, *, also: Collection[str], data: Collection[str]) -> Revision:
    """The revision that a run of the project in a folder records: files of datasets are no code.

    Args:
        folder: The project's.
        also: Files below it that it is not a project without.
        data: The paths and patterns of its datasets.
    """
    return revision_of(folder, leave_out=_data_files(also, data))


def _data_files(also: Collection[str], data: Collection[str]) -> Callable[[str], bool]:
    """Whether a file, by its path below the project's folder, is that of a dataset."""
    return lambda name: name not in also and any(_is_in(name, pattern) for pattern in data)


def _own(
    sources: Sources, reached: Iterable[Reached], leave_out: Callable[[str], bool]
) -> set[str]:
    """The project's files that its steps reach, below its folder."""
    modules = {module.path.relative_to(sources.folder).as_posix() for module in sources.modules()}
    named = {name for each in reached for name in each.named if not Path(name).is_absolute()}
    within = {
        file.relative_to(sources.folder).as_posix()
        for name in named
        if is_folder(name)
        for file in files_in_folder(sources.folder / name)
    }
    return modules | named | {name for name in within if not leave_out(name)}


def _beyond(folder: Path, revision: Revision, needed: Iterable[str]) -> list[str]:
    return [name for name in needed if name not in revision.holds and (folder / name).is_file()]


def _is_in(name: str, pattern: str) -> bool:
    """Whether a file is the dataset's: its one file, below its folder, or in its glob."""
    return (
        name == pattern or name.startswith(f"{pattern.rstrip('/')}/") or fnmatchcase(name, pattern)
    )
