import signal
import subprocess
from pathlib import Path

import pytest

from cd4ml.pipeline.revision import Revision, committed_at, revision_of


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


def test_no_repository_is_none_also_where_every_program_seems_to_succeed(
    repository: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        found = [revision_of(folder) for folder in (tmp_path, empty, repository)]
    finally:
        signal.signal(signal.SIGCHLD, before)

    assert found[:2] == [Revision("", b"")] * 2
    assert found[2].commit == git(repository, "rev-parse", "HEAD")


def test_a_clean_tree_is_its_commit(repository: Path) -> None:
    found = revision_of(repository)

    assert found.commit == git(repository, "rev-parse", "HEAD")
    assert (found.is_dirty, found.patch) == (False, b"")


def test_a_commit_says_when_it_was_made(repository: Path, tmp_path: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")

    found = committed_at(repository, head)

    assert found is not None
    assert found.timestamp() == int(git(repository, "show", "-s", "--format=%ct", "HEAD"))
    assert committed_at(repository, "") is None
    assert committed_at(repository, "0" * 40) is None
    assert committed_at(tmp_path / "elsewhere", head) is None


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


def test_a_project_below_the_top_has_its_changes_where_they_belong(
    repository: Path, tmp_path: Path
) -> None:
    inner = repository / "models" / "small"
    (inner / "deep er").mkdir(parents=True)
    (inner / "step.py").write_text("X = 1\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "a project")
    (inner / "step.py").write_text("X = 2\n")
    (inner / "deep er" / "\u00fc.py").write_text("Y = 1\n")
    (inner / "__init__.py").write_text("")

    found = revision_of(inner)

    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    (tmp_path / "patch").write_bytes(found.patch)
    git(clone, "apply", str(tmp_path / "patch"))
    assert found.folder == "models/small"
    assert found.holds == {"step.py", "__init__.py", "deep er/\u00fc.py"}
    assert (clone / "models" / "small" / "step.py").read_text() == "X = 2\n"
    assert (clone / "models" / "small" / "deep er" / "\u00fc.py").read_text() == "Y = 1\n"
    assert (clone / "models" / "small" / "__init__.py").read_bytes() == b""


def test_the_settings_of_a_user_do_not_change_the_patch(repository: Path) -> None:
    (repository / "pipeline.py").write_text("X = 2\n")
    (repository / "new.py").write_text("Y = 1\n")
    plain = revision_of(repository).patch

    for setting in ("diff.noprefix", "diff.mnemonicPrefix", "diff.relative", "color.ui"):
        git(repository, "config", setting, "always" if setting == "color.ui" else "true")

    assert revision_of(repository).patch == plain


def test_looking_leaves_the_index_as_it_is(repository: Path) -> None:
    (repository / "new.py").write_text("Y = 1\n")
    before = (repository / ".git" / "index").read_bytes()

    assert revision_of(repository).is_dirty

    assert (repository / ".git" / "index").read_bytes() == before
    assert git(repository, "status", "--porcelain") == "?? new.py"


def test_what_is_left_out_is_no_part_of_the_patch(repository: Path) -> None:
    (repository / "rows.csv").write_text("secret\n")
    (repository / "new.py").write_text("Y = 1\n")

    found = revision_of(repository, leave_out=lambda name: name.endswith(".csv"))

    assert b"secret" not in found.patch
    assert found.holds == {".gitignore", "pipeline.py", "new.py"}


def test_a_thousand_new_files_are_one_difference(repository: Path, tmp_path: Path) -> None:
    for number in range(1000):
        (repository / f"m{number}.py").write_text(f"N = {number}\n")

    found = revision_of(repository)

    assert found.patch.count(b"new file mode") == 1000


def test_a_hook_of_gits_own_does_not_lead_elsewhere(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other-index"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))

    assert len(revision_of(repository).commit) == 40
