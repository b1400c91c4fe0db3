"""Files that nobody has described become a dataset; or nothing happens."""

from pathlib import Path

import polars as pl
import pytest

from cd4ml.errors import AlreadyExists, Cd4mlError, InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.adopt import adopt
from cd4ml.loop.catalog import catalog
from cd4ml.loop.check import check_dataset
from cd4ml.loop.ingest import ingest
from cd4ml.loop.init import begin
from tests.loop.world import ANN, BEGIN, flights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of files that is a project by now."""
    (tmp_path / "days").mkdir()
    flights(40, start=BEGIN).write_csv(tmp_path / "days" / "monday.csv")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a b.png").write_bytes(b"not really")
    begin(tmp_path, name="found", actor=ANN)
    return tmp_path


def state(folder: Path) -> tuple[str, list[str]]:
    found = sorted(path.name for path in folder.iterdir() if path.name != ".cd4ml")
    return (folder / "cd4ml.toml").read_text(), found


def test_a_table_is_described_checked_and_versioned(folder: Path) -> None:
    with open_project(folder) as project:
        found = adopt(project, "rides", "days", owner="ops", description='a "ride" each', actor=ANN)

    assert (found.version.ref, found.version.outcome) == ("rides@1", "pass")
    assert found.contract == "contracts/rides.toml"
    with open_project(folder) as project:
        described = project.settings.data["rides"]
        assert (described.path, described.owner, described.description) == (
            "days", "ops", 'a "ride" each',
        )  # fmt: skip
        assert ingest(project, "rides", actor=ANN) == found.version
        assert check_dataset(project, "rides@1").outcome == "pass"
        assert [entry.dataset.name for entry in catalog(project, "ride")] == ["rides"]
        flights(5, start=BEGIN).with_columns(late=pl.lit(7.0)).write_csv(
            folder / "days" / "tuesday.csv"
        )
        assert check_dataset(project, "rides").outcome == "fail"


def test_files_that_are_no_table_have_no_contract(folder: Path) -> None:
    with open_project(folder) as project:
        found = adopt(project, "pictures", "pictures", actor=ANN)

    assert (found.version.kind, found.version.n_files, found.contract) == ("files", 1, "")
    assert "contract" not in (folder / "cd4ml.toml").read_text()


@pytest.mark.parametrize(
    ("name", "path", "actor", "error"),
    [
        ("no name", "days", ANN, InvalidInput),
        ("rides", "nights", ANN, NotFound),
        ("rides", "days", "nobody", NotFound),
        ("class", "days", ANN, Cd4mlError),
    ],
)
def test_what_is_refused_leaves_everything_as_it_was(
    folder: Path, name: str, path: str, actor: str, error: type[Exception]
) -> None:
    before = state(folder)

    with open_project(folder) as project, pytest.raises(error):
        adopt(project, name, path, actor=actor)

    assert state(folder) == before
    with open_project(folder) as project:
        assert catalog(project) == []


def test_what_was_described_or_written_by_others_stays(folder: Path) -> None:
    (folder / "contracts").mkdir()
    (folder / "contracts" / "rides.toml").write_text("mine")
    with open_project(folder) as project, pytest.raises(AlreadyExists) as refused:
        adopt(project, "rides", "days", actor=ANN)

    assert str(refused.value) == (
        f"there is a file {folder}/contracts/rides.toml already\n"
        "  hint: name it in cd4ml.toml by hand, or move it away"
    )
    assert (folder / "contracts" / "rides.toml").read_text() == "mine"
    assert "rides" not in (folder / "cd4ml.toml").read_text()


def test_a_dataset_is_adopted_once(project: Project) -> None:
    with pytest.raises(AlreadyExists) as refused:
        adopt(project, "flights", "data/flights.csv", actor=ANN)

    assert str(refused.value) == (
        "the dataset 'flights' is described in cd4ml.toml already\n  hint: cd4ml data add flights"
    )
