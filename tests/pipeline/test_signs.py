"""Files and folders are what they were, or are read again."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cd4ml.pipeline import signs
from cd4ml.pipeline.signs import Sign, changed, sign

LATER_NS = 10 * 10**9


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("one")
    return path


def later(path: Path) -> int:
    """A moment so long after the last change that nobody has to be afraid of it."""
    return max(os.stat(path).st_mtime_ns, os.stat(path).st_ctime_ns) + LATER_NS


def test_a_file_that_was_left_alone_is_not_read(file: Path) -> None:
    noted = sign(str(file), "file")._replace(content="never read")

    assert changed({str(file): noted}, later(file)) == ("", {})


def test_a_file_as_young_as_its_note_is_read(file: Path) -> None:
    noted = sign(str(file), "file")
    young = os.stat(file).st_mtime_ns + signs.RACY_NS

    assert changed({str(file): noted}, young)[0] == ""
    assert changed({str(file): noted._replace(content="another")}, young)[0] == str(file)
    assert changed({str(file): noted._replace(content="another")}, young + 1)[0] == ""


def test_bytes_changed_within_a_tick_of_the_clock_are_seen(file: Path) -> None:
    noted = {str(file): sign(str(file), "file")}
    before = os.stat(file)

    with file.open("r+") as opened:
        opened.write("two")
    os.utime(file, ns=(before.st_mtime_ns, before.st_mtime_ns))

    assert changed(noted, before.st_mtime_ns)[0] == str(file)


def test_a_time_of_the_future_is_never_trusted(file: Path) -> None:
    os.utime(file, ns=(2**62, 2**62))
    noted = sign(str(file), "file")._replace(content="another")

    assert changed({str(file): noted}, os.stat(file).st_ctime_ns + LATER_NS)[0] == str(file)


def test_what_was_read_again_has_a_fresh_sign(file: Path) -> None:
    noted = {str(file): sign(str(file), "file")}
    os.utime(file, ns=(1, 1))

    differs, fresh = changed(noted, later(file))

    assert (differs, fresh) == ("", {str(file): sign(str(file), "file")})


@pytest.mark.parametrize(
    ("kind", "do", "is_other"),
    [
        ("code", lambda f: (f / "new.py").touch(), True),
        ("code", lambda f: (f / "new").mkdir(), True),
        ("code", lambda f: (f / "thing-1.0.dist-info").mkdir(), True),
        ("code", lambda f: (f / "a.py").unlink(), True),
        ("code", lambda f: (f / "notes.md").touch(), False),
        ("code", lambda f: (f / ".hidden").mkdir(), False),
        ("code", lambda f: (f / "__pycache__").mkdir(), False),
        ("folder", lambda f: (f / "notes.md").touch(), True),
        ("folder", lambda f: (f / "a.py").rename(f / "b.py"), True),
    ],
)
def test_of_a_folder_its_names_count(
    tmp_path: Path, kind: signs.Kind, do: Callable[[Path], object], is_other: bool
) -> None:
    (tmp_path / "a.py").touch()
    noted = {str(tmp_path): sign(str(tmp_path), kind)}

    do(tmp_path)

    assert bool(changed(noted, later(tmp_path))[0]) == is_other


def test_of_some_files_only_the_size_counts(file: Path) -> None:
    noted = {str(file): sign(str(file), "size")}
    file.write_text("two")
    assert changed(noted, later(file))[0] == ""

    file.write_text("three")
    assert changed(noted, later(file))[0] == str(file)


def test_what_was_not_there_may_not_come(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    noted = {str(path): Sign("absent")}
    assert changed(noted, 0) == ("", {})

    path.parent.mkdir()
    assert changed(noted, 0) == ("", {})
    path.touch()
    assert changed(noted, 0)[0] == str(path)


def test_what_was_there_may_not_go(file: Path) -> None:
    noted = {str(file): sign(str(file), "file")}

    file.unlink()

    assert changed(noted, 0)[0] == str(file)


def test_the_clock_of_a_file_system_goes_on_and_leaves_nothing(tmp_path: Path) -> None:
    first, second = signs.clock_ns(str(tmp_path)), signs.clock_ns(str(tmp_path))

    assert first <= second
    assert list(tmp_path.iterdir()) == []
