"""The bytes of datasets' files: packed or alone, verified whenever they are read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.store import S3Store

from cd4ml.errors import Conflict, Corrupted, NotFound, Unavailable
from cd4ml.records.stored_file import StoredFile
from cd4ml.store import file_store as module
from cd4ml.store.address import address_of
from cd4ml.store.delivery import Delivery
from cd4ml.store.file_store import everything, forget, move, settle, strike, unlisted

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore

LARGE = os.urandom(300_000)
SMALL = [b"", b"a", b"bb" * 1000, os.urandom(50_000)]


def stored(
    database: "Database", store: "FileStore", tmp_path: Path, *contents: bytes
) -> list[StoredFile]:
    """Deliver these contents and make them known."""
    with Delivery(store.objects) as delivery:
        for data in contents:
            if len(data) < delivery.packed_below:
                delivery.put(address_of(data), data)
            else:
                (tmp_path / "large").write_bytes(data)
                delivery.put_file(tmp_path / "large")
        places = delivery.close()
    with database.write() as connection:
        settle(connection, places, ())
    return list(places)


@pytest.fixture
def overwrite(blobs_url: str) -> Callable[[str, bytes | None], None]:
    """Damage: puts other bytes (None: nothing) where an object lies, behind the store's back."""

    def damage(name: str, data: bytes | None) -> None:
        if blobs_url.startswith("s3://"):
            s3 = S3Store.from_url(f"{blobs_url}/files")
            obstore.delete(s3, name) if data is None else obstore.put(s3, name, data)
            return
        path = Path(blobs_url) / "files" / name
        path.chmod(0o644)
        path.unlink() if data is None else path.write_bytes(data)

    return damage


def test_small_files_lie_side_by_side_and_large_ones_alone(
    database: "Database", file_store: "FileStore", tmp_path: Path
) -> None:
    places = stored(database, file_store, tmp_path, *SMALL, LARGE, LARGE, SMALL[1])

    assert len(places) == 5
    assert len({place.object for place in places}) == 2
    digests = [address_of(data) for data in (*SMALL, LARGE)]
    assert file_store.holds(digests)
    paths = file_store.paths([*digests, digests[0]])
    assert [path.read_bytes() for path in paths] == [*SMALL, LARGE, SMALL[0]]
    assert all(path.stat().st_mode & 0o222 == 0 for path in paths)
    assert {data for _, data in file_store.read(places)} == {*SMALL, LARGE}
    assert all(map(file_store.is_sound, places))


def test_a_pack_is_closed_when_it_is_full(
    database: "Database", file_store: "FileStore", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cd4ml.store.delivery.PACK", 100_000)
    contents = [os.urandom(40_000) for _ in range(7)]

    places = stored(database, file_store, tmp_path, *contents)

    assert len({place.object for place in places}) == 3
    assert [path.read_bytes() for path in file_store.paths([p.digest for p in places])] == contents


def test_what_the_store_does_not_hold_is_named(file_store: "FileStore") -> None:
    digest = address_of(b"never put")

    assert (file_store.held([digest]), file_store.holds([digest])) == ({}, False)
    assert file_store.holds([])
    with pytest.raises(NotFound) as missing:
        file_store.paths([digest])
    assert str(missing.value) == (
        f"the store does not hold the file {digest}\n"
        "  hint: cd4ml data verify; add it again where the file still is"
    )


@pytest.mark.parametrize("damage", ["bit", "truncated", "swapped", "empty", "removed"])
@pytest.mark.parametrize("which", ["pack", "alone"])
def test_damaged_bytes_are_never_handed_out_and_mended_when_they_come_again(
    database: "Database",
    file_store: "FileStore",
    tmp_path: Path,
    overwrite: Callable[[str, bytes | None], None],
    damage: str,
    which: str,
) -> None:
    contents = [b"first" * 100, b"second" * 100] if which == "pack" else [LARGE]
    places = stored(database, file_store, tmp_path, *contents)
    (name,) = {place.object for place in places}
    data = b"".join(file_store.objects.chunks(name))

    overwrite(name, {
        "bit": data[:-1] + bytes([data[-1] ^ 1]),
        "truncated": data[:-10],
        "swapped": b"x" * len(data),
        "empty": b"",
        "removed": None,
    }[damage])  # fmt: skip

    last = places[-1]
    assert not file_store.is_sound(last)
    for read in (lambda: file_store.paths([last.digest]), lambda: list(file_store.read([last]))):
        with pytest.raises((Corrupted, NotFound)):
            read()
    with database.write() as connection:
        strike(connection, places)
    assert not file_store.holds([last.digest])
    stored(database, file_store, tmp_path, *contents)
    assert file_store.paths([last.digest])[0].read_bytes() == contents[-1]


def test_a_store_that_cannot_be_reached_says_nothing_of_its_bytes(
    database: "Database", file_store: "FileStore", tmp_path: Path, blobs_url: str
) -> None:
    if blobs_url.startswith("s3://"):
        pytest.skip("a folder is taken away")
    (place,) = stored(database, file_store, tmp_path, LARGE)
    path = file_store.objects.path(place.object)
    assert path is not None
    path.unlink()
    path.mkdir()

    with pytest.raises(Unavailable):
        file_store.is_sound(place)


def test_what_somebody_else_stored_first_stays(
    database: "Database", file_store: "FileStore", tmp_path: Path
) -> None:
    (first,) = stored(database, file_store, tmp_path, b"shared")

    again = stored(database, file_store, tmp_path, b"shared", b"new")

    assert file_store.held([first.digest]) == {first.digest: first}
    assert again[0].object != first.object
    assert file_store.paths([place.digest for place in again])


def test_what_was_relied_on_and_removed_is_a_conflict(
    database: "Database", file_store: "FileStore", tmp_path: Path
) -> None:
    (place,) = stored(database, file_store, tmp_path, b"shared")
    with database.write() as connection:
        forget(connection, [place.digest])

    with pytest.raises(Conflict) as refused, database.write() as connection:
        settle(connection, (), {place.digest})

    assert str(refused.value) == (
        "bytes that this version shares with an earlier one were removed meanwhile\n"
        "  hint: add it again"
    )


def test_damage_that_was_mended_meanwhile_is_not_struck_off(
    database: "Database", file_store: "FileStore", tmp_path: Path
) -> None:
    (old,) = stored(database, file_store, tmp_path, b"shared")
    with database.write() as connection:
        forget(connection, [old.digest])
    (new,) = stored(database, file_store, tmp_path, b"shared")

    with database.write() as connection:
        strike(connection, [old])

    assert file_store.held([old.digest]) == {old.digest: new}


def test_a_reader_finds_what_was_moved_while_it_read(
    database: "Database", file_store: "FileStore", tmp_path: Path
) -> None:
    old = stored(database, file_store, tmp_path, b"one", b"two", b"three")
    with Delivery(file_store.objects) as delivery:
        for place, data in file_store.read(old[1:]):
            delivery.put(place.digest, data)
        with database.write() as connection:
            move(connection, delivery.close())
    file_store.objects.remove([old[0].object])

    assert {data for _, data in file_store.read(old[1:])} == {b"two", b"three"}
    assert all(map(file_store.is_sound, old[1:]))
    assert not file_store.is_sound(old[0])
    with database.read() as connection:
        assert {place.object for place in everything(connection)} != {old[0].object}


def test_an_error_removes_what_was_delivered(file_store: "FileStore", tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)

    def fail() -> None:
        with Delivery(file_store.objects) as delivery:
            delivery.put_file(tmp_path / "large")
            delivery.put(address_of(b"x"), b"x")
            delivery.close()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert list(file_store.objects.list()) == []


def test_only_what_is_old_and_unknown_is_swept(
    database: "Database", file_store: "FileStore", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place,) = stored(database, file_store, tmp_path, b"known")
    orphan = file_store.objects.put([b"of somebody who was killed"])

    assert unlisted(file_store.objects, {place.object}) == []
    monkeypatch.setattr(module, "_UNKNOWN_FOR", -module._UNKNOWN_FOR)
    assert [each.name for each in unlisted(file_store.objects, {place.object})] == [orphan]


def test_copies_that_were_damaged_or_cannot_be_written_do_no_harm(
    database: "Database", file_store: "FileStore", tmp_path: Path
) -> None:
    places = stored(database, file_store, tmp_path, b"one", b"two")
    (path,) = file_store.paths([places[1].digest])
    path.chmod(0o644)
    path.write_bytes(b"twO")

    assert file_store.paths([places[1].digest])[0].read_bytes() == b"two"
    path.unlink()
    path.parent.rmdir()
    path.parent.write_bytes(b"a file where the folder should be")
    with pytest.raises(Unavailable, match=r"the copy .* cannot be written: "):
        file_store.paths([places[1].digest])
