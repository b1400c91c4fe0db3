"""A run computes what has not been computed before, on data that has a version."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import polars as pl
import pytest

from cd4ml.errors import ContractViolated, InvalidInput, NotFound, PipelineError
from cd4ml.loop import Project, open_project
from cd4ml.loop.compare import compare, run_report, runs
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.label import curate
from cd4ml.loop.train import RunReport, train
from cd4ml.loop.watch import collect
from cd4ml.pipeline.module import imported
from tests.loop.test_ingest import add_flights, traces
from tests.loop.world import ANN, actions, live


def states(report: RunReport) -> Mapping[str, str]:
    return {step.step: step.state for step in report.steps}


def test_a_run_versions_its_data_and_keeps_what_it_measured(project: Project) -> None:
    report = train(project, actor=ANN)

    assert report.run.ref == "run/1"
    assert report.run.state == "finished"
    assert report.run.refs == {"flights": "flights@1", "labelled": "labelled@empty"}
    assert list(states(report)) == ["examples", "training", "holdout", "delay", "evaluation"]
    assert set(states(report).values()) == {"computed"}
    assert 0.6 < (report.metrics["auc"] or 0) < 1
    assert show_dataset(project, "flights").version.n_rows == 600
    assert actions(project)[-1] == "run.finished"


def test_a_second_run_computes_nothing(project: Project) -> None:
    first = train(project, actor=ANN)

    second = train(project, actor=ANN)

    assert set(states(second).values()) == {"cached"}
    assert second.metrics == first.metrics
    assert second.run.outputs == first.run.outputs


def test_another_value_computes_only_what_depends_on_it(project: Project) -> None:
    train(project, actor=ANN)

    report = train(project, overrides={"delay.strength": 0.5}, actor=ANN)

    assert report.run.parameters["delay.strength"] == 0.5
    assert states(report) == {
        "examples": "cached",
        "training": "cached",
        "holdout": "cached",
        "delay": "computed",
        "evaluation": "computed",
    }


def test_changed_files_are_a_new_version_for_the_next_run(project: Project) -> None:
    train(project, actor=ANN)
    add_flights(project)

    report = train(project, actor=ANN)

    assert report.run.refs["flights"] == "flights@2"
    assert set(states(report).values()) == {"computed"}


def test_pinned_data_are_taken_whatever_the_files_hold_now(project: Project) -> None:
    first = train(project, actor=ANN)
    add_flights(project)

    report = train(project, data={"flights": "flights@1"}, actor=ANN)

    assert report.run.refs["flights"] == "flights@1"
    assert set(states(report).values()) == {"cached"}
    assert report.run.outputs == first.run.outputs
    assert len(show_dataset(project, "flights").versions) == 1


def test_what_production_has_shown_is_taken_once_there_is_some(released: Project) -> None:
    live(released, 30)
    collect(released)
    curate(released, actor=ANN)

    report = train(released, actor=ANN)

    assert report.run.refs["labelled"] == "labelled@1"
    examples = pl.read_parquet(released.blobs.path(report.run.outputs["examples"]))
    assert examples.height == 630


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"overrides": {"delay.stength": 1.0}},
            "no parameter named 'delay.stength'\n  hint: known: delay.strength",
        ),
        (
            {"overrides": {"delay.strength": "much"}},
            "delay.strength",
        ),
        (
            {"data": {"fares": "fares@1"}},
            "no dataset named 'fares' in cd4ml.toml\n  hint: known: flights, labelled",
        ),
        (
            {"data": {"flights": "flights@1,5"}},
            "expected NAME@NUMBER, NAME@TAG or NAME@DATE, got 'flights@1,5'",
        ),
    ],
)
def test_what_is_not_known_is_refused_before_anything_is_recorded(
    project: Project, arguments: dict[str, Any], message: str
) -> None:
    ingest(project, "flights", actor=ANN)
    before = traces(project)[0]

    with pytest.raises(InvalidInput) as refused:
        train(project, actor=ANN, **arguments)

    assert message in str(refused.value)
    assert traces(project)[0] == before
    assert runs(project) == []


def test_a_version_that_is_not_there_cannot_be_pinned(project: Project) -> None:
    ingest(project, "flights", actor=ANN)

    with pytest.raises(NotFound, match="flights@9"):
        train(project, data={"flights": "flights@9"}, actor=ANN)

    assert runs(project) == []


def test_data_that_break_their_contract_are_not_trained_on(project: Project) -> None:
    path = project.folder / "data" / "flights.csv"
    pl.read_csv(path, try_parse_dates=True).with_columns(late=2.0).write_csv(path)

    with pytest.raises(ContractViolated, match="late"):
        train(project, actor=ANN)

    assert runs(project) == []


def test_a_step_that_fails_is_recorded_with_its_place(project: Project) -> None:
    with pytest.raises(PipelineError) as failed:
        train(project, overrides={"delay.strength": 0.0}, actor=ANN)

    assert str(failed.value) == (
        "pipeline.py:38: step 'delay' failed: ValueError: strength has to be positive\n"
        "  hint: run/1 keeps the traceback; finished steps will not run again"
    )
    report = run_report(project, "run/1")
    assert report.run.state == "failed"
    assert states(report)["delay"] == "failed"
    assert actions(project)[-1] == "run.failed"


def test_after_a_failure_finished_steps_do_not_run_again(project: Project) -> None:
    with pytest.raises(PipelineError):
        train(project, overrides={"delay.strength": 0.0}, actor=ANN)

    report = train(project, actor=ANN)

    assert states(report)["examples"] == "cached"
    assert states(report)["delay"] == "computed"


def test_a_pipeline_that_cannot_be_imported_names_the_line(project: Project) -> None:
    pipeline = project.folder / "pipeline.py"
    pipeline.write_text(pipeline.read_text().replace("import polars as pl", "import polers as pl"))

    with pytest.raises(PipelineError, match=r"^pipeline\.py:3: importing 'pipeline' failed"):
        train(project, actor=ANN)

    assert runs(project) == []


def test_whoever_is_not_known_runs_nothing(project: Project) -> None:
    with pytest.raises(NotFound, match="nobody named 'mallory'"):
        train(project, actor="mallory")

    assert runs(project) == []


def test_a_run_that_cannot_begin_here_keeps_no_other_thread_from_importing(
    project: Project,
) -> None:
    with pytest.raises(NotFound):  # after the pipeline was imported, in this process
        train(project, data={"flights": "flights@9"}, actor=ANN)

    def look() -> None:
        with imported(project.folder, "contracts"):
            pass

    other = Thread(target=look, daemon=True)
    other.start()
    other.join(10)

    assert not other.is_alive()
    assert "pipeline" not in sys.modules


def test_runs_are_listed_newest_first_or_best_first(project: Project) -> None:
    train(project, actor=ANN)
    train(project, overrides={"training.upside_down": True}, actor=ANN)

    assert [report.run.number for report in runs(project)] == [2, 1]
    assert [report.run.number for report in runs(project, sort_by="auc")] == [1, 2]
    assert [report.run.number for report in runs(project, limit=1)] == [2]
    assert runs(project, experiment="another") == []


def test_two_runs_are_compared_by_what_differs(project: Project) -> None:
    train(project, actor=ANN)
    train(project, overrides={"delay.strength": 1e-4}, actor=ANN)

    comparison = compare(project, ["run/1", "2"])

    assert comparison.runs == ("run/1", "run/2")
    differences = {line.name: line.values for line in comparison.differences}
    assert differences["delay.strength"] == (1.0, 1e-4)
    with pytest.raises(NotFound) as missing:
        compare(project, ["run/1", "run/9"])
    assert str(missing.value) == "no run '9'\n  hint: known: 1, 2"


@pytest.mark.parametrize("shares", [True, False])
def test_a_clone_with_the_same_blobs_computes_nothing_again(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shares: bool
) -> None:
    policy = "share_models = true" if shares else "share_steps = false"
    settings = project.folder / "cd4ml.toml"
    settings.write_text(f"[store]\n{policy}\n\n{settings.read_text()}")
    clone = tmp_path / "clone"
    shutil.copytree(project.folder, clone)
    monkeypatch.setenv("CD4ML_BLOBS", str(tmp_path / "team"))
    with open_project(project.folder) as here, open_project(clone) as there:
        first = train(here, actor=ANN)
        second = train(there, actor=ANN)

    assert second.run.outputs == first.run.outputs
    assert set(states(second).values()) == {"cached" if shares else "computed"}


def test_what_lies_in_the_projects_own_state_is_told_nobody(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CD4ML_BLOBS", raising=False)

    train(project, actor=ANN)

    assert not (project.state / "blobs" / "entries").exists()
