"""A run is made again from what it recorded, in a clean folder, and compared to the byte."""

import json
import shutil
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl
import pytest

from cd4ml.errors import (
    AlreadyExists,
    Corrupted,
    InvalidInput,
    NotAllowed,
    NotFound,
    PipelineError,
    Unavailable,
)
from cd4ml.loop import Project, open_project
from cd4ml.loop.label import curate
from cd4ml.loop.people import add_person
from cd4ml.loop.reproduce import reproduce
from cd4ml.loop.train import train
from cd4ml.loop.watch import collect
from cd4ml.pipeline.environment import Environment
from cd4ml.records.reproduction import Reproduction
from cd4ml.records.run import Run, StepRun
from cd4ml.store import ledger, rows
from tests.loop.test_ingest import add_flights
from tests.loop.world import ANN, EVE, actions, live
from tests.pipeline.test_revision import git

pytestmark = pytest.mark.slow  # each makes a run again in a process of its own

ALL_STEPS = ("examples", "training", "holdout", "delay", "evaluation")


def outcomes(found: Reproduction) -> dict[str, str]:
    return {step.step: step.outcome for step in found.steps}


def change_run(project: Project, **changes: object) -> None:
    """Another record of run 1 than it left."""
    with project.database.write() as connection:
        run = rows.get(connection, Run, 1)
        rows.replace(connection, msgspec.structs.replace(run, **changes))


def as_if_given(project: Project, step: str, data: bytes) -> None:
    """Record another output of a step of run 1 than it gave."""
    address = project.blobs.put(data)
    with project.database.write() as connection:
        known = rows.get(connection, StepRun, 1, step)
        rows.replace(connection, msgspec.structs.replace(known, output=address))


def edit(project: Project, before: str, after: str) -> None:
    path = project.folder / "pipeline.py"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def everything(folder: Path) -> dict[str, bytes]:
    """The files of a project beside what cd4ml keeps."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".cd4ml" not in path.parts and "__pycache__" not in path.parts
    }


@pytest.fixture
def repository(laid_out_folder: Path, tmp_path: Path) -> Iterator[Project]:
    """The project in a folder of a git repository, committed."""
    folder = tmp_path / "repository" / "models" / "small"
    shutil.copytree(laid_out_folder, folder)
    git(tmp_path / "repository", "init", "-q")
    (tmp_path / "repository" / ".gitignore").write_text(".cd4ml/\ndata/\n")
    git(tmp_path / "repository", "add", ".")
    git(tmp_path / "repository", "commit", "-q", "-m", "begin")
    with open_project(folder) as project:
        yield project


@contextmanager
def imported_from(folder: Path) -> Iterator[None]:
    """What lies in a folder outside of the project's own names can be imported meanwhile."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


class Reproduced(NamedTuple):
    """A run of which every step was cached, made again; the project is as it was left."""

    project: Project
    run: Run
    found: Reproduction
    before: dict[str, bytes]


@pytest.fixture(scope="module")
def reproduced(
    laid_out_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reproduced]:
    folder = tmp_path_factory.mktemp("reproduced") / "small"
    shutil.copytree(laid_out_folder, folder)
    with open_project(folder) as project:
        overrides = {"delay.strength": 0.1, "training.upside_down": True}
        train(project, overrides=overrides, actor=ANN)
        run = train(project, overrides=overrides, actor=ANN).run
        project.blobs.path(run.outputs["delay"]).unlink()  # its digest is still known
        before = everything(folder)
        yield Reproduced(project, run, reproduce(project, "2", actor=ANN), before)


def test_a_run_without_git_is_made_again_to_the_byte(reproduced: Reproduced) -> None:
    found = reproduced.found

    assert found.outcome == "identical"
    assert outcomes(found) == dict.fromkeys(ALL_STEPS, "identical")
    assert {step.step: step.rebuilt for step in found.steps} == reproduced.run.outputs
    assert (found.first, found.environment, found.is_same_code) == ("", "recorded", True)


def test_every_step_is_computed_though_all_of_them_are_cached(reproduced: Reproduced) -> None:
    with reproduced.project.database.read() as connection:
        states = {step.state for step in rows.find(connection, StepRun, run=2)}

    assert states == {"cached"}
    assert all(step.seconds > 0 for step in reproduced.found.steps)


def test_what_was_found_stands_in_the_ledger_and_nothing_else_changes(
    reproduced: Reproduced,
) -> None:
    assert everything(reproduced.project.folder) == reproduced.before
    with reproduced.project.database.read() as connection:
        (entry,) = ledger.entries(connection, "run/2", limit=1)
        assert rows.count(connection, Run) == 2
    assert (entry.action, entry.actor, entry.reason) == ("run.reproduced", ANN, "identical")
    assert entry.details["steps"] == dict.fromkeys(ALL_STEPS, "identical")


def test_an_edited_project_makes_the_run_that_was_not_the_one_that_is(project: Project) -> None:
    train(project, actor=ANN)
    edit(project, "examples.height * 2 // 3", "examples.height // 3")
    add_flights(project)

    found = reproduce(project, "run/1", actor=ANN)

    assert found.outcome == "identical"
    assert train(project, actor=ANN).run.outputs != {s.step: s.rebuilt for s in found.steps}


def test_changes_new_files_and_ignored_modules_are_part_of_what_ran(repository: Project) -> None:
    ignored = repository.folder / "data" / "__init__.py"
    ignored.write_text("STRENGTH = 2.0\n")
    (repository.folder / "rates.py").write_text("from data import STRENGTH\n")
    edit(repository, "import polars as pl", "import polars as pl\nfrom rates import STRENGTH")
    edit(repository, "C=strength", "C=strength * STRENGTH")
    run = train(repository, actor=ANN).run
    git(repository.folder, "checkout", "-q", ".")
    (repository.folder / "rates.py").unlink()
    ignored.unlink()

    found = reproduce(repository, "run/1", actor=ANN)

    assert run.is_dirty
    assert found.outcome == "identical"
    assert found.is_same_code


def test_the_data_of_a_project_are_no_part_of_its_code(project: Project) -> None:
    run = train(project, actor=ANN).run

    with tarfile.open(project.blobs.path(run.files)) as kept:
        assert kept.getnames() == ["cd4ml.toml", "contracts.py", "pipeline.py"]


def test_a_step_that_fails_now_is_told_with_its_reason(project: Project) -> None:
    train(project, actor=ANN)
    change_run(project, parameters={"delay.strength": -1.0, "training.upside_down": False})

    found = reproduce(project, "run/1", actor=ANN)

    assert (found.outcome, found.first, found.is_same_code) == ("failed", "delay", True)
    assert found.steps[3].note == (
        "pipeline.py:38: step 'delay' failed: ValueError: strength has to be positive"
    )
    assert (found.steps[4].outcome, found.steps[4].note) == ("failed", "not reached")


def test_a_pipeline_that_cannot_be_imported_there_has_made_nothing(repository: Project) -> None:
    (repository.folder / "data" / "mine.py").write_text("RATE = 1.0\n")
    edit(repository, "import polars as pl", "import mine\nimport polars as pl")
    outside = repository.folder / "data"
    with imported_from(outside):
        train(repository, actor=ANN)

    found = reproduce(repository, "run/1", actor=ANN)

    assert (found.outcome, found.first, found.is_same_code) == ("failed", "examples", None)
    assert found.steps[0].note == (
        "pipeline.py:3: importing 'pipeline' failed: ModuleNotFoundError: No module named 'mine'"
    )
    assert {step.note for step in found.steps[1:]} == {"not reached"}


def test_a_process_that_is_killed_leaves_no_result(project: Project) -> None:
    edit(
        project,
        "    encode = ColumnTransformer(",
        "    import os, signal\n"
        "    if 'cd4ml-reproduce-' in os.getcwd():\n"
        "        os.kill(os.getppid(), signal.SIGKILL)\n"
        "    encode = ColumnTransformer(",
    )
    train(project, actor=ANN)

    with pytest.raises(PipelineError) as failed:
        reproduce(project, "run/1", actor=ANN)

    assert str(failed.value) == (
        "making run/1 again ended without a result (exit code -9)\n"
        "  hint: --to FOLDER keeps its code, to try it there"
    )
    assert "run.reproduced" not in actions(project)


def test_another_environment_is_named_with_what_is_different(project: Project) -> None:
    train(project, actor=ANN)
    with project.database.read() as connection:
        run = rows.get(connection, Run, 1)
    recorded = project.blobs.get_record(run.environment, Environment)
    other = msgspec.structs.replace(
        recorded, distributions={**recorded.distributions, "polars": "0.1.0"}
    )
    change_run(project, environment=project.blobs.put_record(other), lock="")

    with pytest.raises(Unavailable) as refused:
        reproduce(project, "run/1", actor=ANN)
    found = reproduce(project, "run/1", this_environment=True, actor=ANN)

    difference = f"polars {pl.__version__} instead of 0.1.0"
    assert str(refused.value) == (
        "run/1 recorded no lock of its environment\n"
        f"  hint: --this-environment takes the present one, which differs: {difference}"
    )
    assert (found.environment, found.environment_differences) == ("this", (difference,))
    assert found.outcome == "identical"


def test_what_cannot_be_made_again_says_why(project: Project) -> None:
    with pytest.raises(PipelineError):
        train(project, overrides={"delay.strength": 0.0}, actor=ANN)
    with pytest.raises(InvalidInput) as unfinished:
        reproduce(project, "run/1", actor=ANN)
    assert str(unfinished.value) == (
        "run/1 failed, so there is no result to make again\n"
        "  hint: cd4ml compare lists the runs that finished"
    )
    with pytest.raises(NotFound, match="no run '9'"):
        reproduce(project, "run/9", actor=ANN)
    with pytest.raises(NotFound, match="nobody named 'mallory'"):
        reproduce(project, "run/1", actor="mallory")


def test_a_run_without_code_or_steps_cannot_be_made_again(project: Project) -> None:
    train(project, actor=ANN)
    change_run(project, files="")

    with pytest.raises(NotFound, match="run/1 recorded no code"):
        reproduce(project, "run/1", actor=ANN)

    with project.database.write() as connection:
        run = rows.get(connection, Run, 1)
        rows.insert(connection, msgspec.structs.replace(run, number=2))
    with pytest.raises(InvalidInput, match="run/2 was made outside the pipeline"):
        reproduce(project, "run/2", actor=ANN)


def test_a_commit_that_is_not_there_is_said(repository: Project, tmp_path: Path) -> None:
    train(repository, actor=ANN)
    change_run(repository, revision="1" * 40)

    with pytest.raises(NotFound) as missing:
        reproduce(repository, "run/1", actor=ANN)

    assert missing.value.message == (
        f"the repository of {repository.folder} has no commit 111111111111, at which run/1 was made"
    )
    shutil.rmtree(tmp_path / "repository" / ".git")
    with pytest.raises(NotFound, match="is in no git repository"):
        reproduce(repository, "run/1", actor=ANN)


def test_what_was_damaged_is_not_run(project: Project) -> None:
    run = train(project, actor=ANN).run
    path = project.blobs.path(run.files)
    path.chmod(0o644)
    path.write_bytes(b"other")

    with pytest.raises(Corrupted):
        reproduce(project, "run/1", actor=ANN)


def test_who_may_not_read_the_data_makes_nothing_again(project: Project) -> None:
    settings = project.folder / "cd4ml.toml"
    text = settings.read_text().replace('owner = "operations"', 'readers = ["analyst"]')
    settings.write_text(text)
    with open_project(project.folder) as restricted:
        train(restricted, actor=ANN)
        add_person(restricted, "adam", roles=("analyst",), actor=ANN)

        with pytest.raises(NotAllowed):
            reproduce(restricted, "run/1", actor=EVE)

        assert reproduce(restricted, "run/1", actor="adam").outcome == "identical"
        assert actions(restricted)[-2:] == ["dataset.read", "run.reproduced"]


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_is_a_number_of_zero_or_more(project: Project, tolerance: float) -> None:
    train(project, actor=ANN)

    with pytest.raises(InvalidInput, match="expected a tolerance of 0 or more"):
        reproduce(project, "run/1", tolerance=tolerance, actor=ANN)


def test_the_commit_is_laid_out_elsewhere_and_the_working_tree_left_alone(
    repository: Project, tmp_path: Path
) -> None:
    train(repository, actor=ANN)
    edit(repository, "examples.height * 2 // 3", "examples.height // 3")
    git(repository.folder, "commit", "-q", "-am", "fewer rows")
    edit(repository, "return examples.tail", "return 1 / 0; examples.tail")
    before = everything(repository.folder.parents[1])
    target = tmp_path / "again"

    found = reproduce(repository, "run/1", to=target, actor=ANN)

    assert (found.outcome, len(found.revision)) == ("identical", 40)
    after = everything(repository.folder.parents[1])
    assert {n: d for n, d in after.items() if n != ".git/index"} == {
        n: d for n, d in before.items() if n != ".git/index"
    }
    assert found.folder == str(target)
    text = (target / "models" / "small" / "pipeline.py").read_text()
    assert "examples.height * 2 // 3" in text
    with pytest.raises(AlreadyExists, match="exists and is not empty"):
        reproduce(repository, "run/1", to=target, actor=ANN)


def test_a_version_is_made_again_with_its_compiled_model(released: Project) -> None:
    found = reproduce(released, "delay@champion", actor=ANN)

    assert (found.run, found.version, found.outcome) == ("run/1", "delay/1", "identical")
    assert outcomes(found)["package"] == "identical"
    assert (
        found.steps[-1].note
        == "contract.json, estimator.pickle, explainer.msgpack, model.onnx, probes.json"
    )


def test_rows_of_production_are_taken_as_they_were_known(released: Project) -> None:
    live(released, 30)
    collect(released)
    curate(released, actor=ANN)
    run = train(released, as_of=released.clock.now(), actor=ANN).run

    assert run.refs["labelled"] == "labelled@1"
    assert reproduce(released, run.ref, actor=ANN).outcome == "identical"


def test_the_first_step_that_differs_is_named_with_what_differs(project: Project) -> None:
    report = train(project, actor=ANN)
    other = train(project, overrides={"delay.strength": 0.5}, actor=ANN).run
    training = pl.read_parquet(project.blobs.path(report.run.outputs["training"]))
    copy = project.folder.parent / "other.parquet"
    training.with_columns(wind=pl.col("wind") * 2).write_parquet(copy)
    as_if_given(project, "training", copy.read_bytes())
    as_if_given(project, "delay", project.blobs.get(other.outputs["delay"]))
    as_if_given(project, "evaluation", json.dumps({"auc": 0.5}).encode())

    found = reproduce(project, "run/1", actor=ANN)

    assert (found.outcome, found.first) == ("different", "training")
    assert outcomes(found)["examples"] == "identical"
    (wind,), (answers,), (auc,) = (found.steps[place].parts for place in (1, 3, 4))
    assert (wind.name, wind.note) == ("wind", "400 of 400 rows")
    assert wind.difference == pytest.approx(0.5)
    assert (answers.name, answers.note) == ("answers", "answers to 200 rows")
    assert 0 < (answers.difference or 0) < 0.1
    assert auc.name == "auc"
    assert auc.difference == pytest.approx((report.metrics["auc"] or 0) - 0.5)
    assert actions(project)[-1] == "run.reproduced"
