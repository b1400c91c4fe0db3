"""The pipeline runs once a key, each on the rows of that key, and models are named by it."""

import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cd4ml.errors import InvalidInput, NotAllowed, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.compare import compare, listed_runs, run_report, runs
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.executors import Where
from cd4ml.loop.ingest import ingest
from cd4ml.loop.label import curate
from cd4ml.loop.lineage import lineage
from cd4ml.loop.partitions import PartitionReport, train_each
from cd4ml.loop.promote import approve, request
from cd4ml.loop.reproduce import reproduce
from cd4ml.loop.retrain import ask, retrain
from cd4ml.loop.train import train
from cd4ml.loop.watch import collect
from tests.loop.test_ingest import traces
from tests.loop.test_reproduce import outcomes
from tests.loop.world import ANN, EVE, MAX, live
from tests.pipeline.projects import edit

CONSTANTS = """

@step
def constants() -> dict:
    return {"half": 0.5}


@step
def summary(constants: dict, evaluation: Metrics) -> dict:
    return {"above": evaluation["auc"] - constants["half"]}
"""

BY_TOWN = """
import os

import polars as pl
from cd4ml import Metrics, step


@step
def evaluation(towns: pl.DataFrame) -> Metrics:
    if towns["town"][0] == "DL":
        os._exit(3)
    return {"process": os.getpid()}
"""


def carriers(project: Project, report: PartitionReport, step: str) -> dict[str, set[str]]:
    """Key -> the carriers in what a step of its run gave."""
    found = {}
    for each in report.runs:
        assert each.run is not None, each.reason
        path = project.blobs.path(each.run.run.outputs[step])
        found[each.key] = set(pl.read_parquet(path)["carrier"])
    return found


def test_each_key_has_a_run_on_its_own_rows(project: Project) -> None:
    report = train_each(project, "carrier", actor=ANN)

    assert (report.column, report.datasets) == ("carrier", ("flights", "labelled"))
    assert carriers(project, report, "examples") == {"AA": {"AA"}, "UA": {"UA"}}
    made = [each.run.run for each in report.runs if each.run]
    assert [run.partition for run in made] == ["carrier=AA", "carrier=UA"]
    assert {run.refs["flights"] for run in made} == {"flights@1"}
    heights = [pl.read_parquet(project.blobs.path(run.outputs["examples"])).height for run in made]
    assert sum(heights) == 600


def test_steps_that_do_not_depend_on_the_key_are_computed_once(project: Project) -> None:
    with (project.folder / "pipeline.py").open("a") as file:
        file.write(CONSTANTS)

    report = train_each(project, "carrier", actor=ANN)

    states = [
        {step.step: step.state for step in each.run.steps} for each in report.runs if each.run
    ]
    assert [each["constants"] for each in states] == ["computed", "cached"]
    assert [each["summary"] for each in states] == ["computed", "computed"]
    again = train_each(project, "carrier", actor=ANN)
    assert {s.state for each in again.runs if each.run for s in each.run.steps} == {"cached"}


def test_a_key_that_fails_does_not_stop_the_others(project: Project) -> None:
    path = project.folder / "pipeline.py"
    check = '    if set(training["carrier"]) == {"AA"}:\n        raise ValueError("no AA")\n'
    path.write_text(
        path.read_text().replace("    if strength <= 0:", f"{check}    if strength <= 0:")
    )

    report = train_each(project, "carrier", actor=ANN)

    failed, finished = report.runs
    assert (failed.key, failed.run) == ("AA", None)
    assert failed.reason == "pipeline.py:37: step 'delay' failed: ValueError: no AA"
    assert finished.run is not None
    assert finished.run.run.state == "finished"
    assert [each.run.partition for each in runs(project, state="failed")] == ["carrier=AA"]


def test_only_the_keys_that_are_wanted_are_run(project: Project) -> None:
    report = train_each(project, "flights.carrier", keys=["UA"], actor=ANN)

    assert report.datasets == ("flights",)
    assert [each.key for each in report.runs] == ["UA"]
    assert carriers(project, report, "examples") == {"UA": {"UA"}}


def test_other_data_and_values_go_to_every_key(project: Project) -> None:
    ingest(project, "flights", actor=ANN)

    report = train_each(
        project,
        "carrier",
        overrides={"delay.strength": 0.5},
        data={"flights": "flights@1"},
        experiment="by carrier",
        actor=ANN,
    )

    made = [each.run.run for each in report.runs if each.run]
    assert {run.parameters["delay.strength"] for run in made} == {0.5}
    assert {run.experiment for run in made} == {"by carrier"}


@pytest.mark.slow
def test_several_keys_at_a_time_take_processes_of_their_own(project: Project) -> None:
    report = train_each(project, "carrier", workers=2, actor=ANN)

    assert carriers(project, report, "examples") == {"AA": {"AA"}, "UA": {"UA"}}


def test_the_same_worker_computes_all_keys_until_one_kills_it(project: Project) -> None:
    names = ("AA", "DL", "UA")
    rows = "".join(f"{name},{n}\n" for n, name in enumerate(names))
    (project.folder / "towns.csv").write_text(f"town,n\n{rows}")
    with (project.folder / "cd4ml.toml").open("a") as file:
        file.write('\n[data.towns]\npath = "towns.csv"\n')
    (project.folder / "pipeline.py").write_text(BY_TOWN)

    with open_project(project.folder) as opened:
        arguments: dict[str, Any] = {"actor": ANN, "where": Where(executor="processes")}
        alive = train_each(opened, "town", keys=["AA", "UA"], **arguments)
        report = train_each(opened, "town", **arguments)

    processes = {each.run.metrics["process"] for each in alive.runs if each.run}
    assert len(processes) == 1
    assert processes.isdisjoint({os.getpid()})
    assert [(each.key, each.run is None) for each in report.runs] == [
        ("AA", False),
        ("DL", True),
        ("UA", False),
    ]
    assert report.runs[1].reason.endswith("it ended its process, with exit code 3")


@pytest.mark.parametrize(
    ("by", "keys", "message"),
    [
        (
            "town",
            [],
            "none of the datasets has a column 'town'\n"
            "  hint: known: carrier, distance, event_at, late, wind",
        ),
        (
            "flights.town",
            [],
            "the dataset 'flights' has no column 'town'\n"
            "  hint: known: carrier, distance, event_at, late, wind",
        ),
        (
            "fares.town",
            [],
            "no step takes a dataset named 'fares'\n  hint: known: flights, labelled",
        ),
        ("carrier", ["UA", "DL"], "no row of flights@1 has carrier 'DL'\n  hint: known: AA, UA"),
        ("carrier", ["UA", "UA"], "the key 'UA' is given twice\n  hint: each key has one run"),
        (
            "wind",
            [],
            "the column 'wind' of flights holds Float64, which is no key\n"
            "  hint: a key is text, a whole number, a boolean or a date",
        ),
    ],
)
def test_what_is_no_partition_is_refused(
    project: Project, by: str, keys: list[str], message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        train_each(project, by, keys=keys, actor=ANN)

    assert str(refused.value) == message
    assert runs(project) == []


def test_what_no_run_could_begin_with_makes_no_version(project: Project) -> None:
    before = traces(project)[0]
    wrong: list[dict[str, Any]] = [
        {"overrides": {"delay.stength": 1}},
        {"environment": "stagin"},
        {"data": {"flights": "january"}},
        {"experiment": ""},
    ]

    for arguments in wrong:
        with pytest.raises(InvalidInput):
            train_each(project, "carrier", actor=ANN, **arguments)
    with pytest.raises(NotFound):
        train_each(project, "carrier", actor="mallory")

    assert traces(project)[0] == before


def test_who_may_not_read_the_data_sees_no_key(project: Project) -> None:
    path = project.folder / "cd4ml.toml"
    path.write_text(path.read_text().replace('owner = "operations"', 'readers = ["analyst"]'))
    with open_project(project.folder) as opened, pytest.raises(NotAllowed):
        train_each(opened, "carrier", keys=["DL"], actor=EVE)


def test_runs_are_listed_and_compared_by_partition(project: Project) -> None:
    train(project, actor=ANN)
    train_each(project, "carrier", actor=ANN)

    assert [each.run.number for each in listed_runs(project, partition="carrier")] == [3, 2]
    assert [each.run.number for each in listed_runs(project, partition="carrier=AA")] == [2]
    differences = {d.name: d.values for d in compare(project, ["1", "2", "3"]).differences}
    assert differences["partition"] == ("-", "carrier=AA", "carrier=UA")
    with pytest.raises(NotFound) as missing:
        listed_runs(project, partition="carr%")
    assert str(missing.value) == (
        "no run was made for the partition 'carr%'\n"
        "  hint: cd4ml run --for-each COLUMN makes one a key"
    )


def test_models_of_different_keys_are_different_models(project: Project) -> None:
    report = train_each(project, "carrier", actor=ANN)

    names = {}
    for each in report.runs:
        assert each.run is not None
        names[each.key] = evaluate(project, each.run.run.ref, actor=ANN).verdict.model
    whole = train(project, actor=ANN).run

    assert names == {"AA": "delay-AA", "UA": "delay-UA"}
    assert evaluate(project, whole.ref, actor=ANN).verdict.model == "delay"


def test_the_lineage_leads_from_a_key_to_the_whole_dataset(project: Project) -> None:
    report = train_each(project, "carrier", keys=["AA"], actor=ANN)
    assert report.runs[0].run is not None

    found = lineage(project, report.runs[0].run.run.ref)

    names = {thing.name for thing in found.things}
    assert {"flights@1 where carrier=AA", "flights@1"} <= names


@pytest.mark.slow
def test_a_run_of_a_key_is_made_again_on_its_rows(released: Project) -> None:
    live(released, 30)
    collect(released)
    curate(released, actor=ANN)
    report = train_each(released, "carrier", keys=["UA"], actor=ANN)
    assert report.runs[0].run is not None

    found = reproduce(released, report.runs[0].run.run.ref, actor=ANN)

    assert report.runs[0].run.run.refs["labelled"] == "labelled@1"
    assert set(outcomes(found).values()) == {"identical"}


def test_a_run_of_the_key_that_is_empty_text_is_made_again_on_its_rows(project: Project) -> None:
    path = project.folder / "data" / "flights.csv"
    path.write_text(path.read_text().replace("\nUA,", '\n"",'))
    edit(project.folder, "contracts.py", '"AA", "UA"', '"AA", ""')
    report = train_each(project, "carrier", keys=[""], actor=ANN)
    assert report.runs[0].run is not None, report.runs[0].reason
    run = report.runs[0].run.run

    found = reproduce(project, run.ref, actor=ANN)

    assert run.partition == "carrier="
    assert set(outcomes(found).values()) == {"identical"}


def test_keys_are_counted_in_their_own_order(project: Project, tmp_path: Path) -> None:
    path = project.folder / "cd4ml.toml"
    path.write_text(path.read_text() + '\n[data.terminals]\npath = "data/terminals.csv"\n')
    table = pl.DataFrame({"terminal": [10, 9, None, 10], "late": [1, 0, 1, 0]})
    table.write_csv(project.folder / "data" / "terminals.csv")
    with (project.folder / "pipeline.py").open("a") as file:
        file.write(
            "\n\n@step\ndef n(terminals: pl.DataFrame) -> int:\n    return terminals.height\n"
        )

    with open_project(project.folder) as opened:
        report = train_each(opened, "terminal", actor=ANN)

        sizes = {
            each.key: opened.blobs.get(each.run.run.outputs["n"])
            for each in report.runs
            if each.run
        }
        assert sizes == {"9": b"1", "10": b"2"}
        assert list(sizes) == ["9", "10"]


def test_a_model_of_a_key_is_retrained_on_that_key(project: Project) -> None:
    report = train_each(project, "carrier", keys=["UA"], actor=ANN)
    assert report.runs[0].run is not None
    version = evaluate(project, report.runs[0].run.run.ref, actor=ANN).version
    assert version is not None
    request(project, version.ref, to="staging", reason="the first", actor=ANN)
    release = request(project, version.ref, to="production", reason="the first", actor=ANN)
    approve(project, release.ref, reason="looks good", actor=MAX)
    live(project, 40)
    collect(project)

    retrained = retrain(project, ask(project, reason="new winds", actor=EVE))

    run = run_report(project, retrained.run).run
    assert (run.partition, run.refs["labelled"]) == ("carrier=UA", "labelled@1")
    examples = pl.read_parquet(project.blobs.path(run.outputs["examples"]))
    assert set(examples["carrier"]) == {"UA"}
    assert retrained.version in ("", "delay-UA/2")
