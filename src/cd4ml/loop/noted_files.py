"""The files and folders that a run depended on, with the content that it read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cd4ml.data.files import files_of
from cd4ml.data.manifest import Manifest, manifest_of
from cd4ml.data.refs import find_version
from cd4ml.data.versions import newest_version
from cd4ml.pipeline import notes, signs
from cd4ml.pipeline.dependencies import digest_of_place, places_of
from cd4ml.pipeline.named_folders import files_in_folder
from cd4ml.pipeline.origin import revision_for
from cd4ml.pipeline.signs import Sign
from cd4ml.pipeline.status import Asked
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.run import Run
from cd4ml.store.address import address_of
from cd4ml.store.project import FILE, Project
from cd4ml.store.settings import read_settings

if TYPE_CHECKING:
    from cd4ml.loop.run_report import RunReport
    from cd4ml.pipeline.run import Pipeline


_LOCKS = ("uv.lock", "pylock.toml", "requirements*.txt")


class Unclear(Exception):
    """Something that decides cannot be checked from outside."""


def code_of(project: Project, pipeline: Pipeline, begun_ns: int) -> dict[str, Sign]:
    """The files that the pipeline was read from, and the folders that they were found in."""
    settings = project.folder / FILE
    now, before = pipeline.sources, pipeline.sources.seen
    if now.state() != before or read_settings(settings) != project.settings:
        raise Unclear  # edited meanwhile
    found = {path: signs.sign(path, "file", digest) for path, digest in now.seen.items()}
    found[str(settings)] = signs.sign(str(settings), "file")
    for path in (*_contract_files(project), *_lock_files(project.folder)):
        found[path] = signs.sign(path, "file")
    for path in pipeline.code_files():
        if path not in found:
            found[path] = signs.sign(path, "file")
    for path, each in found.items():
        if not each.stamp or max(each.stamp[1:3]) >= begun_ns:
            raise Unclear(path)  # written to since: what was read is not known
    is_any_file = now.may_appear() or any(step.is_command for step in pipeline.graph.steps)
    found |= signs.signed(map(str, now.folders()), "folder" if is_any_file else "code")
    found |= signs.signed(map(str, now.absent()), "absent")
    for place in dict.fromkeys(os.path.abspath(each) for each in sys.path):
        kind: signs.Kind = "code" if os.path.isdir(place) else "file"
        found[place] = signs.sign(place, kind if os.path.exists(place) else "absent")
    return found


def read_beside(
    project: Project, read: Iterable[Mapping[str, str]], known: Mapping[str, Sign], begun_ns: int
) -> dict[str, Sign]:
    """What importing the pipeline, and its steps, were seen to read beside what code tells."""
    found = {}
    for name, (kind, digest) in places_of(read).items():
        path = str(project.folder / name)
        if kind == "folder":
            found[path] = signs.sign(path, "folder")
        elif kind == "tree":
            found |= _tree(Path(path), begun_ns)
        elif path not in known:
            found[path] = signs.sign(path, "file" if digest else "absent")
        if digest_of_place(kind, path) != digest:
            raise Unclear(path)
        if digest and max(signs.stamp_of(path)[1:3], default=begun_ns) >= begun_ns:
            raise Unclear(path)  # written to since
    return found


def _tree(top: Path, begun_ns: int) -> dict[str, Sign]:
    """A folder with all that it holds."""
    found = {str(file): signs.sign(str(file), "file") for file in files_in_folder(top)}
    if any(max(each.stamp[1:3], default=begun_ns) >= begun_ns for each in found.values()):
        raise Unclear(top)  # written to since
    for folder, _, _ in os.walk(top):
        found[folder] = signs.sign(folder, "folder")
    return found


def _contract_files(project: Project) -> Iterator[str]:
    named = [data.contract for data in project.settings.data.values()]
    for contract in (*named, project.settings.model.contract):
        path = contract.partition("#")[0]
        if Path(path).suffix.lower() in (".toml", ".yaml", ".yml"):
            yield str(project.folder / path)


def _lock_files(folder: Path) -> Iterator[str]:
    """What says which distributions belong together: a run keeps that."""
    for place in (folder, *folder.parents):
        yield from (str(path) for name in _LOCKS for path in sorted(place.glob(name)))
        if (place / ".git").exists():
            return


def data_of(project: Project, run: Run, pinned: Mapping[str, str]) -> dict[str, Sign]:
    """The files of the datasets, with the bytes that the run's versions have."""
    found: dict[str, Sign] = {}
    for name, data in project.settings.data.items():
        if data.source == "files" and name not in pinned:
            version, manifest = _version(project, name, run)
            found |= _files(project, data.path, manifest)
            if not version.place:
                found |= _objects(project, manifest)
    return found


def _version(project: Project, name: str, run: Run) -> tuple[DatasetVersion, Manifest]:
    with project.database.read() as connection:
        ref = run.refs.get(name)
        version = find_version(connection, ref) if ref else newest_version(connection, name)
    if version is None:
        raise Unclear
    return version, manifest_of(project.blobs, version)


def _files(project: Project, pattern: str, manifest: Manifest) -> dict[str, Sign]:
    known = {file.path: (file.size, file.digest) for file in manifest.files}
    listing = files_of(project.folder, pattern)
    if {file.name: file.stamp.size for file in listing.files} != {
        name: size for name, (size, _) in known.items()
    }:
        raise Unclear
    found = {
        str(file.path): Sign("file", known[file.name][1], msgspec.structs.astuple(file.stamp))
        for file in listing.files
    }
    top = _fixed(project.folder, pattern)
    for folder, _, _ in os.walk(top if os.path.isdir(top) else os.path.dirname(top)):
        found[folder] = signs.sign(folder, "folder")
        if len(found) > notes.MOST:
            raise Unclear
    return found


def tops_of(project: Project, pinned: Mapping[str, str]) -> list[str]:
    """Where the files of datasets are looked for."""
    return [
        _fixed(project.folder, data.path)
        for name, data in project.settings.data.items()
        if data.source == "files" and name not in pinned
    ]


def _fixed(folder: Path, pattern: str) -> str:
    """The part of a path before its first pattern."""
    parts = Path(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    return str(folder.joinpath(*parts[:fixed]))


def _objects(project: Project, manifest: Manifest) -> dict[str, Sign]:
    """Where a version's bytes are kept; that they still are is asked of the database."""
    folder = project.files.objects.folder
    if folder is None:
        return {}
    held = project.files.held(file.digest for file in manifest.files).values()
    return signs.signed({str(folder / each.object) for each in held}, "size")


def outputs_of(project: Project, report: RunReport) -> dict[str, Sign]:
    """The stored outputs, where they lie on this machine."""
    run = report.run
    found = {}
    for address in {*run.outputs.values(), run.environment, *([run.patch] if run.patch else [])}:
        path = str(project.blobs.path(address))
        found[path] = signs.sign(path, "file", address)
    return found


def git_of(project: Project, pipeline: Pipeline, run: Run) -> tuple[str, dict[str, Sign]]:
    """What git said, and the files that differ from the commit."""
    status = Asked(str(project.folder)).answer()
    revision = revision_for(project.folder, also=pipeline.also, data=pipeline.data)
    patch = address_of(revision.patch) if revision.is_dirty else ""
    if (revision.commit, patch) != (run.revision, run.patch):
        raise Unclear
    above = (project.folder, *project.folder.parents)
    top = next((each for each in above if (each / ".git").exists()), project.folder)
    paths = [str(top / path) for path in status.paths]
    found = {
        path: signs.sign(path, "file" if os.path.isfile(path) else "absent")
        for path in paths
        if not os.path.isdir(path)
    }
    return f"{status.commit} {status.differs}", found
