"""Runs on odd data, and without a model: what is left out, why, and what comes next, is said."""

from pathlib import Path

import pytest

from cd4ml.loop import open_project
from cd4ml.loop.people import add_person
from tests.cli.shell import Capture, Shell
from tests.starter import ADMIN

PIPELINE = """
import polars as pl
from cd4ml import Metrics, step

@step
def counted(rides: pl.DataFrame) -> Metrics:
    return {"rides": rides.height}
"""


@pytest.fixture
def shell(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("CD4ML_EXECUTOR", "in-process")
    (tmp_path / "cd4ml.toml").write_text(
        '[project]\nname = "odd"\n\n[data.rides]\npath = "rides.csv"\n'
    )
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "rides.csv").write_text("town,minutes\nOslo,1\n,2\nBergen,3\n,4\n")
    with open_project(tmp_path) as project:
        add_person(project, ADMIN, roles=(), actor=ADMIN)
    return Shell(tmp_path, capsys)


def test_rows_without_a_key_are_counted(shell: Shell) -> None:
    said = shell("run --for-each town")

    assert said.splitlines()[-2:] == [
        "2 rows of rides without a value of town: in no run",
        "  hint: cd4ml compare --partition town",
    ]
    assert shell.json("run --for-each town")["n_without"] == 2
    assert "without a value" not in shell("run --for-each town=Oslo")


def test_a_run_without_a_model_is_not_said_to_be_judged(shell: Shell) -> None:
    first, again = shell("run"), shell("run")

    assert first.splitlines()[-1] == "  hint: cd4ml show run/1"
    assert again.splitlines()[-1] == "  hint: cd4ml show run/2"


def test_files_that_are_no_table_say_why(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "a.csv").write_text("town\nOslo\n")
    (tmp_path / "both" / "b.csv").write_text("city\nOslo\n")

    shell("run --data rides=both")

    assert shell.error.splitlines()[0] == (
        "error: rides_both@1 consists of files that are no table: "
        "both/b.csv has other columns than both/a.csv: it lacks 'town', has 'city' besides"
    )
