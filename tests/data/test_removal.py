"""Versions that need not be kept go, and what a kept one needs stays."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cd4ml.data import removal as module
from cd4ml.data.checkout import checkout
from cd4ml.data.refs import find_version, set_tag
from cd4ml.data.removal import Removal, remove
from cd4ml.data.snapshot import look, snapshot_files
from cd4ml.data.verification import verify
from cd4ml.data.versions import publish
from cd4ml.errors import Conflict, NotFound
from cd4ml.records.dataset import DatasetVersion
from cd4ml.store import file_store as engine
from cd4ml.store import ledger, lineage, rows
from tests.data.folders import add, content, lay_out, objects

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore


def gc(
    database: "Database", store: "FileStore", now: datetime, keep: int = 1, **options: bool
) -> Removal:
    return remove(database, store, keep={"pictures": keep}, at=now, actor="bo", **options)


def grown(
    database: "Database", store: "FileStore", root: Path, now: datetime, n: int
) -> list[DatasetVersion]:
    """n versions: each has a file more than the one before and another `changes`."""
    versions = []
    for number in range(1, n + 1):
        lay_out(root, changes=b"%d" % number * 100, **{f"f{number}": b"%d" % number})
        versions.append(add(database, store, root, at=now))
    return versions


def sound(database: "Database", store: "FileStore", versions: list[DatasetVersion]) -> bool:
    return verify(database, store, versions).damaged == ()


def test_the_newest_versions_stay_and_bytes_that_nothing_needs_go(
    database: "Database", file_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    *old, third, fourth = grown(database, file_store, tmp_path / "in", now, 4)

    rehearsed = gc(database, file_store, now, keep=2, is_rehearsed=True)
    before = objects(file_store)
    done = gc(database, file_store, now, keep=2)

    assert rehearsed == done
    assert (done.versions, done.n_files, done.n_unknown) == (("pictures@1", "pictures@2"), 2, 0)
    assert done.n_bytes >= 200
    assert sum(objects(file_store).values()) <= sum(before.values()) - done.n_bytes
    assert sound(database, file_store, [third, fourth])
    checkout(file_store, fourth, tmp_path / "out")
    assert content(tmp_path / "out") == content(tmp_path / "in")
    with pytest.raises(NotFound):
        checkout(file_store, old[0], tmp_path / "gone")
    with database.read() as connection:
        with pytest.raises(NotFound, match="pictures@1 was removed on 2013-01-01 by bo"):
            find_version(connection, "pictures@1")
        (entry,) = [e for e in ledger.entries(connection, "pictures@1") if e.actor == "bo"]
    assert (entry.action, entry.details["digest"]) == ("dataset.removed", old[0].digest)
    assert gc(database, file_store, now, keep=2) == Removal(
        versions=(), n_files=0, n_bytes=0, n_unknown=0
    )


def test_what_has_a_tag_or_descendants_stays(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    first, second, third, fourth = grown(local_database, local_store, tmp_path / "in", now, 4)
    with local_database.write() as connection:
        set_tag(connection, first, "good", at=now, actor="ada")
        lineage.note(connection, address="blake3:run", kind="run", name="run/1", at=now)
        lineage.link(connection, "blake3:run", second.digest, "input")

    done = gc(local_database, local_store, now)

    assert done.versions == (third.ref,)
    assert sound(local_database, local_store, [first, second, fourth])


def test_a_dataset_that_is_not_named_keeps_all(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    versions = grown(local_database, local_store, tmp_path / "in", now, 3)
    add(local_database, local_store, tmp_path / "in", at=now, dataset="others")

    done = remove(local_database, local_store, keep={"others": 1}, at=now, actor="bo")

    assert done.versions == ()
    assert sound(local_database, local_store, versions)


def test_a_removed_version_that_is_added_again_is_a_new_one(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    grown(local_database, local_store, tmp_path / "in", now, 1)
    first = content(tmp_path / "in")
    grown(local_database, local_store, tmp_path / "in", now, 2)
    gc(local_database, local_store, now)
    (tmp_path / "in" / "f2").unlink()
    lay_out(tmp_path / "in", changes=b"1" * 100)

    again = add(local_database, local_store, tmp_path / "in", at=now)

    assert again.number == 3
    checkout(local_store, again, tmp_path / "out")
    assert content(tmp_path / "out") == first


def test_a_version_that_relies_on_what_is_being_removed_is_refused_then_taken_anew(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    root = lay_out(tmp_path / "in", shared=b"s" * 1000, a=b"1")
    add(local_database, local_store, root, at=now)
    other = lay_out(tmp_path / "other", x=b"2")
    add(local_database, local_store, other, at=now)
    lay_out(root, a=b"3")
    snapshot = snapshot_files(local_store, look(local_store, root, "."))
    gc(local_database, local_store, now)

    with pytest.raises(Conflict), local_database.write() as connection:
        publish(connection, snapshot, dataset="pictures", at=now, actor="ada")
    version = add(local_database, local_store, root, at=now)

    assert sound(local_database, local_store, [version])


def test_a_pack_of_which_little_is_needed_is_written_anew_also_after_a_death(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    root = lay_out(
        tmp_path / "in", keeps=b"k" * 100, **{f"f{i}": os.urandom(1000) for i in range(9)}
    )
    add(local_database, local_store, root, at=now)
    for path in root.glob("f*"):
        path.unlink()
    second = add(local_database, local_store, root, at=now)

    def killed(*_: object, **__: object) -> Removal:
        raise KeyboardInterrupt

    swept = module._swept
    monkeypatch.setattr(module, "_swept", killed)
    with pytest.raises(KeyboardInterrupt):
        gc(local_database, local_store, now)
    monkeypatch.setattr(module, "_swept", swept)
    assert sum(objects(local_store).values()) == 9100
    done = gc(local_database, local_store, now)

    assert (done.versions, done.n_bytes) == ((), 9000)
    assert sum(objects(local_store).values()) == 100
    assert sound(local_database, local_store, [second])


def test_a_damaged_pack_is_not_written_anew(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    root = lay_out(tmp_path / "in", keeps=b"k" * 100, goes=b"g" * 1000)
    add(local_database, local_store, root, at=now)
    (root / "goes").unlink()
    second = add(local_database, local_store, root, at=now)
    (name,) = objects(local_store)
    path = local_store.objects.path(name)
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(b"x" * 1100)

    gc(local_database, local_store, now)

    assert list(objects(local_store)) == [name]
    assert not sound(local_database, local_store, [second])


def test_a_lost_manifest_is_named_and_nothing_is_removed(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    versions = grown(local_database, local_store, tmp_path / "in", now, 3)
    local_store.blobs.path(versions[2].digest).unlink()

    with pytest.raises(NotFound) as refused:
        gc(local_database, local_store, now)

    assert str(refused.value) == (
        "nobody knows which files pictures@3 needs:"
        f" the blob store has nothing at {versions[2].digest}\n"
        "  hint: cd4ml data add pictures where its files still are, or --keep fewer"
    )
    assert sound(local_database, local_store, versions[:2])


def test_what_interrupted_adds_left_is_swept_when_it_is_old(
    database: "Database", file_store: "FileStore", tmp_path: Path, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (version,) = grown(database, file_store, tmp_path / "in", now, 1)
    kept = objects(file_store)
    file_store.objects.put([b"orphan"])
    part = file_store.objects.path(file_store.objects.put([b"half"]))
    if part is not None:
        part.rename(f"{part}.part")

    assert gc(database, file_store, now).n_unknown == 0
    assert len(objects(file_store)) == len(kept) + 2
    monkeypatch.setattr(engine, "_UNKNOWN_FOR", -engine._UNKNOWN_FOR)
    done = gc(database, file_store, now)

    assert (done.n_unknown, done.n_bytes) == (2, 10)
    assert objects(file_store) == kept
    assert sound(database, file_store, [version])


def test_versions_that_are_published_all_the_time_are_a_conflict(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    grown(local_database, local_store, tmp_path / "in", now, 2)
    read = module.manifest_of
    number = iter(range(100))

    def published_meanwhile(blobs: object, version: DatasetVersion) -> object:
        lay_out(tmp_path / "in", changes=b"again %d" % next(number))
        add(local_database, local_store, tmp_path / "in", at=now)
        return read(local_store.blobs, version)

    monkeypatch.setattr(module, "manifest_of", published_meanwhile)
    with pytest.raises(Conflict) as refused:
        gc(local_database, local_store, now)

    assert str(refused.value) == (
        "versions were published 5 times while it was worked out what they need\n"
        "  hint: run it again when fewer are published"
    )
    with local_database.read() as connection:
        assert sound(local_database, local_store, rows.find(connection, DatasetVersion))
