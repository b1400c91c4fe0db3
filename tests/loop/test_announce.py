"""Runs told to OpenLineage: valid events of what happened, and no run that suffers for it."""

import json
import logging
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from cd4ml.errors import ConfigurationError, PipelineError
from cd4ml.loop import Project, open_project
from cd4ml.loop.compare import runs
from cd4ml.loop.train import train
from tests.engines.openlineage_facts import assert_valid, collector
from tests.loop.world import ANN, BEGIN


def tell(project: Project, target: str) -> Project:
    """The project, whose runs are told there."""
    file = project.folder / "cd4ml.toml"
    file.write_text(f'{file.read_text()}\n[lineage]\nopenlineage = "{target}"\n')
    return open_project(project.folder)


def with_columns(project: Project) -> None:
    file = project.folder / "pipeline.py"
    declared = '@step(columns={"wind": ["flights.wind", "labelled.wind"], "day": []})\ndef examples'
    file.write_text(file.read_text().replace("@step\ndef examples", declared))


def written(project: Project) -> list[dict[str, Any]]:
    file = project.folder / "told" / "events.ndjson"
    events = [json.loads(line) for line in file.read_text().splitlines()]
    for event in events:
        assert_valid(event)
    return events


def test_a_run_is_told_when_it_begins_and_when_it_is_complete(project: Project) -> None:
    with_columns(project)
    with tell(project, "file:told/events.ndjson") as told:
        train(told, actor=ANN)

    start, complete = written(project)
    assert [each["eventType"] for each in (start, complete)] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert start["eventTime"] == BEGIN.isoformat()
    assert (start["job"]["namespace"], start["job"]["name"]) == ("cd4ml://small", "small.pipeline")
    assert start["outputs"] == []
    (flights,) = start["inputs"]
    assert flights["name"] == "flights"
    facets = flights["facets"]
    assert facets["version"]["datasetVersion"] == "flights@1"
    assert facets["schema"]["fields"][2] == {"fields": [], "name": "wind", "type": "Float64"}
    assert (facets["dataSource"]["name"], facets["dataSource"]["uri"]) == (
        "data/flights.csv",
        "file:data/flights.csv",
    )
    assert facets["ownership"]["owners"] == [{"name": "operations", "type": "OWNER"}]
    assert flights["inputFacets"]["inputStatistics"]["rowCount"] == 600
    assert flights["inputFacets"]["dataQualityAssertions"]["assertions"] == [
        {"assertion": "keeps its contract", "success": True, "params": {}}
    ]
    outputs = {each["name"]: each["facets"] for each in complete["outputs"]}
    assert list(outputs) == [
        f"small.pipeline.{step}"
        for step in ("examples", "training", "holdout", "delay", "evaluation")
    ]
    columns = outputs["small.pipeline.examples"]["columnLineage"]["fields"]
    assert [(each["name"], each["field"]) for each in columns["wind"]["inputFields"]] == [
        ("flights", "wind"),
        ("labelled", "wind"),
    ]
    assert columns["day"]["inputFields"] == []
    assert "columnLineage" not in outputs["small.pipeline.training"]


def test_a_run_that_fails_is_told_with_its_reason(project: Project) -> None:
    with tell(project, "file:told/events.ndjson") as told, pytest.raises(PipelineError):
        train(told, overrides={"delay.strength": -1.0}, actor=ANN)

    failed = written(project)[-1]
    assert failed["eventType"] == "FAIL"
    assert "strength has to be positive" in failed["run"]["facets"]["errorMessage"]["message"]
    parameters = failed["run"]["facets"]["executionParameters"]["parameters"]
    assert {"key": "delay.strength", "value": "-1.0"} in parameters


def test_the_code_is_named_by_its_commit_without_a_password(project: Project) -> None:
    def git(*words: str) -> bytes:
        return subprocess.run(
            ["git", "-C", str(project.folder), *words], check=True, capture_output=True
        ).stdout

    git("init", "-q")
    git("add", "pipeline.py")
    git("commit", "-qm", "first")
    git("remote", "add", "origin", "https://ann:secret@example.org/ann/small.git")
    with tell(project, "file:told/events.ndjson") as told:
        train(told, actor=ANN)

    location = written(project)[0]["job"]["facets"]["sourceCodeLocation"]
    assert location["version"] == git("rev-parse", "HEAD").decode().strip()
    assert location["repoUrl"] == "https://example.org/ann/small.git"
    assert "secret" not in json.dumps(written(project))


def test_broken_rules_are_told_without_their_values(project: Project) -> None:
    import polars as pl

    from cd4ml.data.snapshot import snapshot_frame
    from cd4ml.data.versions import publish
    from cd4ml.loop.ingest import ingest
    from cd4ml.records.contract import Contract, Field

    with tell(project, "file:told/events.ndjson") as told:
        ingest(told, "flights", actor=ANN)
        fields = (Field("wind", "number", maximum=1), Field("late", "number"))
        frame = pl.read_csv(told.folder / "data" / "flights.csv", try_parse_dates=True)
        snapshot = snapshot_frame(
            told.files, frame, source="x", refuse=False, contract=Contract(name="F", fields=fields)
        )
        with told.database.write() as connection:
            publish(connection, snapshot, dataset="flights", at=BEGIN, actor=ANN)
        train(told, data={"flights": "flights@2"}, actor=ANN)

    (flights,) = written(project)[0]["inputs"]
    assertions = flights["inputFacets"]["dataQualityAssertions"]["assertions"]
    told_rules = [(each["assertion"], each.get("column"), each["success"]) for each in assertions]
    assert told_rules[0] == ("keeps its contract", None, False)
    assert ("wind at most 1", "wind", False) in told_rules
    assert all("row" not in each["assertion"] for each in assertions)


def test_the_standard_s_variable_takes_precedence(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as seen, tell(project, "file:told/events.ndjson") as told:
        monkeypatch.setenv("OPENLINEAGE_URL", seen.url)
        monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "company")
        train(told, actor=ANN)
        monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
        train(told, actor=ANN)

    assert [event["eventType"] for event in seen.events] == ["START", "COMPLETE"]
    assert {event["job"]["namespace"] for event in seen.events} == {"company"}
    for event in seen.events:
        assert_valid(event)
    assert not (project.folder / "told").exists()


def test_a_collector_that_is_away_costs_a_run_a_second_and_no_event(project: Project) -> None:
    train(project, actor=ANN)  # what follows is all from the cache
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with tell(project, url) as told:
            began = time.perf_counter()
            run = train(told, actor=ANN).run
            took = time.perf_counter() - began

    kept = (project.state / "openlineage" / "waiting.ndjson").read_text().splitlines()
    assert run.state == "finished"
    assert took < 6.0  # a second of it is waiting
    assert [json.loads(line)["eventType"] for line in kept] == ["START", "COMPLETE"]


def test_an_event_that_cannot_be_made_ends_no_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("cd4ml.engines.openlineage.events.run_event", break_down)
    with tell(project, "file:told/events.ndjson") as told, caplog.at_level(logging.ERROR):
        assert train(told, actor=ANN).run.state == "finished"

    assert "the OpenLineage event START of run/1 could not be made" in caplog.text


def test_a_target_that_is_none_is_said_before_the_work(project: Project) -> None:
    with tell(project, "nowhere") as told, pytest.raises(ConfigurationError, match="'nowhere'"):
        train(told, actor=ANN)

    assert runs(project) == []


def test_nobody_is_told_where_nobody_asked(project: Project, tmp_path: Path) -> None:
    train(project, actor=ANN)

    assert not (project.state / "openlineage").exists()
