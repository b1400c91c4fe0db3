"""Files that nobody has described become a dataset; or nothing happens."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import obstore
import polars as pl
import pytest
from obstore.store import S3Store

from cd4ml.errors import AlreadyExists, Cd4mlError, InvalidInput, NotFound, Unavailable
from cd4ml.loop import Project, open_project
from cd4ml.loop.adopt import adopt
from cd4ml.loop.catalog import catalog
from cd4ml.loop.check import check_dataset
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.init import begin
from cd4ml.store.settings import read_settings
from tests.loop import kill_adopt
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


def test_the_very_folder_of_the_project_is_adopted_without_the_project(tmp_path: Path) -> None:
    flights(40, start=BEGIN).write_csv(tmp_path / "monday.csv")
    begin(tmp_path, name="found", actor=ANN)
    with open_project(tmp_path) as project:
        found = adopt(project, "rides", ".", actor=ANN)

    with open_project(tmp_path) as project:
        assert ingest(project, "rides", actor=ANN) == found.version
    assert (found.version.kind, found.version.n_files) == ("table", 1)


@pytest.mark.parametrize("keeping", ["reference", "hardlink"])
def test_files_are_kept_as_the_first_version_was(folder: Path, keeping: Any) -> None:
    with open_project(folder) as project:
        found = adopt(project, "rides", "days", keeping=keeping, actor=ANN)

    with open_project(folder) as project:
        assert project.settings.data["rides"].store == keeping
        assert ingest(project, "rides", actor=ANN) == found.version
        shown = show_dataset(project, "rides")
        assert (bool(shown.version.place), shown.is_stored) == (
            keeping == "reference", keeping != "reference",
        )  # fmt: skip
        assert ingest(project, "rides", keeping="copy", actor=ANN) == found.version
        assert show_dataset(project, "rides").is_stored


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


def test_many_who_adopt_at_once_lose_nothing(folder: Path) -> None:
    names = [f"rides{i}" for i in range(5)]

    def adopted(name: str) -> None:
        with open_project(folder) as project:
            adopt(project, name, "days", actor=ANN)

    threads = [threading.Thread(target=adopted, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(read_settings(folder / "cd4ml.toml").data) == names
    with open_project(folder) as project:
        assert [ingest(project, name, actor=ANN).ref for name in names] == [
            f"{name}@1" for name in names
        ]


def test_one_of_two_who_adopt_the_same_name_is_told_so(folder: Path) -> None:
    with open_project(folder) as first, open_project(folder) as second:
        adopt(first, "rides", "days", actor=ANN)
        with pytest.raises(AlreadyExists):
            adopt(second, "rides", "pictures", actor=ANN)

    assert read_settings(folder / "cd4ml.toml").data["rides"].path == "days"


@pytest.mark.timeout(300)
def test_wherever_it_is_killed_the_same_command_goes_on(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", kill_adopt.__name__, str(folder)],
        capture_output=True, text=True, check=False, cwd=Path(kill_adopt.__file__).parents[2],
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 25
    names = [f"d{i}" for i in range(int(done.stdout) + 1)]
    assert sorted(read_settings(folder / "cd4ml.toml").data) == sorted(names)
    with open_project(folder) as project:
        assert all(len(show_dataset(project, name).versions) == 1 for name in names)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"a,b\n1,\xff\xfe\n",
            "{path}: line 2 is no text in UTF-8\n  hint: save the file as UTF-8",
        ),
        (
            b"a,b\n1,2,3\n",
            "{path}: line 2 has 3 columns instead of 2\n"
            '  hint: a text with a comma in it stands in "quotes"',
        ),
        (
            b'a,b\n1,"x\n2,3\n',
            "{path}: line 2 has a quote that is not closed, or stands inside of a text\n"
            '  hint: a text with a quote in it stands in quotes, the quote doubled: "say ""hi"""',
        ),
        (
            b"a,b,c\nx,2,3\ny;2;3\n",
            "odd.csv: columns are separated by ',' in the first line, but not in 1 of 2 rows,"
            " first in row 2: 'y;2;3'\n  hint: write the whole file with commas",
        ),
        (b"", "{path} cannot be read as csv: "),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_its_place(
    folder: Path, data: bytes, message: str
) -> None:
    (folder / "odd.csv").write_bytes(data)
    before = state(folder)

    with open_project(folder) as project, pytest.raises(InvalidInput) as refused:
        adopt(project, "odd", "odd.csv", actor=ANN)

    assert str(refused.value).startswith(message.format(path=folder / "odd.csv"))
    assert state(folder) == before


def test_odd_numbers_keep_the_contract_they_suggest(folder: Path) -> None:
    (folder / "odd.csv").write_text("n,m\n99999999999999999999,1e400\n1,2\n")

    with open_project(folder) as project:
        assert adopt(project, "odd", "odd.csv", actor=ANN).version.outcome == "pass"


def test_files_of_which_one_has_other_columns_say_so(folder: Path) -> None:
    (folder / "days" / "tuesday.csv").write_text("carrier\nAA\n")

    with open_project(folder) as project:
        found = adopt(project, "rides", "days", actor=ANN)

    assert (found.contract, found.version.kind) == ("", "files")
    assert found.version.note == (
        "no table: days/tuesday.csv has other columns than days/monday.csv:"
        " it lacks 'distance', lacks 'wind', lacks 'event_at', lacks 'late'"
    )


def test_a_file_where_contracts_belong_is_named(folder: Path) -> None:
    (folder / "contracts").write_text("mine")
    before = state(folder)

    with open_project(folder) as project, pytest.raises(Unavailable) as refused:
        adopt(project, "rides", "days", actor=ANN)

    assert str(refused.value) == (
        f"{folder}/contracts is no folder: the contract cannot be written there\n"
        "  hint: move it away"
    )
    assert state(folder) == before


@pytest.mark.parametrize(
    ("place", "mode"), [("cd4ml.toml", 0o444), (".", 0o555), ("contracts", 0o555)]
)
def test_what_is_read_only_is_left_alone(folder: Path, place: str, mode: int) -> None:
    (folder / "contracts").mkdir()
    before = state(folder)
    (folder / place).chmod(mode)

    with open_project(folder) as project, pytest.raises(Unavailable) as refused:
        adopt(project, "rides", "days", actor=ANN)

    (folder / place).chmod(0o755)
    assert str(refused.value) == (
        f"{folder / place} cannot be written to: it is read-only\n"
        "  hint: may this user write there, and is there room?"
    )
    assert state(folder) == before
    with open_project(folder) as project:
        assert catalog(project) == []


def test_the_quarantine_of_another_dataset_is_refused(project: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        adopt(project, "flights_quarantine", "data/flights.csv", actor=ANN)

    assert str(refused.value) == (
        "rows of 'flights' that break its contract are kept in 'flights_quarantine'\n"
        "  hint: give this dataset another name"
    )


def test_objects_in_s3_are_adopted_where_they_are(folder: Path, s3_url: str) -> None:
    text = flights(40, start=BEGIN).write_csv()
    obstore.put(S3Store.from_url(f"{s3_url}/rides"), "monday.csv", text.encode())

    with open_project(folder) as project:
        found = adopt(project, "rides", f"{s3_url}/rides/", actor=ANN)

    assert (found.version.ref, found.version.outcome) == ("rides@1", "pass")
    with open_project(folder) as project:
        assert project.settings.data["rides"].path == f"{s3_url}/rides/"
        assert ingest(project, "rides", actor=ANN) == found.version


def test_any_text_describes_a_dataset(folder: Path) -> None:
    said = 'a "ride" \\ each \x7f\n\U0001f6b2'
    with open_project(folder) as project:
        adopt(project, "fährten", "days", description=said, actor=ANN)

    assert read_settings(folder / "cd4ml.toml").data["fährten"].description == said


def test_a_path_that_is_no_text_is_refused(folder: Path) -> None:
    path = "d\udcffys.csv"
    (folder / path).write_text("a\n1\n")
    before = state(folder)

    with open_project(folder) as project, pytest.raises(InvalidInput) as refused:
        adopt(project, "rides", path, actor=ANN)

    assert str(refused.value) == (
        "cd4ml.toml can hold text only, got d\\xffys.csv\n"
        "  hint: rename the file, or name its folder or a glob"
    )
    assert state(folder) == before
