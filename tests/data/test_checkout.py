"""What was added is laid out again byte for byte, or not at all."""

import os
import re
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cd4ml.data.checkout import checkout, file_of
from cd4ml.data.manifest import Manifest
from cd4ml.errors import AlreadyExists, Corrupted, NotFound, Unavailable
from cd4ml.records.dataset import DataFile, DatasetVersion
from cd4ml.store.address import address_of
from tests.data.folders import add, content, lay_out, objects

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore

NAMES = st.binary(min_size=1, max_size=8).map(lambda name: re.sub(rb"[\0/.]", b"_", name))
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map(b"/".join),
    st.none() | st.binary(max_size=50),
    min_size=1,
    max_size=8,
).filter(lambda tree: any(data is not None for data in tree.values()))


def plant(folder: Path, tree: dict[bytes, bytes | None]) -> None:
    """Files with their bytes, and empty folders (None), as far as names do not collide."""
    folder.mkdir()
    for name, data in sorted(tree.items()):
        path = folder / os.fsdecode(name)
        if any(parent.is_file() for parent in path.parents) or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tree=TREES)
def test_every_tree_comes_back_byte_for_byte(
    local_database: "Database", local_store: "FileStore", now: datetime, tree: dict[bytes, bytes]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plant(folder / "in", tree)
        if not any(data is not None for data in content(folder / "in").values()):
            return
        version = add(local_database, local_store, folder / "in", at=now)

        checkout(local_store, version, folder / "out")

        assert content(folder / "out") == content(folder / "in")


@pytest.mark.parametrize("keeping", ["copy", "reference"])
def test_on_every_store_it_is_laid_out_as_it_was(
    database: "Database", file_store: "FileStore", tmp_path: Path, now: datetime, keeping: str
) -> None:
    root = lay_out(
        tmp_path / "in", a=b"", b__c=b"same", b__d=b"same", large=os.urandom(400_000),
        **{os.fsdecode(b"caf\xe9\n"): b"odd"},
    )  # fmt: skip
    (root / "empty" / "folder").mkdir(parents=True)
    version = add(database, file_store, root, at=now, keeping=keeping)

    manifest = checkout(file_store, version, tmp_path / "new" / "out")

    assert content(tmp_path / "new" / "out") == content(root)
    assert len(manifest.files) == 5
    assert os.listdir(tmp_path / "new") == ["out"]
    assert (tmp_path / "new" / "out" / "a").stat().st_mode & 0o777 == 0o644
    path = file_of(file_store, version, os.fsdecode(b"caf\xe9\n"))
    assert path.read_bytes() == b"odd"
    assert file_of(file_store, version, "caf\\xe9\n").read_bytes() == b"odd"
    with pytest.raises(NotFound) as missing:
        file_of(file_store, version, "b")
    assert str(missing.value) == (
        "pictures@1 has no file 'b'\n  hint: it has 5: a, b/c, b/d, caf\\xe9\n, large"
    )


def test_nothing_that_exists_is_touched(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    version = add(local_database, local_store, lay_out(tmp_path / "in", a=b"1"), at=now)
    lay_out(tmp_path, full__x=b"", file=b"")
    (tmp_path / "void").mkdir()
    (tmp_path / "link").symlink_to("void")

    for name in ("full", "file", "link"):
        with pytest.raises(AlreadyExists) as refused:
            checkout(local_store, version, tmp_path / name)
        assert refused.value.message == f"{tmp_path / name} exists and is not empty"
    checkout(local_store, version, tmp_path / "void")

    assert content(tmp_path / "void") == {b"a": b"1"}
    assert content(tmp_path / "full") == {b"x": b""}


@pytest.mark.parametrize(
    "path", ["/etc/cd4ml", "../out", "a/../../out", r"\x2e\x2e/out", "", "a//b", "nul\0"]
)
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_manifest_that_names_what_lies_outside_is_not_laid_out(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime,
    path: str, is_folder: bool,
) -> None:  # fmt: skip
    version = add(local_database, local_store, lay_out(tmp_path / "in", a=b"1"), at=now)
    file = DataFile(path="a" if is_folder else path, size=1, digest=address_of(b"1"))
    manifest = Manifest(files=(file,), folders=(path,) if is_folder else ())
    forged = msgspec.structs.replace(version, digest=local_store.blobs.put_record(manifest))

    with pytest.raises(Corrupted, match="expected the name of a file below its folder"):
        checkout(local_store, forged, tmp_path / "target" / "out")

    assert not (tmp_path / "target").exists()


def test_a_manifest_whose_names_collide_leaves_nothing(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    version = add(local_database, local_store, lay_out(tmp_path / "in", a=b"1"), at=now)
    files = tuple(DataFile(path=p, size=1, digest=address_of(b"1")) for p in ("a", "a/b"))
    digest = local_store.blobs.put_record(Manifest(files=files))

    with pytest.raises(Unavailable):
        checkout(local_store, msgspec.structs.replace(version, digest=digest), tmp_path / "out")

    assert (
        sorted(os.listdir(tmp_path)) == ["blobs", "cache", "cd4ml.db", "in"]
        or not (tmp_path / "out").exists()
    )


def damaged(
    database: "Database", store: "FileStore", tmp_path: Path, now: datetime
) -> DatasetVersion:
    root = lay_out(tmp_path / "in", a=b"1", b=os.urandom(400_000))
    version = add(database, store, root, at=now)
    for name in objects(store):
        path = store.objects.path(name)
        assert path is not None
        path.chmod(0o644)
        path.write_bytes(b"2")
    return version


def test_damaged_bytes_are_not_laid_out(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    version = damaged(local_database, local_store, tmp_path, now)

    with pytest.raises(Corrupted):
        checkout(local_store, version, tmp_path / "new" / "out")

    assert os.listdir(tmp_path / "new") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk that is full soon")
def test_a_full_disk_leaves_nothing(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    root = lay_out(tmp_path / "in", **{f"{i}": os.urandom(200_000) for i in range(10)})
    version = add(local_database, local_store, root, at=now)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "cd4ml-test", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        with pytest.raises(Unavailable) as refused:
            checkout(local_store, version, disk / "out")
        assert os.listdir(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)

    assert str(refused.value) == (
        f"{disk}/out cannot be written: No space left on device\n"
        "  hint: is there room, and may this user write there?"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_a_target_that_may_not_be_written_to_is_named(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    version = add(local_database, local_store, lay_out(tmp_path / "in", a=b"1"), at=now)

    with pytest.raises(Unavailable, match=r"/proc/cd4ml/out cannot be written: "):
        checkout(local_store, version, Path("/proc/cd4ml/out"))
