"""What is told of a run: in its order, and nothing that a power cut could take back."""

from pathlib import Path
from threading import Event

import pytest

from cd4ml.errors import Unavailable
from cd4ml.pipeline.telling import Telling
from cd4ml.store.blobs import Blobs, open_blobs
from cd4ml.store.database import Database, open_database


class Disk(Blobs):
    """Blobs in a folder whose disk is as slow as a test wants, and may fail."""

    def __init__(self, folder: Path) -> None:
        made = open_blobs(str(folder))
        super().__init__(made._store, url=made.url, folder=folder, cache=folder)
        self.is_ready = Event()
        self.settled: list[list[str]] = []
        self.is_broken = False

    def settle(self, addresses: "list[str]") -> None:  # type: ignore[override]
        self.is_ready.wait(10)
        if self.is_broken:
            raise Unavailable("the disk is broken")
        self.settled.append(list(addresses))
        super().settle(self.settled[-1])


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "blobs")


@pytest.fixture
def database(sqlite_url: str) -> Database:
    return open_database(sqlite_url)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def telling(database: Database, disk: Disk, told: list[str]) -> Telling:
    return Telling(database, disk, lambda step, state, _seconds: told.append(f"{step} {state}"))


def test_what_needs_no_disk_is_told_at_once(telling: Telling, told: list[str]) -> None:
    telling.note("a", "running")
    telling.tell()

    assert told == ["a running"]
    assert telling.settling == []


def test_nothing_is_told_before_what_happened_before_is_on_disk(
    telling: Telling, disk: Disk, told: list[str]
) -> None:
    address = disk.put(b"1", is_settled=False)
    telling.note("a", "computed")
    telling.note("b", "running")
    telling.recorded(address)
    telling.tell()
    telling.note("b", "computed")
    telling.tell()
    assert told == []

    disk.is_ready.set()
    telling.tell_all()

    assert told == ["a computed", "b running", "b computed"]
    assert disk.settled == [[address]]


def test_what_comes_meanwhile_goes_to_the_disk_together(telling: Telling, disk: Disk) -> None:
    addresses = [disk.put(bytes([i]), is_settled=False) for i in range(4)]
    for address in addresses:
        telling.recorded(address)
        telling.tell()

    disk.is_ready.set()
    telling.tell_all()
    telling.end()

    assert disk.settled == [addresses[:1], addresses[1:]]


def test_a_step_without_an_output_waits_for_its_record(
    telling: Telling, disk: Disk, told: list[str]
) -> None:
    telling.note("a", "failed")
    telling.recorded("")
    telling.tell()
    assert told == []

    disk.is_ready.set()
    telling.tell_all()

    assert told == ["a failed"]
    assert disk.settled == [[]]


def test_a_disk_that_fails_is_said_once_and_nothing_is_told_that_it_lost(
    telling: Telling, disk: Disk, told: list[str]
) -> None:
    disk.is_broken = True
    disk.is_ready.set()
    telling.note("a", "computed")
    telling.recorded(disk.put(b"1", is_settled=False))

    with pytest.raises(Unavailable, match="the disk is broken"):
        telling.tell_all()

    telling.tell_all()
    assert told == []
