"""The content of files, read, stored and not yet published; a change in between is refused."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cd4ml.data import taking
from cd4ml.data.manifest import manifest_of
from cd4ml.data.snapshot import look, snapshot_files
from cd4ml.data.versions import known_version, left_in_place, paths_of, scan_version
from cd4ml.errors import Conflict, Corrupted, InvalidInput, NotFound
from tests.data.folders import add, lay_out, objects
from tests.data.tables import CSV

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore

LARGE = os.urandom(2_000_000)


def test_files_that_are_no_table_are_kept_as_what_they_are(
    database: "Database", file_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    root = lay_out(tmp_path / "in", **{"a.png": b"1", "sub__b.png": LARGE, "notes.csv": b"x,y\n1"})
    (root / "empty" / "deep").mkdir(parents=True)

    version = add(database, file_store, root, at=now)

    assert (version.kind, version.n_rows, version.columns) == ("files", 0, ())
    assert (version.n_files, version.n_bytes) == (3, 2_000_006)
    manifest = manifest_of(file_store.blobs, version)
    assert [file.path for file in manifest.files] == ["a.png", "notes.csv", "sub/b.png"]
    assert (manifest.folders, manifest.reading) == (("empty/deep",), None)
    assert len(objects(file_store)) == 2


@pytest.mark.parametrize("keeping", ["copy", "reference", "hardlink"])
def test_only_what_is_new_is_read_and_stored(
    local_database: "Database",
    local_store: "FileStore",
    tmp_path: Path,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    keeping: Any,
) -> None:
    root = lay_out(tmp_path / "in", **{f"{i:02}.png": b"%d" % i for i in range(40)}, large=LARGE)
    monkeypatch.setattr("cd4ml.data.stat_cache._RACY_NS", 0)
    add(local_database, local_store, root, at=now, keeping=keeping)
    if keeping == "hardlink":  # the link is a change: they are read once more
        add(local_database, local_store, root, at=now, keeping=keeping)
    time.sleep(0.02)
    add(local_database, local_store, root, at=now, keeping=keeping)
    before = objects(local_store)
    read: list[str] = []
    for name in ("_bytes", "_digest", "_whole"):
        function = getattr(taking, name)
        monkeypatch.setattr(
            taking, name, lambda file, *rest, f=function: read.append(file.name) or f(file, *rest)
        )
    lay_out(root, **{"07.new": b"new"})

    version = add(local_database, local_store, root, at=now, keeping=keeping)

    assert set(read) == {"07.new"}
    assert (version.number, version.n_files) == (2, 42)
    assert len(objects(local_store)) - len(before) == (0 if keeping == "reference" else 1)


def test_a_large_file_is_read_once_unless_another_may_be_the_same(
    local_database: "Database",
    local_store: "FileStore",
    tmp_path: Path,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = {"a.raw": len(LARGE), "b.raw": len(LARGE) + 1, "c.raw": len(LARGE) + 1}
    root = lay_out(tmp_path / "in", **{name: b"x" * size for name, size in sizes.items()})
    hashed: list[str] = []
    digest = taking._digest
    monkeypatch.setattr(taking, "_digest", lambda file: hashed.append(file.name) or digest(file))

    add(local_database, local_store, root, at=now)

    assert hashed == ["b.raw", "c.raw"]  # of one size: they may be one
    assert len(objects(local_store)) == 2

    lay_out(root, **{"d.raw": b"x" * len(LARGE), "e.raw": b"y" * (len(LARGE) + 2)})
    hashed.clear()
    monkeypatch.setattr("cd4ml.data.stat_cache._RACY_NS", 0)
    version = add(local_database, local_store, root, at=now)

    assert "d.raw" in hashed  # of the size of one in the store
    assert "e.raw" not in hashed
    assert (version.n_files, len(objects(local_store))) == (5, 3)


def test_an_empty_folder_more_is_another_version(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    root = lay_out(tmp_path / "in", **{"a.png": b"1"})
    first = add(local_database, local_store, root, at=now)
    (root / "empty").mkdir()

    looked = look(local_store, root, ".")
    with local_database.read() as connection:
        assert known_version(connection, "pictures", looked) is None
    second = add(local_database, local_store, root, at=now)

    assert (first.number, second.number) == (1, 2)


def shorter(path: Path) -> None:
    os.truncate(path, 10)


def same_size(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"!!")


@pytest.mark.parametrize("size", [1000, 300_000, 3_000_000])
@pytest.mark.parametrize("change", [shorter, same_size, Path.unlink])
@pytest.mark.parametrize("keeping", ["copy", "reference", "hardlink"])
@pytest.mark.parametrize("moment", ["before it is read", "while it is read", "after it was read"])
def test_a_file_that_changes_meanwhile_is_refused_and_nothing_is_left(
    local_store: "FileStore",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    change: Callable[[Path], None],
    keeping: Any,
    moment: str,
) -> None:
    root = lay_out(tmp_path / "in", **{"a.csv": b"x\n1\n", "b.csv": b"x\n" + b"1\n" * size})
    path = root / "b.csv"
    os.utime(path, ns=(1, 1))
    looked = look(local_store, root, "*.csv")
    name = {"before it is read": "_measured", "while it is read": "_taken"}.get(moment, "take")
    if moment == "after it was read" and keeping == "reference":
        name = "digests_of"
    module = sys.modules["cd4ml.data.snapshot"]
    step = getattr(module, name)

    def disturbed(*arguments: Any, **options: Any) -> Any:
        if moment != "after it was read":
            change(path)
            return step(*arguments, **options)
        done = step(*arguments, **options)
        change(path)
        return done

    monkeypatch.setattr(module, name, disturbed)
    with pytest.raises((Conflict, InvalidInput, FileNotFoundError)) as refused:
        snapshot_files(local_store, looked, keeping=keeping)

    if not isinstance(refused.value, FileNotFoundError):
        assert str(path) in refused.value.message
    assert objects(local_store) == {}
    if change is not Path.unlink:
        assert path.stat().st_mode & 0o222


def test_a_file_that_is_cut_off_while_it_is_hashed_harms_nobody(tmp_path: Path) -> None:
    """Through a memory map the process would be killed by the system (SIGBUS)."""
    path = tmp_path / "large"
    program = (
        "import sys; from pathlib import Path; from cd4ml.store.address import address_of_file\n"
        "print('ready', flush=True)\n"
        "for _ in range(40): address_of_file(Path(sys.argv[1]))\n"
    )
    path.write_bytes(b"x" * 50_000_000)
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        while reader.poll() is None:
            os.truncate(path, 4096)
            time.sleep(0.005)
            os.truncate(path, 50_000_000)
            time.sleep(0.005)

    assert reader.returncode == 0


def test_hard_links_are_read_only_and_an_edit_in_place_is_noticed(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    root = lay_out(tmp_path / "in", **{"a.png": b"12345", "same.png": b"12345"})
    version = add(local_database, local_store, root, at=now, keeping="hardlink")
    manifest = manifest_of(local_store.blobs, version)
    path = root / "a.png"
    (inside,) = set(paths_of(local_store, version, manifest))
    modes = {name: (root / name).stat().st_mode & 0o777 for name in ("a.png", "same.png")}

    assert inside.samefile(path)
    assert modes == {"a.png": 0o444, "same.png": 0o644}
    path.chmod(0o644)
    path.write_bytes(b"54321")
    with pytest.raises(Corrupted, match=r"the file 'a\.png' of pictures@1 is not what was stored"):
        paths_of(local_store, version, manifest)


def test_files_left_in_place_are_verified_when_they_are_read(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    root = lay_out(tmp_path / "in", a=b"12345", b=b"2")
    version = add(local_database, local_store, root, at=now, keeping="reference")
    manifest = manifest_of(local_store.blobs, version)

    assert (objects(local_store), version.place) == ({}, str(root))
    assert paths_of(local_store, version, manifest) == [root / "a", root / "b"]
    (root / "a").write_bytes(b"54321")
    with pytest.raises(Corrupted) as changed:
        paths_of(local_store, version, manifest)
    (root / "b").unlink()
    with pytest.raises(NotFound) as gone:
        left_in_place(local_store, version, manifest.files[1])
    os.mkfifo(root / "b")
    with pytest.raises(Corrupted):
        left_in_place(local_store, version, manifest.files[1])

    assert str(changed.value) == (
        f"{root}/a has changed since it became part of pictures@1\n"
        '  hint: with store = "copy" a version stays what it was'
    )
    assert str(gone.value) == (
        f"{root}/b of pictures@1 cannot be read: No such file or directory\n"
        "  hint: it was left there instead of being stored"
    )


def test_a_version_left_in_place_can_be_copied_later(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    root = lay_out(tmp_path / "in", a=b"1", b=LARGE)
    version = add(local_database, local_store, root, at=now, keeping="reference")

    again = add(local_database, local_store, root, at=now, keeping="copy")
    for name in ("a", "b"):
        (root / name).unlink()

    assert again == version
    paths = paths_of(local_store, version, manifest_of(local_store.blobs, version))
    assert [path.read_bytes() for path in paths] == [b"1", LARGE]


def test_folders_with_names_that_are_no_text_are_versioned(
    database: "Database", file_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    root = lay_out(tmp_path / os.fsdecode(b"caf\xe9"), **{os.fsdecode(b"\xff.png"): b"1"})

    version = add(database, file_store, root, keeping="reference", at=now)

    assert version.place.endswith(r"/caf\xe9")
    (path,) = paths_of(file_store, version, manifest_of(file_store.blobs, version))
    assert path.read_bytes() == b"1"


@pytest.mark.parametrize("keeping", ["copy", "reference"])
@pytest.mark.parametrize("name", [b"caf\xe9.csv", b"new\nline.csv", b"a b.csv", b"a[1]*.csv"])
def test_tables_with_odd_names_are_tables(
    local_database: "Database",
    local_store: "FileStore",
    tmp_path: Path,
    now: datetime,
    name: bytes,
    keeping: Any,
) -> None:
    root = lay_out(tmp_path / "in", **{os.fsdecode(name): CSV.encode()})

    version = add(local_database, local_store, root, at=now, keeping=keeping)

    assert (version.kind, version.n_rows) == ("table", 3)
    assert scan_version(local_store, version).collect().height == 3
