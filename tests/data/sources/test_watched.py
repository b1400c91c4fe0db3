"""Files that others write: quiet or not, changed or not."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cd4ml.data.sources.watched import QUIET_S, quiet_state


def look(root: Path, pattern: str = "in/*.csv", *, later_s: float = QUIET_S + 1) -> str | None:
    """The state some seconds from now: the files' times are the machine's."""
    now = datetime.now(UTC) + timedelta(seconds=later_s)
    return quiet_state(root, pattern, now=now)


def write(root: Path, name: str, text: str = "a\n1\n") -> Path:
    path = root / "in" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_files_have_a_state_once_nobody_writes_to_them(tmp_path: Path) -> None:
    write(tmp_path, "one.csv")

    assert look(tmp_path, later_s=QUIET_S - 1) is None
    state = look(tmp_path)
    assert state is not None
    assert look(tmp_path) == state


def test_every_change_is_another_state(tmp_path: Path) -> None:
    path = write(tmp_path, "one.csv")
    states = [look(tmp_path)]
    path.write_text("a\n2\n")  # of the same length
    states.append(look(tmp_path))
    write(tmp_path, "two.csv")
    states.append(look(tmp_path))
    path.rename(path.with_name("three.csv"))
    states.append(look(tmp_path))
    path.with_name("three.csv").unlink()
    states.append(look(tmp_path))

    assert None not in states
    assert len(set(states)) == 5


def test_a_copy_that_keeps_its_old_time_is_new_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, "one.csv")
    os.utime(path, (0, 0))  # as cp -p and rsync -t do

    assert look(tmp_path, later_s=1) is None
    assert look(tmp_path) is not None


def test_a_file_under_another_name_keeps_a_folder_busy(tmp_path: Path) -> None:
    write(tmp_path, "one.csv")
    os.utime(tmp_path / "in")
    write(tmp_path, ".two.csv.part")

    assert look(tmp_path, later_s=1) is None


def test_no_files_have_no_state(tmp_path: Path) -> None:
    assert look(tmp_path) is None
    (tmp_path / "in").mkdir()
    assert look(tmp_path) is None
    assert look(tmp_path, "in") is None
    assert look(tmp_path, "in/one.csv") is None


def test_a_folder_is_watched_with_all_that_is_in_it(tmp_path: Path) -> None:
    write(tmp_path, "one.csv")
    before = look(tmp_path, "in")
    (tmp_path / "in" / "deep").mkdir()
    (tmp_path / "in" / "deep" / "photo.jpg").write_bytes(b"\xff")

    assert look(tmp_path, "in") not in (None, before)


def test_a_name_that_is_no_text_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/\xff\n.csv")).write_text("a\n1\n")

    assert look(tmp_path) is not None
