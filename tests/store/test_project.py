from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from cd4ml.errors import ConfigurationError, ProjectNotFound, Unavailable
from cd4ml.records.actor import Actor
from cd4ml.store import rows
from cd4ml.store.clock import SharedClock, SystemClock
from cd4ml.store.project import Project, open_project
from tests.store.records import actor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project in a folder with an awkward name."""
    folder = tmp_path / "flights 50% #1?"
    folder.mkdir()
    (folder / "cd4ml.toml").write_text('[project]\nname = "flights"\n')
    return folder


def people(project: Project) -> list[str]:
    with project.database.read() as connection:
        return [person.name for person in rows.find(connection, Actor)]


def add(project: Project, name: str) -> None:
    with project.database.write() as connection:
        rows.insert(connection, actor(name))


def test_a_project_is_found_in_its_folder_and_from_all_below(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = folder / "data" / "raw"
    below.mkdir(parents=True)

    assert open_project(folder).folder == folder
    assert open_project(below).folder == folder
    monkeypatch.chdir(below)
    assert open_project().folder == folder
    assert open_project(Path("..")).folder == folder


def test_the_environment_may_say_where_the_project_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CD4ML_PROJECT", str(folder))

    assert open_project().folder == folder
    with pytest.raises(ProjectNotFound):
        open_project(tmp_path)


def test_a_folder_outside_of_any_project_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectNotFound) as nowhere:
        open_project(tmp_path)
    with pytest.raises(ProjectNotFound) as gone:
        open_project(tmp_path / "gone")

    hint = "\n  hint: cd4ml init NAME lays out a new project"
    assert str(nowhere.value) == f"no cd4ml.toml in {tmp_path} or above it{hint}"
    assert str(gone.value) == f"there is no folder {tmp_path}/gone{hint}"


def test_the_nearest_file_counts_and_is_refused_if_it_is_wrong(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    (inner / "cd4ml.toml").write_text("[projekt]")

    with pytest.raises(ConfigurationError, match="unknown field `projekt`"):
        open_project(inner)


def test_looking_at_a_project_changes_nothing(folder: Path) -> None:
    with open_project(folder) as project:
        assert project.settings.project.name == "flights"
        assert project.state == folder / ".cd4ml"

    assert [path.name for path in folder.iterdir()] == ["cd4ml.toml"]


def test_stores_lie_in_the_projects_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_project(folder) as project:
        add(project, "ann")
        address = project.blobs.put(b"model")
        project.segments.mkdir()

        assert project.blobs.path(address).is_relative_to(folder / ".cd4ml" / "blobs")

    assert sorted(path.name for path in (folder / ".cd4ml").iterdir()) == [
        "blobs",
        "cd4ml.db",
        "cd4ml.db.lock",
        "segments",
        "stores",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name]


def test_a_database_that_is_gone_is_not_made_anew(folder: Path) -> None:
    """A disk that is not mounted yet would get an empty one, and the answers collected into it."""
    path, away = folder / ".cd4ml" / "cd4ml.db", folder / "away.db"
    with open_project(folder) as project:
        add(project, "ann")
    path.rename(away)

    for _ in range(2):
        with open_project(folder) as project, pytest.raises(Unavailable) as refusal:
            people(project)
        assert str(refusal.value) == (
            f"the database sqlite:///{path} is gone, and nothing is made in its place\n"
            f"  hint: bring it back; to begin anew, remove {folder}/.cd4ml/stores"
        )
        assert not path.exists()

    away.rename(path)
    with open_project(folder) as project:
        assert people(project) == ["ann"]


def test_a_database_that_goes_away_while_it_is_open_is_not_made_anew(folder: Path) -> None:
    path, away = folder / ".cd4ml" / "cd4ml.db", folder / "away.db"
    with open_project(folder) as project:
        add(project, "ann")
        project.database.close()  # its connections; the next ones are new
        path.rename(away)

        with pytest.raises(Unavailable, match="unable to open database file"):
            people(project)
        assert not path.exists()

        away.rename(path)
        assert people(project) == ["ann"]


def test_blobs_that_are_gone_are_not_made_anew(folder: Path) -> None:
    path, away = folder / ".cd4ml" / "blobs", folder / "away"
    with open_project(folder) as project:
        address = project.blobs.put(b"model")
    path.rename(away)

    with open_project(folder) as project, pytest.raises(Unavailable) as refusal:
        project.blobs.put(b"other")
    assert str(refusal.value) == (
        f"the folder of the blobs {path} is gone, and nothing is made in its place\n"
        f"  hint: bring it back; to begin anew, remove {folder}/.cd4ml/stores"
    )
    assert not path.exists()

    away.rename(path)
    with open_project(folder) as project:
        assert project.blobs.path(address).read_bytes() == b"model"


def test_who_wants_to_begin_anew_does(folder: Path) -> None:
    with open_project(folder) as project:
        add(project, "ann")
    (folder / ".cd4ml" / "cd4ml.db").unlink()
    (folder / ".cd4ml" / "stores").unlink()

    with open_project(folder) as project:
        assert people(project) == []


def test_settings_move_the_stores_and_paths_begin_in_the_folder(folder: Path) -> None:
    with (folder / "cd4ml.toml").open("a") as file:
        file.write('[store]\ndatabase = "sqlite:///state/runs.db"\nblobs = "state/objects"\n')

    with open_project(folder) as project:
        add(project, "ann")
        path = project.blobs.path(project.blobs.put(b"model"))

    assert (folder / "state" / "runs.db").is_file()
    assert path.is_relative_to(folder / "state" / "objects")


def test_the_environment_moves_the_stores_over_the_settings(
    folder: Path, database_url: str, blobs_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password need not stand in a file that is reviewed."""
    monkeypatch.setenv("CD4ML_DATABASE", database_url)
    monkeypatch.setenv("CD4ML_BLOBS", blobs_url)

    with open_project(folder) as project:
        add(project, "ann")
        address = project.blobs.put(b"model")
    with open_project(folder) as again:
        assert people(again) == ["ann"]
        assert again.blobs.path(address).read_bytes() == b"model"

    inside = [path.name for path in (folder / ".cd4ml").glob("*")]
    assert inside == (["cache"] if blobs_url.startswith("s3://") else [])


def test_a_relative_path_from_the_environment_begins_in_the_folder_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CD4ML_DATABASE", "sqlite:///elsewhere/cd4ml.db")
    monkeypatch.setenv("CD4ML_BLOBS", "elsewhere/blobs")

    with open_project(folder) as project:
        add(project, "ann")
        project.blobs.put(b"model")

    assert (folder / "elsewhere" / "cd4ml.db").is_file()
    assert (folder / "elsewhere" / "blobs").is_dir()


def test_a_database_in_memory_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CD4ML_DATABASE", "sqlite:///:memory:")

    with open_project(folder) as project, pytest.raises(ConfigurationError) as refused:
        people(project)

    assert refused.value.message == (
        "a SQLite database is a file that other processes see too, got sqlite:///:memory:"
    )


def test_the_clock_is_the_machines_unless_a_rehearsal_left_one(folder: Path, now: datetime) -> None:
    assert isinstance(open_project(folder).clock, SystemClock)

    SharedClock.create(folder / ".cd4ml" / "clock", now)

    assert open_project(folder).clock.now() == now


def test_a_closed_project_opens_its_stores_again_when_asked(folder: Path) -> None:
    project = open_project(folder)
    add(project, "ann")
    before = project.log
    project.close()
    project.close()

    assert people(project) == ["ann"]
    assert project.log is not before
    assert project.log.collect() == 0
    project.close()


def test_threads_open_each_store_once(folder: Path) -> None:
    with open_project(folder) as project, ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: (project.database, project.blobs, project.log), range(8)))

    assert len({tuple(map(id, stores)) for stores in opened}) == 1
