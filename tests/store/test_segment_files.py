"""Segments as their collector finds, reads and removes them."""

from pathlib import Path

import pytest

from cd4ml.store.segment_files import complete_lines, erase, remove_if_abandoned, segments_in
from cd4ml.store.segments import Segment


def only(folder: Path) -> Path:
    (path,) = segments_in(folder)
    return path


def test_a_torn_line_is_left_for_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "worker.jsonl"
    path.write_bytes(b"first\nsecond\nthi")

    assert complete_lines(path, 0) == b"first\nsecond\n"
    assert complete_lines(path, 6) == b"second\n"
    assert complete_lines(path, 13) == b""


def test_a_segment_with_a_living_writer_is_kept(tmp_path: Path) -> None:
    segment = Segment(tmp_path, "worker")

    assert not remove_if_abandoned(only(tmp_path), 0)

    segment.append(b"line")
    segment.close()
    assert not remove_if_abandoned(only(tmp_path), 0)
    assert remove_if_abandoned(only(tmp_path), 5)
    assert segments_in(tmp_path) == []


def test_a_torn_line_of_a_dead_writer_does_not_keep_the_file(tmp_path: Path) -> None:
    path = tmp_path / "worker.jsonl"
    path.write_bytes(b"first\ntor")

    assert remove_if_abandoned(path, len(b"first\n"))


def test_what_is_cut_off_of_a_dead_writers_file_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "worker.jsonl").write_bytes(b"first\ntor")

    assert remove_if_abandoned(only(tmp_path), len(b"first\n"))

    assert caplog.messages == ["3 bytes of a torn last line cut off: worker.jsonl"]


def test_what_was_drained_is_overwritten_and_what_comes_after_it_is_not(tmp_path: Path) -> None:
    segment = Segment(tmp_path, "worker")
    segment.append_all([b"first", b"second"])

    erase(only(tmp_path), len(b"first\n"))
    segment.append(b"third")

    assert only(tmp_path).read_bytes() == bytes(6) + b"second\nthird\n"


def test_no_more_is_overwritten_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "worker.jsonl"
    path.write_bytes(b"first\n")

    erase(path, 100)
    erase(tmp_path / "gone.jsonl", 100)

    assert path.read_bytes() == bytes(6)
