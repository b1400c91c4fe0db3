import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import InvalidInput
from cd4ml.store.lines import is_sealed, seal
from cd4ml.store.segment_files import complete_lines, remove_if_abandoned, segments_in
from cd4ml.store.segments import PartlyWritten, Segment


def only(folder: Path) -> Path:
    (path,) = segments_in(folder)
    return path


def test_a_line_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    segment = Segment(tmp_path, "worker")

    segment.append(b"one")
    segment.append(b"two")

    assert only(tmp_path).read_bytes() == b"one\ntwo\n"
    segment.close()


def test_a_line_survives_kill_9_of_its_writer(tmp_path: Path) -> None:
    program = (
        "import os, sys, signal; from pathlib import Path; from cd4ml.store.segments import Segment;"
        "Segment(Path(sys.argv[1]), 'w').append(b'answered'); os.kill(os.getpid(), signal.SIGKILL)"
    )

    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)

    assert ended.returncode == -signal.SIGKILL
    assert complete_lines(only(tmp_path), 0) == b"answered\n"
    assert remove_if_abandoned(only(tmp_path), len(b"answered\n"))


def test_two_workers_of_one_name_write_to_two_files(tmp_path: Path) -> None:
    first, second = Segment(tmp_path, "worker"), Segment(tmp_path, "worker")

    first.append(b"1")
    second.append(b"2")

    assert sorted(path.read_bytes() for path in segments_in(tmp_path)) == [b"1\n", b"2\n"]
    first.close()
    second.close()


def test_the_name_of_a_worker_may_be_an_address(tmp_path: Path) -> None:
    Segment(tmp_path, "../http://127.0.0.1:8500").close()

    assert only(tmp_path).name.startswith(".._http___127.0.0.1_8500-")


def test_a_full_file_is_followed_by_a_new_one(tmp_path: Path) -> None:
    segment = Segment(tmp_path, "worker", rotate_bytes=10)

    for text in (b"12345", b"6789", b"next"):
        segment.append(text)

    assert sorted(path.read_bytes() for path in segments_in(tmp_path)) == [
        b"12345\n6789\n",
        b"next\n",
    ]
    segment.close()


def test_a_line_with_a_line_break_is_refused_before_it_is_written(tmp_path: Path) -> None:
    segment = Segment(tmp_path, "worker")

    with pytest.raises(InvalidInput) as refused:
        segment.append(b"two\nlines")

    assert str(refused.value) == "a log line must not contain a line break, got b'two\\nlines'"
    assert only(tmp_path).read_bytes() == b""
    segment.close()


def test_a_disk_that_fills_up_in_the_middle_of_a_line_refuses_the_answer_and_harms_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = Segment(tmp_path, "worker")
    segment.append(b"before")
    write = os.write

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: write(file, data[:3]))
        with pytest.raises(OSError, match="wrote 3 of 7 bytes"):
            segment.append(b"during")
    segment.append(b"after!")

    # the file is given up: a collector can make room
    lines = [path.read_bytes() for path in segments_in(tmp_path)]
    assert sorted(lines) == [b"after!\n", b"before\n"]
    segment.close()


def test_lines_are_written_with_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = Segment(tmp_path, "worker")
    write, writes = os.write, []
    monkeypatch.setattr(os, "write", lambda file, data: writes.append(data) or write(file, data))

    segment.append_all([b"one", b"two", b"three"])
    segment.append_all([])

    assert writes == [b"one\ntwo\nthree\n"]
    assert only(tmp_path).read_bytes() == writes[0]
    segment.close()


@pytest.mark.parametrize(("room", "n_whole"), [(0, 0), (3, 0), (4, 1), (7, 1), (11, 2)])
def test_of_lines_that_do_not_all_fit_the_first_ones_stay_whole(
    room: int, n_whole: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = Segment(tmp_path, "worker")
    write = os.write

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: write(file, data[:room]))
        with pytest.raises(PartlyWritten, match=f"wrote {room} of 14 bytes") as refused:
            segment.append_all([b"one", b"two", b"three"])
    segment.append(b"later")

    assert refused.value.n_lines == n_whole
    there = b"".join(line + b"\n" for line in [b"one", b"two", b"three"][:n_whole])
    files = [path.read_bytes() for path in segments_in(tmp_path)]
    assert sorted(files) == sorted([there, b"later\n"] if there else [b"later\n"])
    segment.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error_of_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = Segment(tmp_path, "worker")
    write, full = os.write, os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(os, "write", lambda _file, data: write(full, data))

    with pytest.raises(OSError, match="No space left on device"):
        segment.append(b"line")

    os.close(full)


def test_a_file_taken_away_before_it_was_locked_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    removed: list[bool] = []

    def collector_comes_first(descriptor: int, operation: int) -> None:
        if not removed and operation == fcntl.LOCK_EX:
            removed.append(True)
            removed.append(remove_if_abandoned(only(tmp_path), 0))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", collector_comes_first)
    segment = Segment(tmp_path, "worker")
    segment.append(b"line")

    assert removed == [True, True]
    assert only(tmp_path).read_bytes() == b"line\n"
    segment.close()


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every fsync from here on: the kind of thing that was synced, as it happens."""
    seen: list[str] = []
    for name, what in (("fdatasync", "file"), ("fsync", "folder")):
        real = getattr(os, name)

        def counted(descriptor: int, real: Any = real, what: str = what) -> None:
            real(descriptor)
            seen.append(what)

        monkeypatch.setattr(os, name, counted)
    return seen


def test_lines_are_synced_when_it_is_asked_for_and_no_more_often(
    tmp_path: Path, syncs: list[str]
) -> None:
    segment = Segment(tmp_path, "worker", is_synced=True)
    segment.sync()
    assert (syncs, segment.unsynced_s) == ([], 0.0)

    for text in (b"one", b"two"):
        segment.append(text)
    assert segment.unsynced_s > 0
    segment.sync()
    segment.sync()

    assert syncs == ["file", "folder"]  # two lines, one sync; the folder because its file is new
    assert segment.unsynced_s == 0.0
    segment.append(b"three")
    segment.sync()
    assert syncs == ["file", "folder", "file"]
    segment.close()


def test_a_file_that_was_full_before_the_sync_is_synced_too(
    tmp_path: Path, syncs: list[str]
) -> None:
    segment = Segment(tmp_path, "worker", rotate_bytes=4, is_synced=True)
    for text in (b"first", b"second", b"t"):
        segment.append(text)

    segment.sync()

    assert syncs == ["file"] * 3 + ["folder"]
    segment.close()


def test_a_file_that_waits_for_its_sync_may_be_drained_and_removed(tmp_path: Path) -> None:
    segment = Segment(tmp_path, "worker", is_synced=True)
    segment.append(b"line")

    segment.close()

    assert remove_if_abandoned(only(tmp_path), 5)
    segment.sync()


def test_a_file_begun_long_enough_ago_is_followed_by_a_new_one(tmp_path: Path) -> None:
    segment = Segment(tmp_path, "worker", rotate_after_s=0.0)

    for text in (b"one", b"two"):
        segment.append(text)

    assert [path.read_bytes() for path in segments_in(tmp_path) if path.stat().st_size] in (
        [b"one\n", b"two\n"],
        [b"two\n", b"one\n"],
    )
    segment.close()


@given(st.binary(min_size=1, max_size=60), st.data())
def test_no_byte_of_a_sealed_line_changes_unnoticed(body: bytes, data: st.DataObject) -> None:
    line = seal(b'{"x":' + body.replace(b"\n", b" ") + b"}")
    at = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[at]))

    assert is_sealed(line)
    assert not is_sealed(line[:at] + bytes([other]) + line[at + 1 :])
    assert not is_sealed(line[:at])
