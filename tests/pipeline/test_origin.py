"""What a run keeps so that it can be made again, with git and without."""

import tarfile
from pathlib import Path

import pytest

from cd4ml.pipeline.environment import present_environment
from cd4ml.pipeline.fingerprint import ReachedCode
from cd4ml.pipeline.origin import Origin, origin_of
from cd4ml.pipeline.sources import Sources
from cd4ml.store.blobs import Blobs, open_blobs
from tests.pipeline.test_revision import git

PIPELINE = """\
import json
from pathlib import Path

import rates
from cd4ml import step


@step
def price() -> dict:
    return json.loads(Path("prices.json").read_text()) | {"rate": rates.RATE}
"""


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return open_blobs(str(tmp_path / "blobs"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "rates.py").write_text("RATE = 2\n")
    (folder / "unused.py").write_text("X = 1\n")
    (folder / "prices.json").write_text('{"a": 1}')
    (folder / "cd4ml.toml").write_text('[project]\nname = "prices"\n')
    (folder / "data" / "rows.csv").write_text("a\n1\n")
    return folder


def origin(folder: Path, blobs: Blobs) -> Origin:
    sources = Sources(folder, "pipeline")
    return origin_of(
        sources,
        [ReachedCode(sources).by("pipeline", "price")],
        present_environment(),
        also=["cd4ml.toml", "gone.py"],
        data=["data/*.csv"],
        state=folder / ".cd4ml",
        blobs=blobs,
    )


def kept(blobs: Blobs, found: Origin) -> list[str]:
    with tarfile.open(blobs.path(found.files)) as archive:
        return archive.getnames()


def commit(folder: Path, *names: str) -> None:
    git(folder, "init", "-q")
    git(folder, "add", *names)
    git(folder, "commit", "-q", "-m", "begin")


def test_without_git_all_small_files_but_the_data_are_kept(folder: Path, blobs: Blobs) -> None:
    found = origin(folder, blobs)

    assert (found.revision, found.is_dirty, found.patch) == ("", False, "")
    assert found.committed_at is None
    assert kept(blobs, found) == [
        "cd4ml.toml",
        "pipeline.py",
        "prices.json",
        "rates.py",
        "unused.py",
    ]
    assert blobs.get(found.lock).startswith(b"# Python ")


def test_a_commit_that_has_it_all_needs_nothing_besides(folder: Path, blobs: Blobs) -> None:
    commit(folder, ".")

    found = origin(folder, blobs)

    assert found.revision == git(folder, "rev-parse", "HEAD")
    assert found.committed_at is not None
    assert (found.is_dirty, found.patch, found.files) == (False, "", "")


def test_what_git_ignores_is_kept_where_the_steps_reach_it(folder: Path, blobs: Blobs) -> None:
    (folder / ".gitignore").write_text("rates.py\nunused.py\nprices.json\ndata/\n.cd4ml/\n")
    commit(folder, ".")

    assert kept(blobs, origin(folder, blobs)) == ["prices.json", "rates.py"]


def test_new_files_are_in_the_patch_unless_they_are_data(folder: Path, blobs: Blobs) -> None:
    commit(folder, "pipeline.py", "cd4ml.toml")

    found = origin(folder, blobs)

    patch = blobs.get(found.patch).decode()
    assert found.is_dirty
    assert found.files == ""
    assert [
        name for name in ("rates.py", "unused.py", "prices.json", "rows.csv") if name in patch
    ] == [
        "rates.py",
        "unused.py",
        "prices.json",
    ]


def test_the_same_tree_is_kept_once(folder: Path, blobs: Blobs) -> None:
    assert origin(folder, blobs) == origin(folder, blobs)


def test_variables_that_decide_results_are_noted(
    folder: Path, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.delenv("POLARS_MAX_THREADS", raising=False)
    monkeypatch.setenv("OTHER", "1")

    found = origin(folder, blobs)

    assert found.variables["PYTHONHASHSEED"] == "0"
    assert not {"POLARS_MAX_THREADS", "OTHER"} & found.variables.keys()
