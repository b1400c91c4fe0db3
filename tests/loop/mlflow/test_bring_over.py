import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cd4ml.errors import InvalidInput, NotFound, Refused
from cd4ml.loop import Project, open_project
from cd4ml.loop.mlflow.bring_over import bring_over
from cd4ml.loop.mlflow.brought import Brought
from cd4ml.loop.mlflow.exported import export_version
from cd4ml.loop.mlflow.folders import import_folder
from cd4ml.loop.people import add_person
from cd4ml.models import aliases, registry
from cd4ml.records.experiment import Experiment
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.logged_model import ForeignRun, LoggedModel
from cd4ml.records.run import Metric, Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import ledger, rows
from cd4ml.store.tracking.history import history
from tests.killing import apart, kill_at_every_step
from tests.mlflow_clients import NEW, OLD, lay_out
from tests.mlflow_clients import run as run_client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # the first makes the environments

ANA = "ana"
CAME_NEW = Brought(
    experiments=3, runs=4, points=28, files=6, logged_models=1, models=1, versions=1, aliases=1
)


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """A history that MLflow 3 wrote into SQLite, one of MLflow 2 in a folder, and run ids."""
    folder = tmp_path_factory.mktemp("past")
    uri = f"sqlite:///{folder}/mlflow.db"
    ids = run_client(NEW, "history.py", [uri, f"{folder}/arts"], cwd=folder)
    old = folder / "old" / "mlruns"
    run_client(OLD, "history.py", [str(old), f"{folder}/old/arts"], cwd=folder)
    return folder / "mlflow.db", old, ids


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with open_project(lay_out(tmp_path / "flights")) as opened:
        add_person(opened, ANA, roles=(), actor=ANA)
        yield opened


def everything(project: Project) -> dict[str, Any]:
    """What a project has of runs and models, without when it was brought."""
    with project.database.read() as connection:
        runs = rows.find(connection, Run)
        return {
            "experiments": [each.name for each in rows.find(connection, Experiment)],
            "runs": [(run.name, run.state, run.parameters, run.tags) for run in runs],
            "metrics": [
                (each.run, each.name, each.value, each.is_nan, each.step, each.n_points)
                for each in rows.find(connection, Metric)
            ],
            "files": [
                (each.run, each.path, each.address) for each in rows.find(connection, RunArtifact)
            ],
            "ids": [(each.id, each.run) for each in rows.find(connection, ForeignRun)],
            "models": [each.id for each in rows.find(connection, LoggedModel)],
            "versions": [
                (each.ref, each.logged, each.tags) for each in registry.versions(connection)
            ],
        }


def test_a_whole_history_comes_over(
    project: Project, past: tuple[Path, Path, dict[str, Any]]
) -> None:
    database, _, ids = past

    assert bring_over(project, f"sqlite:///{database}", actor=ANA) == CAME_NEW

    with project.database.read() as connection:
        runs = {run.name: run for run in rows.find(connection, Run)}
        first = runs["first"]
        assert (first.experiment, first.state, first.note) == ("Flüge ✈", "finished", "seen")
        assert first.parameters == {"depth": "3", "name": "ü"}
        assert first.tags["k"] == "v"
        assert runs["gone"].deleted_at is not None
        assert runs["in the dead"].deleted_at is not None
        assert runs["goes on"].state == "running"
        metrics = {each.name: each for each in rows.find(connection, Metric, run=first.number)}
        assert (metrics["loss"].value, metrics["loss"].n_points) == (0.04, 25)
        assert (metrics["bad"].is_nan, metrics["far"].value) == (True, float("inf"))
        points = history(connection, first.number, "loss")
        assert [(each.step, each.value) for each in points[:2]] == [(0, 1.0), (1, 0.5)]
        (hello,) = rows.find(connection, RunArtifact, run=first.number)
        version = registry.version(connection, "delay", 1)
        assert (version.run, version.tags) == (first.number, {"gate": "pass"})
        pointed = aliases.require_alias(connection, "delay", "champion")
        assert pointed.number == 1
        found = registry.model(connection, "delay")
        assert (found.description, found.tags) == ("which flights are late", {"owner": "ana"})
        dead = rows.find(connection, Experiment, name="dead")[0]
        assert dead.deleted_at is not None
        assert rows.get(connection, ForeignRun, ids["first"]).run == first.number
        assert ledger.verify(connection) > 0
    assert hello.path == "notes/hello.txt"
    assert project.blobs.get(hello.address) == b"hello"


def test_the_same_history_again_changes_nothing(
    project: Project, past: tuple[Path, Path, dict[str, Any]]
) -> None:
    source = f"sqlite:///{past[0]}"
    bring_over(project, source, actor=ANA)
    before = everything(project)
    with project.database.read() as connection:
        entries = rows.count(connection, LedgerEntry)

    again = bring_over(project, source, actor=ANA)

    assert (again.runs, again.known, again.versions, again.left) == (0, 4, 0, [])
    assert everything(project) == before
    with project.database.read() as connection:
        assert rows.count(connection, LedgerEntry) == entries


def test_a_run_that_went_on_is_brought_up_to_date(
    project: Project, past: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    copy = tmp_path / "mlflow.db"
    shutil.copyfile(past[0], copy)
    bring_over(project, f"sqlite:///{copy}", actor=ANA)
    with sqlite3.connect(copy) as there:
        there.execute("UPDATE runs SET status = 'FINISHED' WHERE name = 'goes on'")
        there.execute(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
            "SELECT 'loss', 0.25, 1700000000000, run_uuid, 2, 0 FROM runs WHERE name = 'goes on'"
        )
    there.close()

    again = bring_over(project, f"sqlite:///{copy}", actor=ANA)

    assert (again.updated, again.known) == (1, 3)
    with project.database.read() as connection:
        run = next(each for each in rows.find(connection, Run) if each.name == "goes on")
        points = [(each.step, each.value) for each in history(connection, run.number, "loss")]
    assert (run.state, points) == ("finished", [(1, 0.5), (2, 0.25)])


def test_a_folder_mlruns_comes_over_also_after_it_was_moved(
    project: Project, past: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(past[1].parent, moved)
    (moved / "arts").rename(moved / "arts-there")  # what its absolute paths say is elsewhere
    (moved / "arts-there").rename(moved / "arts")

    came = bring_over(project, str(moved / "mlruns"), actor=ANA)

    assert msgspec.structs.replace(came, files=0) == msgspec.structs.replace(
        CAME_NEW, files=0, logged_models=0
    )
    with project.database.read() as connection:
        version = registry.version(connection, "delay", 1)
        states = sorted(
            (run.name, run.deleted_at is not None) for run in rows.find(connection, Run)
        )
    assert states == [("first", False), ("goes on", False), ("gone", True), ("in the dead", True)]
    assert version.logged
    assert bring_over(project, str(moved / "mlruns"), actor=ANA).known == 4


def kill_imports(database: str, into: str) -> None:
    """Imports killed at one step after another; prints how many."""
    source, folder = f"sqlite:///{database}", Path(into)
    template = lay_out(folder / "template")
    with open_project(template) as project:
        add_person(project, ANA, roles=(), actor=ANA)

    def opened(n: int) -> Project:
        if not (folder / f"p{n}").exists():
            shutil.copytree(template, folder / f"p{n}")
        return open_project(folder / f"p{n}")

    def attempt(n: int) -> Any:
        project = opened(n)
        return lambda: bring_over(project, source, actor=ANA)

    def afterwards(n: int) -> None:
        with opened(n) as project:
            bring_over(project, source, actor=ANA)
            found = everything(project)
        (folder / f"found{n}").write_bytes(msgspec.json.encode(found))

    watched = ("_run", "_version")
    n_kills = kill_at_every_step(
        attempt,
        lambda code: code.co_name in watched and code.co_filename.endswith("bring_over.py"),
        afterwards=afterwards,
        is_apart=True,
    )
    with opened(n_kills + 1) as project:
        bring_over(project, source, actor=ANA)
        (folder / "undisturbed").write_bytes(msgspec.json.encode(everything(project)))
    sys.stdout.write(str(n_kills))


@pytest.mark.crash
@pytest.mark.timeout(600)
def test_killed_anywhere_the_same_command_brings_the_rest(
    past: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    n_kills = int(apart(kill_imports, str(past[0]), str(tmp_path)))

    assert n_kills > 12
    undisturbed = (tmp_path / "undisturbed").read_bytes()
    for n in range(n_kills):
        assert (tmp_path / f"found{n}").read_bytes() == undisturbed


def test_what_is_no_history_is_refused(project: Project, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.db"
    sqlite3.connect(nothing).close()

    with pytest.raises(NotFound) as missing:
        bring_over(project, f"sqlite:///{tmp_path}/none.db", actor=ANA)
    with pytest.raises(NotFound) as unknown:
        bring_over(project, f"sqlite:///{nothing}", actor="nobody")
    with pytest.raises(InvalidInput) as empty:
        bring_over(project, f"sqlite:///{nothing}", actor=ANA)
    with pytest.raises(InvalidInput) as folder:
        bring_over(project, str(tmp_path), actor=ANA)

    assert missing.value.message == f"there is no database {tmp_path}/none.db"
    assert "nobody" in unknown.value.message
    assert empty.value.message == (
        f"sqlite:///{nothing} is no database of MLflow's: it has no tables experiments and runs"
    )
    assert folder.value.message == (
        f"{tmp_path} is no history of MLflow's: no folder in it has a meta.yaml"
    )


def test_files_that_are_not_here_are_said(
    project: Project, past: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    copy = tmp_path / "mlflow.db"
    shutil.copyfile(past[0], copy)
    with sqlite3.connect(copy) as there:
        there.execute("UPDATE runs SET artifact_uri = 's3://bucket/x' WHERE name = 'first'")
    there.close()

    came = bring_over(project, f"sqlite:///{copy}", actor=ANA)

    assert came.left == [f"files of run {past[2]['first']}: s3://bucket/x cannot be read from here"]


def test_an_mlmodel_folder_is_brought_in_and_not_loaded(
    project: Project, past: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    bring_over(project, f"sqlite:///{past[0]}", actor=ANA)
    folder = tmp_path / "out"
    assert "MLmodel" in export_version(project, "delay@champion", folder)
    (folder / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch /nowhere'\ntR.")

    brought = import_folder(project, folder, "other", actor=ANA)
    again = import_folder(project, folder, "other", actor=ANA)

    assert (brought.ref, brought.run, brought.artifact) == ("other/1", 0, "")
    assert again == brought
    with pytest.raises(InvalidInput, match="is no MLmodel folder: it has no file MLmodel"):
        import_folder(project, tmp_path, "other", actor=ANA)
    with pytest.raises(InvalidInput, match="holds something already"):
        export_version(project, "delay/1", folder)


def test_a_brought_model_answers_only_after_somebody_gave_their_word(
    project: Project, tmp_path: Path
) -> None:
    import pickle

    import polars as pl
    from sklearn.linear_model import LogisticRegression

    from cd4ml.loop.candidate import runtime_of
    from cd4ml.loop.graduate import package_version
    from cd4ml.loop.trust import trust

    frame = pl.DataFrame({"a": [-1.0, 0.0, 1.0], "b": [0.0, 1.0, 2.0]})
    fitted = LogisticRegression().fit(frame, [0, 0, 1])
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(fitted))
    (folder / "input_example.json").write_text('{"columns": ["b", "a"], "data": [[0, -1], [2, 1]]}')
    columns = '[{"type": "double", "name": "a"}, {"type": "double", "name": "b"}]'
    (folder / "MLmodel").write_text(
        "flavors: {sklearn: {pickled_model: model.pkl, serialization_format: pickle}}\n"
        "saved_input_example_info: {artifact_path: input_example.json}\n"
        f"signature: {{inputs: '{columns}'}}\n"
    )
    version = import_folder(project, folder, "late", actor=ANA)

    with pytest.raises(Refused, match="was not made by a run of this project"):
        package_version(project, version.ref, actor=ANA)
    trust(project, version.ref, why="I fitted it myself", actor=ANA)
    packaged = package_version(project, version.ref, actor=ANA)

    answer = runtime_of(project, packaged).score([{"a": 0.5, "b": 1.0}])
    expected = fitted.predict_proba(pl.DataFrame({"a": [0.5], "b": [1.0]}))[0, 1]
    assert answer == pytest.approx([expected], abs=1e-6)
