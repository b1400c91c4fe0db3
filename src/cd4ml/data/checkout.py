"""A version's files, laid out in a folder again."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.data.manifest import Manifest, manifest_of, told_by_name
from cd4ml.data.names import inside, written
from cd4ml.data.versions import left_in_place, paths_of
from cd4ml.errors import AlreadyExists, NotFound, Unavailable
from cd4ml.records.dataset import DataFile, DatasetVersion
from cd4ml.store.file_store import NotHeld

if TYPE_CHECKING:
    from cd4ml.store.file_store import FileStore

_HINTED = 5  # names of files in a hint
_MODE = 0o644


def checkout(store: FileStore, version: DatasetVersion, target: Path) -> Manifest:
    """Lay a version's files out in a new folder: all of them, or nothing.

    Args:
        store: Where the bytes are.
        version: Which version.
        target: A folder that does not exist, or has nothing in it.

    Raises:
        AlreadyExists: If something is there.
        NotFound: If bytes are no longer kept.
        Corrupted: If they are not what was stored, or the manifest names a file outside.
        Unavailable: If the folder cannot be written to, for instance because it is full.
    """
    manifest = manifest_of(store.blobs, version)
    names = [inside(file.path) for file in manifest.files]
    folders = [inside(folder) for folder in manifest.folders]
    if target.is_symlink() or (target.exists() and not _is_empty_folder(target)):
        msg = f"{target} exists and is not empty"
        raise AlreadyExists(msg, hint="choose a new folder, or empty it")
    with _unfinished(target) as fresh:
        for folder in folders:
            (fresh / folder).mkdir(parents=True, exist_ok=True)
        with told_by_name(version.ref, manifest.files):
            _lay_out(store, version, manifest, names, fresh)
    return manifest


def file_of(store: FileStore, version: DatasetVersion, path: str) -> Path:
    """A local, verified file with the bytes of one file of a version.

    Raises:
        NotFound: If the version has no such file, or its bytes are no longer kept.
        Corrupted: If they are not what was stored.
    """
    manifest = manifest_of(store.blobs, version)
    for file in manifest.files:
        if file.path in (path, written(path)):
            return paths_of(store, version, Manifest(files=(file,)))[0]
    names = [file.path for file in manifest.files]
    shown = ", ".join(names[:_HINTED]) + (", ..." if len(names) > _HINTED else "")
    msg = f"{version.ref} has no file {path!r}"
    raise NotFound(msg, hint=f"it has {len(names):,}: {shown}")


def _lay_out(
    store: FileStore, version: DatasetVersion, manifest: Manifest, names: list[str], fresh: Path
) -> None:
    places = store.held([file.digest for file in manifest.files])
    wanted: dict[str, list[str]] = {}
    for file, name in zip(manifest.files, names, strict=True):
        if file.digest in places:
            wanted.setdefault(file.digest, []).append(name)
        else:
            _copy(_elsewhere(store, version, file), fresh / name)
    for digest, place in places.items():
        if not store.lies_alone(place):
            continue
        (path,) = store.paths([digest])
        for name in wanted.pop(digest):
            _copy(path, fresh / name)
    for place, data in store.read(places[digest] for digest in wanted):
        for name in wanted[place.digest]:
            _write(data, fresh / name)


def _elsewhere(store: FileStore, version: DatasetVersion, file: DataFile) -> Path:
    if version.place:
        return left_in_place(store, version, file)
    raise NotHeld(file.digest)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(_MODE)


def _write(data: bytes, target: Path) -> None:
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A folder beside the target, which takes its place when the block has ended well."""
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        yield fresh
        if target.exists():
            target.rmdir()
        fresh.rename(target)
    except OSError as error:
        msg = f"{written(str(target))} cannot be written: {error.strerror or error}"
        raise Unavailable(msg, hint="is there room, and may this user write there?") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
