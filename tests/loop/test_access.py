"""Who may read what, and what the ledger keeps of it."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import cd4ml
from cd4ml.errors import NotAllowed, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.access import admit, open_table
from cd4ml.loop.catalog import catalog
from cd4ml.loop.compare import runs
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.people import add_person
from cd4ml.loop.retrain import ask
from cd4ml.loop.train import train
from cd4ml.loop.work import work
from cd4ml.store.people import SYSTEM
from tests.loop import world
from tests.loop.world import ANN, EVE, MAX, entries

DOC = "doc"  # has the role that may read


def restrict(folder: Path, *roles: str) -> None:
    """Let only these roles read the flights."""
    file = folder / "cd4ml.toml"
    readers = ", ".join(f'"{role}"' for role in roles)
    added = f'[data.flights]\nreaders = [{readers}]\npersonal = ["wind"]\n'
    file.write_text(file.read_text().replace("[data.flights]\n", added))


def unrestrict(folder: Path) -> None:
    file = folder / "cd4ml.toml"
    said = ("readers", "personal")
    kept = [line for line in file.read_text().splitlines() if not line.startswith(said)]
    file.write_text("\n".join(kept))


@pytest.fixture
def restricted(laid_out_folder: Path, tmp_path: Path) -> Iterator[Project]:
    """Flights that only medics may read; `doc` is one, `ann` an admin."""
    folder = Path(shutil.copytree(laid_out_folder, tmp_path / "small"))
    restrict(folder, "medic", "nurse")
    with open_project(folder) as project:
        add_person(project, DOC, roles=("medic",), actor=ANN)
        ingest(project, "flights", actor=ANN)
        yield project


def reads(project: Project) -> list[tuple[str, str, str]]:
    """The recorded reads: who, what, what for."""
    return [
        (entry.actor, entry.subject, entry.reason)
        for entry in entries(project)
        if entry.action == "dataset.read"
    ]


def test_who_has_the_role_reads_and_it_is_written_down(restricted: Project) -> None:
    table = open_table(restricted, "flights", actor=DOC, why="looking into it")

    assert table.collect().height == 600
    assert reads(restricted) == [(DOC, "flights@1", "looking into it")]
    (entry,) = [each for each in entries(restricted) if each.action == "dataset.read"]
    assert entry.details == {"digest": show_dataset(restricted, "flights").version.digest}


def test_an_admin_reads_and_is_written_down_as_well(restricted: Project) -> None:
    open_table(restricted, "flights@1", actor=ANN, why="an audit")

    assert reads(restricted) == [(ANN, "flights@1", "an audit")]


def test_who_has_no_role_is_told_which_one_it_takes(restricted: Project) -> None:
    before = entries(restricted)

    with pytest.raises(NotAllowed) as refused:
        open_table(restricted, "flights@1", actor=MAX, why="curiosity")

    assert str(refused.value) == (
        "max may not read flights: it needs the role medic or nurse, has release-manager\n"
        "  hint: cd4ml people add max --role medic"
    )
    assert entries(restricted) == before


def test_nobody_reads_without_a_name(restricted: Project) -> None:
    with pytest.raises(NotFound, match="nobody named 'mallory' works on this project"):
        open_table(restricted, "flights@1", actor="mallory", why="")
    with pytest.raises(NotAllowed, match="flights is restricted, and nobody says who reads it"):
        open_table(restricted, "flights@1", actor="", why="")


def test_what_is_not_restricted_is_read_by_everybody_and_not_written_down(
    project: Project,
) -> None:
    ingest(project, "flights", actor=ANN)

    assert open_table(project, "flights", actor="", why="").collect().height == 600
    assert reads(project) == []


def test_several_are_admitted_together_or_none_is(restricted: Project) -> None:
    ingest(restricted, "fares", path="data/*.csv", actor=ANN)
    open_one, closed = (show_dataset(restricted, name).version for name in ("fares", "flights"))

    with pytest.raises(NotAllowed):
        admit(restricted, open_one, closed, actor=EVE, why="diff")
    admit(restricted, open_one, closed, actor=DOC, why="diff")

    assert reads(restricted) == [(DOC, "flights@1", "diff")]


def test_a_run_takes_it_for_who_may_read_it(restricted: Project) -> None:
    run = train(restricted, actor=DOC).run
    again = train(restricted, actor=DOC).run  # all of it from the cache: it counts the same

    assert reads(restricted) == [(DOC, "flights@1", run.ref), (DOC, "flights@1", again.ref)]


def test_a_run_of_who_may_not_read_it_never_begins(restricted: Project) -> None:
    before = entries(restricted)

    with pytest.raises(NotAllowed, match="eve may not read flights"):
        train(restricted, actor=EVE)

    assert runs(restricted) == []
    assert entries(restricted) == before
    assert train(restricted, actor=DOC).run.ref == "run/1"


def test_another_name_for_the_same_data_opens_nothing(restricted: Project) -> None:
    """--data labelled=flights@1 gives a restricted version under an open name."""
    restricted.settings.data["open"] = restricted.settings.data["labelled"]

    with pytest.raises(NotAllowed, match="eve may not read flights"):
        train(restricted, data={"labelled": "flights@1"}, actor=EVE)


def test_retraining_reads_what_it_is_let_read(laid_out_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(laid_out_folder, tmp_path / "small"))
    restrict(folder, "medic")
    with open_project(folder) as project:
        world.release_first(project)
        world.live(project, 60)
        refused = work(project, owner="here").jobs  # the window that is over asks for it
    unrestrict(folder)
    restrict(folder, "medic", SYSTEM)
    with open_project(folder) as project:
        ingest(project, "flights", actor=ANN)  # describes it anew
        ask(project, reason="once more", actor=EVE)
        (done,) = work(project, owner="here").jobs
        read = reads(project)[-1]

    assert {(job.state, job.reason) for job in refused} == {
        (
            "failed",
            "system may not read flights: it needs the role medic\n"
            '  hint: readers = [..., "system"] in [data.flights] lets work that nobody asked for'
            " read it",
        )
    }
    assert done.state == "done", done.reason
    assert read == (SYSTEM, "flights@1", "run/2")


def test_a_restriction_holds_at_once_and_ends_with_an_entry(
    laid_out_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(laid_out_folder, tmp_path / "small"))
    with open_project(folder) as project:
        ingest(project, "flights", actor=ANN)
    restrict(folder, "medic")
    with open_project(folder) as project:
        with pytest.raises(NotAllowed):
            open_table(project, "flights", actor=EVE, why="")
        ingest(project, "flights", actor=ANN)
    unrestrict(folder)
    with open_project(folder) as project:
        with pytest.raises(NotAllowed):
            open_table(project, "flights", actor=EVE, why="")
        ingest(project, "flights", actor=ANN)  # the files are the same, the words are not
        (last,) = entries(project)[-1:]
        assert open_table(project, "flights", actor=EVE, why="").collect().height == 600

    assert (last.action, last.actor, last.details["readers"]) == ("dataset.described", ANN, [])


def test_the_catalog_shows_what_it_is_and_no_value(restricted: Project) -> None:
    seen = show_dataset(restricted, "flights", actor=EVE)
    (listed,) = catalog(restricted, actor=EVE)

    assert (seen.facts.may_read, seen.facts.personal) == (False, ("wind",))
    assert [column.name for column in seen.version.columns][:3] == ["carrier", "distance", "wind"]
    for version in (seen.version, *seen.versions, listed.newest):
        assert version is not None
        assert all(
            (column.minimum, column.maximum, column.latest) == (None, None, "")
            for column in version.columns
        )
    assert show_dataset(restricted, "flights", actor=DOC).version.columns[1].maximum is not None
    assert (
        catalog(restricted, actor=DOC)[0].newest
        == show_dataset(restricted, "flights", actor=DOC).version
    )


def test_who_brings_data_sees_no_more_of_it_than_others(restricted: Project) -> None:
    version = ingest(restricted, "flights", actor=EVE)

    assert {column.maximum for column in version.columns} == {None}


def test_rows_are_read_on_one_way_only() -> None:
    """A module that opens a version by itself would forget to ask who wants to read it."""
    allowed = {"loop/access.py", "data/versions.py"}
    root = Path(cd4ml.__file__).parent
    openers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom | ast.Attribute | ast.Name)
        for name in names(node)
        if name in ("scan_version", "open_version")
    }

    assert openers <= allowed


def names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [alias.name for alias in node.names]
    return [node.attr] if isinstance(node, ast.Attribute) else [getattr(node, "id", "")]
