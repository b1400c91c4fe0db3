"""Unchanged files are not read again; changed ones always are."""

import os
import time
from pathlib import Path

import pytest

from cd4ml.data import stat_cache as module
from cd4ml.data.files import files_of
from cd4ml.data.stat_cache import StatCache
from cd4ml.store.address import address_of_file
from tests.data.folders import lay_out

OLD = 1_500_000_000 * 10**9


@pytest.fixture(autouse=True)
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system whose clock is as fine as Linux's, so that tests need not wait for seconds."""
    monkeypatch.setattr(module, "_RACY_NS", 20 * 10**6)


def visit(folder: Path, cache: Path) -> tuple[set[str], dict[str, str]]:
    """Look as a snapshot does: which names are known unread, and the digests that it believes."""
    listing = files_of(folder, ".")
    stats = StatCache(cache, listing, ".")
    known = stats.known()
    digests = {
        file.name: known.get(file.name) or address_of_file(Path(file.path))
        for file in listing.files
    }
    if len(known) < len(digests):
        stats.note((file, digests[file.name]) for file in listing.files)
    return set(known), digests


def rested(folder: Path, **files: bytes) -> Path:
    lay_out(folder, **files)
    time.sleep(0.03)
    return folder


def truth(folder: Path) -> dict[str, str]:
    return {file.name: address_of_file(Path(file.path)) for file in files_of(folder, ".").files}


def test_what_has_not_changed_is_known_unread(tmp_path: Path) -> None:
    folder = rested(tmp_path / "data", a=b"1", b=b"2")

    assert visit(folder, tmp_path / "cache") == (set(), truth(folder))
    assert visit(folder, tmp_path / "cache") == ({"a", "b"}, truth(folder))


@pytest.mark.parametrize(
    "change", ["same size", "times set back", "replaced", "renamed", "touched"]
)
def test_what_has_changed_is_read_again(tmp_path: Path, change: str) -> None:
    folder = rested(tmp_path / "data", a=b"11", b=b"22", c=b"33")
    os.utime(folder / "a", ns=(OLD, OLD))
    time.sleep(0.03)
    visit(folder, tmp_path / "cache")

    if change == "replaced":
        (tmp_path / "new").write_bytes(b"99")
        os.utime(tmp_path / "new", ns=(OLD, OLD))
        (tmp_path / "new").replace(folder / "a")
    elif change == "renamed":
        (folder / "b").replace(folder / "a")
    elif change == "touched":
        os.utime(folder / "a")
    else:
        (folder / "a").write_bytes(b"99")
    if change == "times set back":
        os.utime(folder / "a", ns=(OLD, OLD))
    known, digests = visit(folder, tmp_path / "cache")

    assert "a" not in known
    assert "c" in known
    assert digests == truth(folder)


def test_edits_within_one_tick_are_never_missed(tmp_path: Path) -> None:
    """Where a clock ticks seldom, such edits leave size, times and inode as they were."""
    folder = lay_out(tmp_path / "data", a=b"000")
    for edit in range(300):
        (folder / "a").write_bytes(b"%03d" % edit)
        visit(folder, tmp_path / "cache")
        (folder / "a").write_bytes(b"%03d" % (999 - edit))

        assert visit(folder, tmp_path / "cache")[1] == truth(folder)


def test_an_edit_just_after_reading_is_seen_however_late_the_notes_are_written(
    tmp_path: Path,
) -> None:
    folder = rested(tmp_path / "data", a=b"1")
    (folder / "a").write_bytes(b"2")
    listing = files_of(folder, ".")
    stats = StatCache(tmp_path / "cache", listing, ".")
    stats.known()
    digest = address_of_file(folder / "a")
    time.sleep(0.1)  # many other files are read
    stats.note([(listing.files[0], digest)])

    assert visit(folder, tmp_path / "cache")[0] == set()


@pytest.mark.parametrize("damage", [b"", b"\x93\x01\x02\x03", b"nonsense" * 100])
def test_lost_or_damaged_notes_cost_time_and_nothing_else(tmp_path: Path, damage: bytes) -> None:
    folder = rested(tmp_path / "data", a=b"1")
    visit(folder, tmp_path / "cache")
    (notes,) = (tmp_path / "cache").iterdir()

    notes.write_bytes(damage)
    assert visit(folder, tmp_path / "cache") == (set(), truth(folder))
    notes.unlink()
    assert visit(folder, tmp_path / "cache") == (set(), truth(folder))
    assert visit(folder, tmp_path / "cache") == ({"a"}, truth(folder))
    assert list((tmp_path / "cache").iterdir()) == [notes]


def test_where_no_notes_can_be_taken_files_are_read_each_time(tmp_path: Path) -> None:
    folder = rested(tmp_path / "data", a=b"1")
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")

    for _ in range(2):
        assert visit(folder, tmp_path / "cache") == (set(), truth(folder))
