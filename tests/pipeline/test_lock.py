"""The environment as a requirements file, with the hashes that the project knows."""

import json
import sys
from pathlib import Path

import pytest

from cd4ml.pipeline.environment import Environment, present_environment
from cd4ml.pipeline.lock import (
    direct_sources,
    hashes_in,
    kept_lock,
    local,
    lock_files,
    lock_text,
    requirements,
)
from cd4ml.store.blobs import Blobs, open_blobs

UV = """\
version = 1
[[package]]
name = "polars"
version = "1.30.0"
source = { registry = "somewhere" }
sdist = { url = "https://a/polars.tar.gz", hash = "sha256:aa", size = 1 }
wheels = [{ url = "https://a/polars.whl", hash = "sha256:bb", size = 1 }]
[[package]]
name = "mine"
source = { editable = "." }
"""
PYLOCK = """\
lock-version = "1.0"
[[packages]]
name = "numpy"
version = "2.2.0"
wheels = [{ name = "numpy.whl", hashes = { sha256 = "cc" } }]
"""
PINNED = """\
# made by hand
scikit_learn==1.7.0 ; python_version >= "3.11" \\
    --hash=sha256:dd \\
    --hash=sha256:ee
-r other.txt
scipy>=1.15
"""


def environment(**distributions: str) -> Environment:
    return Environment(
        python="3.11.7",
        implementation="cpython",
        machine="linux-x86_64",
        distributions=distributions,
    )


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return open_blobs(str(tmp_path / "blobs"))


def test_the_hashes_of_every_kind_of_lock_file_are_found(tmp_path: Path) -> None:
    for name, text in (("uv.lock", UV), ("pylock.toml", PYLOCK), ("requirements.txt", PINNED)):
        (tmp_path / name).write_text(text)

    assert hashes_in(lock_files(tmp_path)) == {
        ("polars", "1.30.0"): ["sha256:aa", "sha256:bb"],
        ("numpy", "2.2.0"): ["sha256:cc"],
        ("scikit-learn", "1.7.0"): ["sha256:dd", "sha256:ee"],
    }


@pytest.mark.parametrize("text", ["", "[", 'package = "x"', "[[package]]\nversion = 1", "\0"])
def test_a_file_that_is_no_lock_has_no_hashes(tmp_path: Path, text: str) -> None:
    (tmp_path / "uv.lock").write_text(text)

    assert hashes_in([tmp_path / "uv.lock", tmp_path / "gone.lock"]) == {}


def test_lock_files_are_looked_for_up_to_the_repositorys_top(tmp_path: Path) -> None:
    project = tmp_path / "repository" / "models" / "small"
    project.mkdir(parents=True)
    (tmp_path / "requirements.txt").write_text("not of this repository")
    (tmp_path / "repository" / ".git").mkdir()

    assert list(lock_files(project)) == []

    (tmp_path / "repository" / "uv.lock").write_text(UV)
    assert list(lock_files(project)) == [tmp_path / "repository" / "uv.lock"]


def test_hashes_of_another_version_are_not_those_of_this_one() -> None:
    text = lock_text(
        environment(numpy="2.3.0"), hashes={("numpy", "2.2.0"): ["sha256:a"]}, sources={}
    )

    assert text == "# Python 3.11.7, cpython on linux-x86_64\nnumpy==2.3.0\n"


def test_where_a_distribution_came_from_is_told_by_its_metadata(tmp_path: Path) -> None:
    told = {
        "from_git": {"url": "https://a/b.git", "vcs_info": {"vcs": "git", "commit_id": "1f"}},
        "from_web": {"url": "https://a/c.whl", "archive_info": {"hash": "sha256=ab"}},
        "edited": {"url": "file:///somewhere", "dir_info": {"editable": True}},
        "wheel": {"url": "file:///d.whl", "archive_info": {}},
    }
    for name, value in told.items():
        (tmp_path / f"{name}-1.0.dist-info").mkdir()
        (tmp_path / f"{name}-1.0.dist-info" / "direct_url.json").write_text(json.dumps(value))
    (tmp_path / "plain-1.0.dist-info").mkdir()
    (tmp_path / "broken-1.0.dist-info").mkdir()
    (tmp_path / "broken-1.0.dist-info" / "direct_url.json").write_text("{")

    sources = direct_sources([str(tmp_path), "/nowhere"])
    names = dict.fromkeys([*told, "plain"], "1.0")
    lock = lock_text(environment(**names), hashes={}, sources=sources)

    assert requirements(lock) == (
        "from-git @ git+https://a/b.git@1f\nfrom-web @ https://a/c.whl#sha256=ab\nplain==1.0\n"
    )
    assert local(lock) == {"edited": "1.0", "wheel": "1.0"}
    assert "somewhere" not in lock  # a folder of this machine is nobody else's business


def test_the_lock_of_this_process_is_kept_once(tmp_path: Path, blobs: Blobs) -> None:
    state = tmp_path / "state"

    first = kept_lock(present_environment(), tmp_path, state=state, blobs=blobs)
    again = kept_lock(present_environment(), tmp_path, state=state, blobs=blobs)

    text = blobs.get(first).decode()
    assert first == again
    assert text.startswith(f"# Python {sys.version.split()[0]}, ")
    assert "\nmsgspec==" in text


def test_a_new_lock_file_of_the_project_makes_a_new_lock(tmp_path: Path, blobs: Blobs) -> None:
    found = environment(numpy="2.2.0")
    before = kept_lock(found, tmp_path, state=tmp_path, blobs=blobs)
    (tmp_path / "pylock.toml").write_text(PYLOCK)

    after = kept_lock(found, tmp_path, state=tmp_path, blobs=blobs)

    assert b"--hash" not in blobs.get(before)
    assert b"numpy==2.2.0 --hash=sha256:cc" in blobs.get(after)


def test_a_lock_that_is_gone_from_the_blobs_is_made_again(tmp_path: Path, blobs: Blobs) -> None:
    address = kept_lock(environment(numpy="2.2.0"), tmp_path, state=tmp_path, blobs=blobs)
    blobs.path(address).unlink()

    assert kept_lock(environment(numpy="2.2.0"), tmp_path, state=tmp_path, blobs=blobs) == address
    assert blobs.has(address)


@pytest.mark.parametrize("note", [b"", b"{", b'{"key":1,"address":2}'])
def test_a_broken_note_is_written_anew(tmp_path: Path, blobs: Blobs, note: bytes) -> None:
    (tmp_path / "lock.json").write_bytes(note)

    address = kept_lock(environment(numpy="2.2.0"), tmp_path, state=tmp_path, blobs=blobs)

    assert blobs.has(address)
    assert address.encode() in (tmp_path / "lock.json").read_bytes()
