"""A new project: laid out whole or not at all."""

import subprocess
from pathlib import Path

import pytest

from cd4ml.errors import AlreadyExists, InvalidInput, NotFound, Unavailable
from cd4ml.loop import init as laying_out
from cd4ml.loop import open_project
from cd4ml.loop.catalog import catalog
from cd4ml.loop.ingest import ingest
from cd4ml.loop.init import begin, examples, init
from cd4ml.loop.people import people
from cd4ml.loop.train import train

LAID_OUT = ("README.md", "cd4ml.toml", "data/patients.csv", "pipeline.py", "world.py")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def hidden(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.startswith(".")}


def test_a_project_has_settings_data_a_history_and_an_admin(tmp_path: Path) -> None:
    layout = init(tmp_path / "mine", actor="ann")

    assert layout.folder == str(tmp_path / "mine")
    assert layout.files == LAID_OUT
    assert layout.next_steps[1:] == ("cd4ml run", "cd4ml gate run/1", "cd4ml status")
    assert git(tmp_path / "mine", "log", "--format=%an: %s") == "ann: Lay out the project"
    with open_project(tmp_path / "mine") as project:
        assert project.settings.project.name == "mine"
        assert [(person.name, person.roles) for person in people(project)] == [("ann", ("admin",))]
    assert hidden(tmp_path) == set()


def test_it_remembers_its_stores_where_they_are(tmp_path: Path) -> None:
    """Not where it was laid out before it was moved there."""
    (tmp_path / "here").mkdir()
    begin(tmp_path / "here", actor="ann")
    init(tmp_path / "mine", actor="ann")

    for folder in (tmp_path / "here", tmp_path / "mine"):
        seen = (folder / ".cd4ml" / "stores").read_text()
        assert f"{folder}/.cd4ml/cd4ml.db\n" in seen
        assert ".cd4ml-init-" not in seen
    (tmp_path / "mine/.cd4ml/cd4ml.db").rename(tmp_path / "away")
    with open_project(tmp_path / "mine") as project, pytest.raises(Unavailable, match="is gone"):
        people(project)


def test_its_first_run_is_of_a_clean_revision(tmp_path: Path) -> None:
    init(tmp_path / "mine", actor="ann")

    with open_project(tmp_path / "mine") as project:
        run = train(project, actor="ann").run

    assert run.revision == git(tmp_path / "mine", "rev-parse", "HEAD")
    assert not run.is_dirty
    assert git(tmp_path / "mine", "status", "--short") == ""


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(AlreadyExists) as refused:
        init(tmp_path, name="mine", actor="ann")

    assert str(refused.value) == (
        f"{tmp_path} exists and is not an empty folder\n"
        "  hint: choose a new folder, or empty this one first"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()

    assert init(tmp_path / "mine", actor="ann").files == LAID_OUT


def test_the_folder_one_stands_in_stays_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    inode = here.stat().st_ino
    monkeypatch.chdir(here)

    layout = init(Path("."), actor="ann")

    assert here.stat().st_ino == inode
    assert layout.files == LAID_OUT
    assert layout.next_steps[0] == "cd4ml run"
    assert git(here, "status", "--short") == ""


def test_an_example_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = tmp_path / "examples" / "broken"
    example.mkdir(parents=True)
    (example / "cd4ml.toml").write_text('[project]\nname = "broken"\n')
    (example / "world.py").write_text("def lay_out(folder):\n    import a_package_nobody_has\n")
    monkeypatch.setattr(laying_out, "_examples", lambda: tmp_path / "examples")

    with pytest.raises(Unavailable) as refused:
        init(tmp_path / "new" / "mine", example="broken", actor="ann")

    assert str(refused.value) == (
        "the example 'broken' cannot be laid out: No module named 'a_package_nobody_has'\n"
        "  hint: nothing was laid out"
    )
    assert list((tmp_path / "new").iterdir()) == []


def test_a_git_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refused:
        init(tmp_path / "mine", actor="<>")

    assert str(refused.value) == (
        "git cannot begin a history: fatal: name consists only of disallowed characters: <>\n"
        "  hint: nothing was laid out"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable) as refused:
        init(tmp_path / "file" / "mine", actor="ann")

    assert str(refused.value) == (
        f"{tmp_path / 'file' / 'mine'} cannot be laid out: File exists\n"
        "  hint: may this user write there, and is there room?"
    )


def test_a_project_in_a_repository_joins_its_history(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")

    init(tmp_path / "mine", actor="ann")

    assert not (tmp_path / "mine" / ".git").exists()


def test_a_project_where_the_repository_ignores_it_has_its_own(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("mine/\n")

    init(tmp_path / "mine", actor="ann")

    assert (tmp_path / "mine" / ".git").is_dir()


def test_an_unknown_example_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as refused:
        init(tmp_path / "mine", example="fares", actor="ann")

    assert str(refused.value) == (
        f"no example named 'fares'\n  hint: known: {', '.join(examples())}"
    )
    assert examples() == ("computers", "flights", "houses", "lending", "starter")


@pytest.mark.parametrize("name", ["Mine", "my project", "-mine", "m" * 65, 'mine"'])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        init(tmp_path / "mine", name=name, actor="ann")

    assert str(refused.value) == (
        "expected a project name of lower-case letters, digits, '.', '_' and '-',"
        f" got {name!r}\n  hint: cd4ml init FOLDER --name my-project"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_actor_without_a_name_lays_out_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"^expected a name of 1 to 100"):
        init(tmp_path / "mine", actor=" ")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_files_becomes_a_project_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "My Pictures (2013)"
    (folder / "cats").mkdir(parents=True)
    (folder / "cats" / "tom.png").write_bytes(b"not really")

    layout = begin(folder, actor="ann")

    assert (layout.files, hidden(folder)) == (("cd4ml.toml",), {".cd4ml"})
    with open_project(folder) as project:
        assert project.settings.project.name == "my-pictures-2013"
        assert [(person.name, person.roles) for person in people(project)] == [("ann", ("admin",))]
        version = ingest(project, "cats", path="cats", actor="ann")
        assert (version.ref, version.kind, version.n_files) == ("cats@1", "files", 1)
        assert [entry.dataset.name for entry in catalog(project)] == ["cats"]
    with pytest.raises(AlreadyExists) as refused:
        begin(folder, actor="ann")
    assert str(refused.value) == (
        f"{folder} is a project already: it has cd4ml.toml\n  hint: cd4ml status"
    )


def test_what_cannot_become_a_project_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        begin(tmp_path, name="Not A Name", actor="ann")
    with pytest.raises(NotFound):
        begin(tmp_path / "nowhere", actor="ann")

    assert list(tmp_path.iterdir()) == []
