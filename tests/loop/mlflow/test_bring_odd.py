"""What a history may say, and what may be read of the machine because of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cd4ml.errors import InvalidInput
from cd4ml.loop import Project, open_project
from cd4ml.loop.mlflow.bring_over import bring_over
from cd4ml.loop.mlflow.exported import version_files
from cd4ml.loop.mlflow.past_files import FilesThere
from cd4ml.loop.people import add_person
from cd4ml.models import registry
from cd4ml.records.logged_model import LoggedModelMetric
from cd4ml.records.run import Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import rows
from cd4ml.store.tracking.history import history
from tests.mlflow_clients import NEW, lay_out
from tests.mlflow_clients import run as run_client

ANA = "ana"
ID = "0a1b"


@pytest.fixture(scope="module", params=["database", "folder"])
def odd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, dict[str, Any]]:
    """A history that says odd things; where it is, a folder that is none of its, and ids."""
    folder = tmp_path_factory.mktemp("odd")
    secret = folder / "secret"
    secret.mkdir()
    (secret / "secret.txt").write_text("the key")
    source = f"sqlite:///{folder}/mlflow.db"
    if request.param == "folder":
        source = str(folder / "mlruns")
    ids = run_client(NEW, "odd_history.py", [source, f"{folder}/arts", str(secret)], cwd=folder)
    return source, secret, ids


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with open_project(lay_out(tmp_path / "flights")) as opened:
        add_person(opened, ANA, roles=(), actor=ANA)
        yield opened


@pytest.mark.slow
@pytest.mark.timeout(600)  # the first makes the environments
def test_of_an_odd_history_everything_comes_but_what_is_said_to_be_left(
    project: Project, odd: tuple[str, Path, dict[str, Any]]
) -> None:
    source, secret, ids = odd
    run, here = ids["run"], ids["artifacts"]

    came = bring_over(project, source, actor=ANA)

    foreign = "is not among the artifacts of this history"
    assert came.left == [
        f"files of run {run}: link.txt is a link that leads out of them",
        f"run {run}: 1 point of the metric 'loss': no calendar has the time "
        "1795720606237319948 (milliseconds since 1970)",
        f"files of version delay/2: nothing lies at runs:/{run}/nothing",
        f"files of version delay/3: {secret} {foreign}",
        f"files of version delay/4: file://{secret} {foreign}",
        f"files of version delay/5: {here}/folder {foreign}",
        f"files of version delay/6: {here}/../../../secret {foreign}",
    ]
    assert (came.runs, came.logged_models, came.versions) == (2, 1, 6)
    with project.database.read() as connection:
        runs = {each.name: each.number for each in rows.find(connection, Run)}
        odd_one = runs["odd"]
        points = [(each.step, each.value) for each in history(connection, odd_one, "loss")]
        files = [each.path for each in rows.find(connection, RunArtifact, run=odd_one)]
        metrics = {
            each.name: (each.value, each.step, each.dataset, each.run)
            for each in rows.find(connection, LoggedModelMetric, model=ids["model"])
        }
        versions = registry.versions(connection, "delay")
    assert points == [(1, 0.25)]
    assert files == ["d/hello.txt"]
    assert metrics == {"auc": (0.8, 2, "held out", odd_one), "size": (3.0, 0, "", odd_one)}
    assert [sorted(version_files(project, each)) for each in versions] == [
        ["hello.txt"],
        *[[]] * 5,
    ]
    again = bring_over(project, source, actor=ANA)
    assert (again.runs, again.known, again.versions) == (0, 2, 0)


def other_databases(folder: Path) -> dict[str, str]:
    """Databases that are not MLflow's, and what is said of them."""
    said = {}
    for name, tables, missing in (
        ("shop", {"orders": "number"}, "tables experiments and runs"),
        (
            "lab",
            {"experiments": "name", "runs": "number", "metrics": "run"},
            "column 'experiment_id' in its table 'experiments'",
        ),
    ):
        with closing(sqlite3.connect(folder / f"{name}.db")) as database:
            for table, column in tables.items():
                database.execute(f"CREATE TABLE {table} ({column})")
        source = f"sqlite:///{folder}/{name}.db"
        said[source] = f"{source} is no database of MLflow's: it has no {missing}"
    return said


def test_a_database_of_something_else_is_called_so(project: Project, tmp_path: Path) -> None:
    said = other_databases(tmp_path)
    said |= {
        nothing: f"expected the URI of MLflow's backend store, got {nothing!r}"
        for nothing in ("sqlite:///", "sqlite://", "sqlite:///:memory:")
    }

    for source, message in said.items():
        with pytest.raises(InvalidInput) as refused:
            bring_over(project, source, actor=ANA)
        assert refused.value.message == message


def there(folder: Path, *parts: str) -> Path:
    found = folder.joinpath(*parts)
    found.mkdir(parents=True)
    (found / "a.txt").write_text("a")
    return found


def test_files_of_others_are_not_found_whatever_a_place_says(tmp_path: Path) -> None:
    mine = there(tmp_path, "mlruns", "0", ID, "artifacts")
    there(tmp_path, "artifacts")  # beside the history, and nobody's
    finds = FilesThere(f"sqlite:///{tmp_path}/mlflow.db", None)

    assert finds.files(str(mine), {ID}).files == {"a.txt": mine / "a.txt"}
    assert finds.files(f"mlruns/0/{ID}/artifacts", {ID}).files == {"a.txt": mine / "a.txt"}
    for place in (
        str(mine),
        f"{mine}/../../../../artifacts",
        f"/elsewhere/{ID}x/artifacts",
        "/etc",
        "file:///etc",
        "file:///%2e%2e/etc",
        "mlflow-artifacts:/../..",
        "http://[",
        "a\0b",
    ):
        found = finds.files(place, {"other"})
        assert (found.files, len(found.left)) == ({}, 1), place
    assert finds.files("", {ID}) == ({}, ())


def test_a_run_without_files_has_none_and_a_history_may_be_moved(tmp_path: Path) -> None:
    moved = there(tmp_path, "runs", ID, "artifacts")
    finds = FilesThere(f"sqlite:///{tmp_path}/mlflow.db", None)

    assert finds.files(f"/old/place/runs/{ID}/artifacts", {ID}).files == {"a.txt": moved / "a.txt"}
    assert finds.files(f"{tmp_path}/runs/none/artifacts", {"none"}) == ({}, ())
    assert finds.files("/no/such/place/here/runs/none/artifacts", {"none"}).left == (
        "/no/such/place/here/runs/none/artifacts cannot be read from here",
    )
