import subprocess
from pathlib import Path

import pytest

from cd4ml.pipeline.revision import Revision, revision_of


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "pipeline.py").write_text("X = 1\n")
    (folder / ".gitignore").write_text("ignored.py\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "begin")
    return folder


def test_a_clean_tree_is_its_commit(repository: Path) -> None:
    found = revision_of(repository)

    assert found.commit == git(repository, "rev-parse", "HEAD")
    assert (found.is_dirty, found.patch) == (False, b"")


def test_the_patch_makes_the_tree_from_the_commit(repository: Path, tmp_path: Path) -> None:
    (repository / "pipeline.py").write_text("X = 2\n")
    (repository / "new file.py").write_text("Y = 1\n")
    (repository / "ignored.py").write_text("Z = 1\n")

    found = revision_of(repository)

    assert found.is_dirty
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    (tmp_path / "patch").write_bytes(found.patch)
    git(clone, "apply", str(tmp_path / "patch"))
    assert (clone / "pipeline.py").read_text() == "X = 2\n"
    assert (clone / "new file.py").read_text() == "Y = 1\n"
    assert not (clone / "ignored.py").exists()


def test_changes_outside_the_folder_are_not_the_projects(repository: Path) -> None:
    inner = repository / "inner"
    inner.mkdir()
    (repository / "pipeline.py").write_text("X = 2\n")

    assert not revision_of(inner).is_dirty


def test_large_untracked_files_are_left_to_datasets(repository: Path) -> None:
    (repository / "data.bin").write_bytes(b"0" * ((1 << 20) + 1))

    assert not revision_of(repository).is_dirty


def test_no_repository_and_no_commit_have_no_revision(tmp_path: Path) -> None:
    plain, fresh = tmp_path / "plain", tmp_path / "fresh"
    plain.mkdir()
    fresh.mkdir()
    git(fresh, "init", "-q")

    assert revision_of(plain) == revision_of(fresh) == Revision("", b"")


def test_without_git_there_is_no_revision(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert revision_of(repository) == Revision("", b"")


def test_a_repository_cannot_make_git_run_its_programs(repository: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(trap))
    git(repository, "config", "diff.external", str(trap))
    (repository / "pipeline.py").write_text("X = 2\n")

    assert revision_of(repository).is_dirty
    assert not (tmp_path / "sprung").exists()
