"""The same with PostgreSQL: a run in which nothing has changed is recorded by the driver alone."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from cd4ml import __version__
from cd4ml.loop import Project, open_project
from cd4ml.loop.audit import verify
from cd4ml.loop.compare import run_report
from cd4ml.loop.rerun import Again, Changed, run_again
from cd4ml.loop.run_report import RunReport
from cd4ml.loop.train import train
from cd4ml.pipeline import notes
from cd4ml.pipeline.signs import clock_ns
from tests.loop import world
from tests.loop.world import ANN

WORDS = ("run",)
LEFT_OUT = frozenset(
    [
        "number",
        "run",
        "started_at",
        "finished_at",
        "seconds",
        "logged_at",
        "seen_at",
        "sequence",
        "at",
        "previous",
        "digest",
    ]
)


@pytest.fixture
def project(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    monkeypatch.setenv("CD4ML_DATABASE", postgres_url)
    world.lay_out(tmp_path / "small")
    with open_project(tmp_path / "small") as opened:
        assert opened.database.dialect == "postgresql"
        yield opened


def run(project: Project) -> RunReport:
    return train(project, actor=ANN, words=WORDS)


def again(project: Project) -> Again:
    return run_again(WORDS, folder=str(project.folder), actor=ANN, version=__version__)


def rows_of_a_run(project: Project, number: int) -> dict[str, list[dict[str, Any]]]:
    """Every row that one run wrote, without numbers, times and seconds."""
    of = {
        "runs": ("number", number),
        "step_runs": ("run", number),
        "metrics": ("run", number),
        "nodes": ("address", f"run/{number}"),
        "edges": ("child", f"run/{number}"),
        "ledger": ("subject", f"run/{number}"),
    }
    found = {}
    with project.database.read() as connection:
        for table, (column, value) in of.items():
            asked = sa.text(f"SELECT * FROM {table} WHERE {column} = :value ORDER BY 1, 2")
            found[table] = [
                {
                    name: str(cell).replace(f"run/{number}", "run/N")
                    for name, cell in row.items()
                    if name not in LEFT_OUT
                }
                for row in connection.execute(asked, {"value": value}).mappings()
            ]
    return found


def test_it_is_recorded_and_told_as_the_ordinary_way_does(project: Project) -> None:
    run(project)
    run(project)

    fast = again(project)

    assert fast.ref == "run/3"
    assert rows_of_a_run(project, 3) == rows_of_a_run(project, 2)
    assert msgspec.convert(fast.report, RunReport) == run_report(project, fast.ref)
    assert verify(project).entries > 0


CHANGES = {
    "an actor who left": "DELETE FROM actors WHERE name = 'ann'",
    "a recomputed step": "UPDATE step_runs SET output = 'blake3:00' WHERE step = 'holdout'",
    "a reader's role": "UPDATE datasets SET readers = '[\"doctor\"]'",
    "a removed version": "INSERT INTO removed_versions VALUES ('flights', 1, now(), 'ann')",
    "a migration": "UPDATE cd4ml_migrations SET version_num = '9999'",
    "a lost table": "DROP TABLE tags",
}


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES)
def test_after_a_change_of_the_database_nothing_is_recorded(
    project: Project, statement: str
) -> None:
    run(project)
    with project.database.write() as connection:
        connection.exec_driver_sql(statement)

    with pytest.raises(Changed):
        again(project)

    with project.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar_one() == 1


def test_without_the_server_it_is_worked_out(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(project)
    (note,) = (project.state / notes.FOLDER).glob("*.json")

    monkeypatch.setenv("CD4ML_DATABASE", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Changed, match="no such run was noted"):  # it is another database
        again(project)

    assert "postgresql" not in note.read_text()  # a URL may hold a password


def test_the_url_of_the_settings_is_found_as_well(
    project: Project, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CD4ML_DATABASE")
    settings = project.folder / "cd4ml.toml"
    settings.write_text(settings.read_text() + f'\n[store]\ndatabase = "{postgres_url}"\n')
    while clock_ns(str(project.folder)) <= settings.stat().st_ctime_ns:
        pass  # what is written in the tick in which a run begins is not noted
    with open_project(project.folder) as opened:
        run(opened)

        assert again(opened).ref == "run/2"


def test_many_at_once_have_numbers_and_ledger_entries_of_their_own(project: Project) -> None:
    run(project)

    with ThreadPoolExecutor(4) as pool:
        refs = list(pool.map(lambda _: again(project).ref, range(8)))

    assert sorted(refs, key=lambda ref: int(ref[4:])) == [f"run/{n}" for n in range(2, 10)]
    assert verify(project).entries > 0


def test_sqlalchemy_is_not_imported(project: Project) -> None:
    run(project)
    program = (
        "import sys; from cd4ml.loop.rerun import run_again\n"
        f"sys.path[:] = {sys.path!r}\n"
        f"run_again(('run',), folder={str(project.folder)!r}, actor='ann', version={__version__!r})\n"
        "print(sorted({'sqlalchemy', 'polars', 'numpy'} & sys.modules.keys()))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("[]\n", "")
