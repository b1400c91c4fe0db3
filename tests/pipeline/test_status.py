"""What git says of a folder, in one question."""

import subprocess
from pathlib import Path

import pytest

from cd4ml.pipeline.revision import revision_of
from cd4ml.pipeline.status import Asked, Status


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
    subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project below the top of its repository."""
    folder = tmp_path / "top" / "project"
    folder.mkdir(parents=True)
    for name in ("a.py", "b c.py", "ü.py"):
        (folder / name).write_text("1\n")
    (folder.parent / "outside.py").write_text("1\n")
    git(folder.parent, "init")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-m", "All")
    return folder


def status(folder: Path) -> Status:
    return Asked(str(folder)).answer()


def test_a_clean_tree_differs_in_nothing(folder: Path) -> None:
    assert status(folder) == (revision_of(folder).commit, "", ())


def test_what_is_outside_the_folder_is_nothing_to_it(folder: Path) -> None:
    (folder.parent / "outside.py").write_text("2\n")

    assert status(folder).differs == ""


@pytest.mark.parametrize("name", ["a.py", "b c.py", "ü.py", "new file", "lib/new.py"])
def test_what_differs_is_named_from_the_top_of_the_repository(folder: Path, name: str) -> None:
    (folder / "lib").mkdir()
    (folder / name).write_text("2\n")

    found = status(folder)

    assert found.paths == (f"project/{name}",)
    assert found.differs != ""


def test_what_was_renamed_is_named_twice(folder: Path) -> None:
    git(folder, "mv", "b c.py", "d e.py")

    assert set(status(folder).paths) == {"project/b c.py", "project/d e.py"}


def test_other_changes_are_other_words(folder: Path) -> None:
    (folder / "a.py").unlink()
    gone = status(folder).differs
    (folder / "a.py").write_text("2\n")
    changed = status(folder).differs
    git(folder, "add", "a.py")

    assert len({gone, changed, status(folder).differs}) == 3


def test_outside_a_repository_and_before_its_first_commit_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init")
    (tmp_path / "new" / "a.py").write_text("1\n")

    assert status(tmp_path / "new") == ("", "", ())
    assert status(tmp_path) == ("", "", ())


def test_many_files_are_all_named(folder: Path) -> None:
    for number in range(3000):
        (folder / f"a rather long name of a new file, number {number}").touch()

    assert len(status(folder).paths) == 3000
