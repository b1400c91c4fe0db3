"""A run in which nothing has changed is recorded without working it out; anything else is worked out."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cd4ml import __version__
from cd4ml.loop import Project, open_project
from cd4ml.loop.audit import verify
from cd4ml.loop.compare import run_report
from cd4ml.loop.ingest import ingest
from cd4ml.loop.people import add_person
from cd4ml.loop.rerun import Again, Changed, run_again
from cd4ml.loop.run_report import RunReport
from cd4ml.loop.train import train
from cd4ml.pipeline import notes
from cd4ml.records.lineage import Edge, Node
from cd4ml.store import rows
from tests.loop.world import ANN, MAX
from tests.pipeline.projects import edit

WORDS = ("run",)
HOUR_NS = 3600 * 10**9


@pytest.fixture(autouse=True)
def on_files_and_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CD4ML_DATABASE", "CD4ML_BLOBS"):
        monkeypatch.delenv(name, raising=False)


def run(project: Project, **changes: Any) -> RunReport:
    return train(project, **{"actor": ANN, "words": WORDS, **changes})


def again(project: Project, words: tuple[str, ...] = WORDS, actor: str = ANN) -> Again:
    return run_again(words, folder=str(project.folder), actor=actor, version=__version__)


def opened_again(project: Project) -> Project:
    return open_project(project.folder)


def rows_of_a_run(project: Project, number: int) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that one run wrote, without numbers, times and seconds."""
    left_out = {"number", "run", "started_at", "finished_at", "seconds", "logged_at", "seen_at"}
    left_out |= {"sequence", "at", "previous", "digest"}
    of = {
        "runs": ("number", number),
        "step_runs": ("run", number),
        "metrics": ("run", number),
        "nodes": ("address", f"run/{number}"),
        "edges": ("child", f"run/{number}"),
        "ledger": ("subject", f"run/{number}"),
    }
    found = {}
    with closing(sqlite3.connect(project.folder / ".cd4ml/cd4ml.db")) as connection:
        for table, (column, value) in of.items():
            asked = connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,))
            names = [each[0] for each in asked.description]
            found[table] = sorted(
                tuple(
                    str(cell).replace(f"run/{number}", "run/N")
                    for name, cell in zip(names, row, strict=True)
                    if name not in left_out
                )
                for row in asked
            )
    return found


def test_it_is_recorded_as_the_ordinary_way_records_it(project: Project) -> None:
    run(project)
    ordinary = run(project)

    fast = again(project)

    assert (ordinary.run.ref, fast.ref) == ("run/2", "run/3")
    assert rows_of_a_run(project, 3) == rows_of_a_run(project, 2)
    assert verify(opened_again(project)).entries > 0


def test_its_report_is_the_one_that_is_read_back(project: Project) -> None:
    run(project)

    fast = again(project)

    told = msgspec.convert(fast.report, RunReport)
    kept = run_report(project, fast.ref)
    assert told.run == kept.run
    assert told.steps == kept.steps
    assert told.metrics == kept.metrics
    assert [step.state for step in told.steps] == ["cached"] * 5
    assert fast.steps[-1] == ("evaluation", "metrics")


def test_the_lineage_leads_to_its_data(project: Project) -> None:
    first = run(project)

    fast = again(project)

    with project.database.read() as connection:
        assert rows.get(connection, Node, fast.ref).kind == "run"
        parents = {edge.parent for edge in rows.find(connection, Edge, child=fast.ref)}
    assert parents == set(first.run.datasets.values())


def test_runs_that_follow_each_other_are_all_known(project: Project) -> None:
    run(project)

    assert [again(project).ref for _ in range(3)] == ["run/2", "run/3", "run/4"]


def test_a_run_of_the_same_values_in_other_words_is_noted_apart(project: Project) -> None:
    words = ("run", "--set", "delay.strength=0.5")
    run(project)
    changed = run(project, overrides={"delay.strength": 0.5}, words=words)

    assert again(project, words).report["run"]["parameters"] == changed.run.parameters
    assert again(project).report["run"]["parameters"]["delay.strength"] == 1.0
    with pytest.raises(Changed, match="no such run was noted"):
        again(project, ("run", "--set", "delay.strength=0.6"))


def touch(path: Path) -> None:
    """Another time, the same bytes."""
    at = path.stat().st_mtime_ns + HOUR_NS
    os.utime(path, ns=(at, at))


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def same_size(path: Path, old: str, new: str) -> None:
    """Other bytes of the same length, under the time of the old ones."""
    before = path.stat()
    text = path.read_text()
    assert len(old) == len(new)
    assert old in text
    path.write_text(text.replace(old, new, 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def of_the_state(project: Project, statement: str) -> None:
    with closing(sqlite3.connect(project.folder / ".cd4ml/cd4ml.db")) as connection:
        connection.execute(statement)
        connection.commit()


def an_output(project: Project) -> Path:
    with project.database.read() as connection:
        from cd4ml.records.run import Run

        run = rows.get(connection, Run, 1)
    path = project.blobs.path(run.outputs["holdout"])
    path.chmod(0o600)
    return path


def an_object(project: Project) -> Path:
    folder = project.files.objects.folder
    assert folder is not None
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


Change = Callable[[Project], object]

CHANGES: dict[str, Change] = {
    "an edit of a step": lambda p: edit(p.folder, "pipeline.py", "* 2 // 3", "* 3 // 4"),
    "an edit of the same size and time": lambda p: same_size(
        p.folder / "pipeline.py", "height // 3", "height // 4"
    ),
    "a comment": lambda p: append(p.folder / "pipeline.py", "# nothing\n"),
    "a contract": lambda p: edit(p.folder, "contracts.py", 'Field("wind", "number", minimum=0)',
                                 'Field("wind", "number", minimum=-1)'),
    "the policy": lambda p: append(p.folder / "cd4ml.toml", "# reviewed\n"),
    "a new module": lambda p: (p.folder / "more.py").write_text("X = 1\n"),
    "a new package": lambda p: (p.folder / "lib").mkdir(),
    "a row of the data": lambda p: append(p.folder / "data/flights.csv", "AA,1.0,1.0,2013-03-01T00:00:00.000000+0000,0.0\n"),
    "data of the same size and time": lambda p: same_size(
        p.folder / "data/flights.csv", "AA", "UA"
    ),
    "data that are gone": lambda p: (p.folder / "data/flights.csv").unlink(),
    "data behind a link": lambda p: behind_a_link(p.folder / "data"),
    "a version made by others": lambda p: add_version(p),
    "a removed version": lambda p: of_the_state(p, "INSERT INTO removed_versions VALUES ('flights', 1, '2013-01-01T00:00:00.000000Z', 'ann')"),
    "a deleted experiment": lambda p: of_the_state(p, "UPDATE experiments SET deleted_at = '2013-01-01T00:00:00.000000Z'"),
    "a renamed experiment": lambda p: of_the_state(p, "UPDATE experiments SET name = 'other'"),
    "a reader's role": lambda p: of_the_state(p, "UPDATE datasets SET readers = '[\"doctor\"]'"),
    "an actor who left": lambda p: of_the_state(p, "DELETE FROM actors WHERE name = 'ann'"),
    "a recomputed step": lambda p: of_the_state(p, "UPDATE step_runs SET output = 'blake3:00' WHERE step = 'holdout'"),
    "a migration": lambda p: of_the_state(p, "UPDATE cd4ml_migrations SET version_num = '9999'"),
    "a lost database": lambda p: (p.folder / ".cd4ml/cd4ml.db").unlink(),
    "a damaged output": lambda p: an_output(p).write_bytes(b"damaged"),
    "a lost output": lambda p: an_output(p).unlink(),
    "a lost object of the store": lambda p: an_object(p).unlink(),
    "bytes struck off": lambda p: of_the_state(p, "DELETE FROM stored_files"),
    "a run that was interrupted": lambda p: interrupted(p),
    "a lock": lambda p: (p.folder / "uv.lock").write_text("version = 2"),
    "a damaged note": lambda p: next((p.state / notes.FOLDER).glob("*.json")).write_text("{}"),
}  # fmt: skip


def behind_a_link(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")


def add_version(project: Project) -> None:
    copy = project.folder / "copy.csv"
    text = (project.folder / "data/flights.csv").read_text()
    copy.write_text(text[: text.rindex("\n", 0, -1) + 1])
    ingest(project, "flights", path="copy.csv", actor=ANN)


def interrupted(project: Project) -> None:
    (project.state / "runs").mkdir(exist_ok=True)
    (project.state / "runs" / "7.lock").touch()


@pytest.mark.parametrize("name", CHANGES)
def test_after_any_change_it_is_worked_out(project: Project, name: str) -> None:
    (project.folder / "uv.lock").write_text("version = 1")
    run(project)
    CHANGES[name](project)

    with pytest.raises(Changed):
        again(project)


HARMLESS: dict[str, Change] = {
    "another time of a module": lambda p: touch(p.folder / "pipeline.py"),
    "another time of the data": lambda p: touch(p.folder / "data/flights.csv"),
    "a file that nobody reads": lambda p: (p.folder / "notes.md").write_text("words"),
    "bytecode": lambda p: (p.folder / "__pycache__").mkdir(exist_ok=True),
    "somebody else": lambda p: add_person(p, "bea", roles=(), actor=ANN),
    "a run of somebody else": lambda p: train(p, actor=MAX),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_decides_nothing_changes_nothing(project: Project, name: str) -> None:
    run(project)
    HARMLESS[name](project)

    assert again(project).steps[0] == ("examples", "table")


def test_a_file_that_was_read_again_is_noted_as_it_is_now(project: Project) -> None:
    run(project)
    old = (project.folder / "pipeline.py").stat().st_mtime_ns - HOUR_NS
    os.utime(project.folder / "pipeline.py", ns=(old, old))

    again(project)

    note = notes.read(str(project.state), notes.key_of(str(project.state), WORDS, ANN, __version__))
    assert note is not None
    assert note.signs[str(project.folder / "pipeline.py")].stamp[1] == old


def test_an_environment_variable_of_ours_counts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(project)
    monkeypatch.setenv("CD4ML_BLOBS", str(project.folder / "others"))

    with pytest.raises(Changed):
        again(project)


def test_another_python_has_a_note_of_its_own(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(project)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])

    with pytest.raises(Changed):
        again(project)


def test_something_installed_meanwhile_is_looked_at(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "installed"
    installed.mkdir()
    monkeypatch.syspath_prepend(str(installed))
    run(project)
    assert again(project)

    (installed / "thing-2.0.dist-info").mkdir()

    with pytest.raises(Changed):
        again(project)


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
    subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True)


@pytest.fixture(params=["alone", "below the top"])
def committed(project: Project, request: pytest.FixtureRequest) -> Project:
    top = project.folder if request.param == "alone" else project.folder.parent
    (project.folder / ".gitignore").write_text(".cd4ml/\n__pycache__/\n")
    git(top, "init")
    git(top, "add", ".")
    git(top, "commit", "-m", "All")
    return project


def test_it_names_the_commit(committed: Project) -> None:
    first = run(committed)

    assert run_report(committed, again(committed).ref).run.revision == first.run.revision != ""


def test_another_commit_is_worked_out(committed: Project) -> None:
    run(committed)
    git(committed.folder, "commit", "--allow-empty", "-m", "Words")

    with pytest.raises(Changed, match="the commit, or what differs from it"):
        again(committed)


def test_a_tree_that_differs_as_before_is_known_and_one_that_differs_otherwise_is_not(
    committed: Project,
) -> None:
    (committed.folder / "notes.md").write_text("words")
    first = run(committed)

    assert run_report(committed, again(committed).ref).run.patch == first.run.patch != ""

    (committed.folder / "notes.md").write_text("words!")
    with pytest.raises(Changed):
        again(committed)


def test_a_step_that_is_never_cached_leaves_no_note(project: Project) -> None:
    edit(project.folder, "pipeline.py", "@step\ndef holdout", "@step(cache=False)\ndef holdout")
    run(project)

    with pytest.raises(Changed, match="no such run was noted"):
        again(project)


def test_a_module_that_is_edited_while_the_run_goes_on_leaves_no_note(project: Project) -> None:
    def progress(step: str, state: str, _seconds: float) -> None:
        if (step, state) == ("evaluation", "computed"):
            append(project.folder / "contracts.py", "# later\n")

    run(project, progress=progress)

    with pytest.raises(Changed):
        again(project)


def test_without_a_project_there_is_nothing_to_know(tmp_path: Path) -> None:
    with pytest.raises(Changed, match="no such run was noted"):
        run_again(WORDS, folder=str(tmp_path), actor=ANN, version=__version__)


def test_neither_heavy_libraries_nor_the_project_are_imported(project: Project) -> None:
    environment = {**os.environ, "CD4ML_ACTOR": ANN}
    program = (
        "import sys\n"
        "from cd4ml.cli import main\n"
        "code = main(['run'])\n"
        "heavy = {'sqlalchemy', 'polars', 'numpy', 'msgspec', 'rich', 'argparse', 'pipeline'}\n"
        "print(code, sorted(heavy & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", program]

    first = subprocess.run(
        command, cwd=project.folder, env=environment, check=True, capture_output=True, text=True
    )
    second = subprocess.run(
        command, cwd=project.folder, env=environment, check=True, capture_output=True, text=True
    )

    assert "sqlalchemy" in first.stdout.splitlines()[-1]
    assert second.stdout.splitlines()[-1] == "0 []"


def test_notes_that_are_too_many_go(project: Project) -> None:
    run(project)
    note = notes.read(str(project.state), notes.key_of(str(project.state), WORDS, ANN, __version__))
    assert note is not None

    for number in range(60):
        notes.write(str(project.state), f"key{number}", note)

    assert len(list((project.state / notes.FOLDER).glob("*.json"))) == 50
    shutil.rmtree(project.state / notes.FOLDER)


def test_a_copy_of_the_project_is_another_project(project: Project, tmp_path: Path) -> None:
    """Its note would lead to the database of the first one."""
    run(project)
    shutil.copytree(project.folder, tmp_path / "copy")

    with pytest.raises(Changed, match="no such run was noted"):
        run_again(WORDS, folder=str(tmp_path / "copy"), actor=ANN, version=__version__)


def test_many_at_once_have_numbers_and_ledger_entries_of_their_own(project: Project) -> None:
    run(project)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: again(project).ref, range(24)))

    assert sorted(found) == sorted(f"run/{number}" for number in range(2, 26))
    assert verify(project).entries > 24


READING = """
@step
def surroundings() -> list:
    import os
    from pathlib import Path

    here = Path(__file__).parent
    words = here / ("wor" + "ds")
    return [words.read_text(), os.listdir(here / ("par" + "ts")), os.getenv("cd4ml_" + "test")]
"""

READ: dict[str, Change] = {
    "nothing": lambda p: None,
    "a file": lambda p: (p.folder / "words").write_text("other"),
    "a folder": lambda p: (p.folder / "parts/b").touch(),
    "a variable": lambda p: os.environ.update(cd4ml_test="here"),
}


def refuse_unless_computed(project: Project, steps: set[str]) -> None:
    """After the first run: these steps are computed again and no others; if none are, at once."""
    if not steps:
        assert again(project).ref == "run/2"
        return
    with pytest.raises(Changed):
        again(project)
    ran = run(project)
    assert {s.step for s in ran.steps if s.state == "computed"} == steps
    assert again(project).ref == "run/3"


@pytest.mark.parametrize("name", READ)
def test_what_a_step_was_seen_to_read_is_compared(
    project: Project, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("cd4ml_test", "there")
    append(project.folder / "pipeline.py", READING)
    (project.folder / "parts").mkdir()
    (project.folder / "words").write_text("some")
    run(project)

    READ[name](project)

    refuse_unless_computed(project, set() if name == "nothing" else {"surroundings"})


IMPORTING = """
from pathlib import Path
import os

@step
def limit(
    *,
    most: int = int(os.environ.get("MOST", "3")),
    least: int = int((Path(__file__).parent / ("lea" + "st")).read_text()),
) -> list:
    return [least, most]
"""

IMPORTED: dict[str, Change] = {
    "nothing": lambda p: None,
    "a file": lambda p: (p.folder / "least").write_text("1"),
    "a variable": lambda p: os.environ.update(MOST="5"),
}


@pytest.mark.parametrize("name", IMPORTED)
def test_what_defaults_are_made_of_is_compared(
    project: Project, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOST", "4")
    append(project.folder / "pipeline.py", IMPORTING)
    (project.folder / "least").write_text("0")
    run(project)

    IMPORTED[name](project)

    if name == "nothing":
        assert again(project).ref == "run/2"
        return
    with pytest.raises(Changed):
        again(project)
    given = run(project).run.parameters
    assert (given["limit.least"], given["limit.most"]) == {"a file": (1, 4)}.get(name, (0, 5))


LOOKING = """
@step
def parts(*, also: str = "more/*.csv") -> list:
    from pathlib import Path

    import polars as pl

    import json
    import os

    here = Path(__file__).parent
    places = [here / "parts/*.csv", here / "whole", here / also]
    places += [here / json.loads((here / "places.json").read_text())["said"]]
    places += [here / os.environ["PLACE"]]
    return [pl.scan_csv(each).collect().height for each in places]
"""

LOOKED: dict[str, Change] = {
    "nothing": lambda p: None,
    "a file for a pattern": lambda p: (p.folder / "parts/b.csv").write_text("x\n1\n"),
    "a file in a folder": lambda p: (p.folder / "whole/a.csv").write_text("x\n1\n2\n"),
    "a file more in a folder": lambda p: (p.folder / "whole/b.csv").write_text("x\n1\n"),
    "a file for a parameter": lambda p: (p.folder / "more/b.csv").write_text("x\n1\n"),
    "a file of settings": lambda p: (p.folder / "said/a.csv").write_text("x\n1\n2\n"),
    "a file of a variable": lambda p: (p.folder / "given/a.csv").write_text("x\n1\n2\n"),
    "a file of a parameter": lambda p: (p.folder / "more/a.csv").write_text("x\n1\n2\n"),
}


@pytest.mark.parametrize("name", LOOKED)
def test_folders_that_polars_looks_through_are_compared(
    project: Project, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "given/a.csv")
    append(project.folder / "pipeline.py", LOOKING)
    (project.folder / "places.json").write_text('{"said": "said"}')
    for folder in ("parts", "whole", "more", "said", "given"):
        (project.folder / folder).mkdir()
        (project.folder / folder / "a.csv").write_text("x\n1\n")
    run(project)

    LOOKED[name](project)

    refuse_unless_computed(project, set() if name == "nothing" else {"parts"})
