"""Every byte of every version is read again; what is damaged is named, and mended by adding."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cd4ml.data.checkout import checkout
from cd4ml.data.manifest import manifest_of
from cd4ml.data.verification import Damage, verify
from cd4ml.data.versions import paths_of
from cd4ml.errors import Unavailable
from cd4ml.store.address import address_of
from cd4ml.store.delivery import Delivery
from cd4ml.store.file_store import move
from tests.data.folders import add, content, lay_out, objects

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore


def overwrite(store: "FileStore", name: str, data: bytes) -> None:
    if store.objects.folder is None:
        import obstore

        obstore.put(store.objects._store, name, data)
        return
    path = store.objects.folder / name
    path.chmod(0o644)
    path.write_bytes(data)


def test_sound_versions_are_read_once_each_file(
    database: "Database", file_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    root = lay_out(tmp_path / "in", a=b"1", b=b"1", c=os.urandom(300_000))
    versions = [add(database, file_store, root, at=now)]
    lay_out(root, d=b"22")
    versions.append(add(database, file_store, root, at=now))
    told: list[tuple[int, int]] = []

    found = verify(database, file_store, versions, tell=lambda *done: told.append(done))

    assert (found.n_versions, found.n_files, found.n_bytes) == (2, 3, 300_003)
    assert (found.damaged, told) == ((), [(1, 3), (2, 3), (3, 3)])


@pytest.mark.parametrize("how", ["bit", "truncated", "removed"])
def test_damage_is_named_struck_off_and_mended_by_the_next_add(
    database: "Database", file_store: "FileStore", tmp_path: Path, now: datetime, how: str
) -> None:
    root = lay_out(tmp_path / "in", a=b"1" * 100, b=b"2" * 100)
    version = add(database, file_store, root, at=now)
    (name,) = objects(file_store)
    data = b"1" * 100 + b"2" * 100
    if how == "removed":
        file_store.objects.remove([name])
    else:
        overwrite(file_store, name, data[:-1] + b"3" if how == "bit" else data[:-1])

    found = verify(database, file_store, [version])

    lost = [("b", "is not what was stored")]
    if how == "removed":
        lost.insert(0, ("a", "is not what was stored"))
    assert [(each.path, each.reason) for each in found.damaged] == lost
    again = verify(database, file_store, [version]).damaged
    assert [(each.path, each.reason) for each in again] == [
        (path, "is not in the store") for path, _ in lost
    ]
    assert add(database, file_store, root, at=now) == version
    assert verify(database, file_store, [version]).damaged == ()
    checkout(file_store, version, tmp_path / "out")
    assert content(tmp_path / "out") == content(root)


def test_files_left_in_place_are_each_read_where_they_lie(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    root = lay_out(tmp_path / "in", a=b"same", b=b"same", c=b"other")
    version = add(local_database, local_store, root, at=now, keeping="reference")
    assert verify(local_database, local_store, [version]).damaged == ()
    lay_out(root, b=b"edit")
    (root / "c").unlink()

    found = verify(local_database, local_store, [version])

    assert found.damaged == (
        Damage(
            path="b", digest=address_of(b"same"), versions=("pictures@1",),
            reason=f"{root}/b has changed since it became part of pictures@1",
        ),
        Damage(
            path="c", digest=address_of(b"other"), versions=("pictures@1",),
            reason=f"{root}/c of pictures@1 cannot be read: No such file or directory",
        ),
    )  # fmt: skip


def test_a_copy_elsewhere_does_not_hide_that_a_version_lost_its_own(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    lay_out(tmp_path / "copied", a=b"1" * 50)
    lay_out(tmp_path / "left", b=b"1" * 50)
    left = add(local_database, local_store, tmp_path / "left", at=now, keeping="reference")
    copied = add(local_database, local_store, tmp_path / "copied", at=now)
    (name,) = objects(local_store)
    overwrite(local_store, name, b"2" * 50)

    found = verify(local_database, local_store, [left, copied])

    assert [(each.path, each.versions) for each in found.damaged] == [("a", (copied.ref,))]
    (path,) = paths_of(local_store, left, manifest_of(local_store.blobs, left))
    assert path == tmp_path / "left" / "b"


def test_what_is_moved_while_it_is_verified_is_not_struck_off(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime,
) -> None:  # fmt: skip
    """As when `gc` writes a pack anew at the same time."""
    version = add(local_database, local_store, lay_out(tmp_path / "in", a=b"1", b=b"2"), at=now)
    (old,) = objects(local_store)

    def move_all(done: int, total: int) -> None:
        if done == 1:
            places = local_store.held([address_of(b"1"), address_of(b"2")]).values()
            with Delivery(local_store.objects) as delivery:
                for place, data in local_store.read(places):
                    delivery.put(place.digest, data)
                with local_database.write() as connection:
                    move(connection, delivery.close())
            local_store.objects.remove([old])

    assert verify(local_database, local_store, [version], tell=move_all).damaged == ()
    assert verify(local_database, local_store, [version]).damaged == ()


def test_a_lost_manifest_is_damage_too(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    version = add(local_database, local_store, lay_out(tmp_path / "in", a=b"1"), at=now)
    local_store.blobs.path(version.digest).unlink()

    (damage,) = verify(local_database, local_store, [version]).damaged

    assert (damage.path, damage.versions) == ("(the manifest)", ("pictures@1",))
    assert damage.reason == f"the blob store has nothing at {version.digest}"


def test_a_store_that_does_not_answer_is_no_damage(
    local_database: "Database", local_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    version = add(local_database, local_store, lay_out(tmp_path / "in", a=b"1"), at=now)
    (name,) = objects(local_store)
    path = local_store.objects.path(name)
    assert path is not None
    path.rename(tmp_path / "away")
    path.mkdir()

    with pytest.raises(Unavailable):
        verify(local_database, local_store, [version])

    path.rmdir()
    (tmp_path / "away").rename(path)
    assert verify(local_database, local_store, [version]).damaged == ()
