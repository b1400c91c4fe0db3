"""`cd4ml import` and `cd4ml export`, with a database as MLflow 1 left it."""

import sqlite3
from pathlib import Path

import pytest

from tests.cli.shell import Capture, Shell
from tests.starter import ADMIN

OLD = """
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT, artifact_location TEXT,
                          lifecycle_stage TEXT);
CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, user_id TEXT, status TEXT, start_time BIGINT,
                   end_time BIGINT, lifecycle_stage TEXT, artifact_uri TEXT, experiment_id INTEGER);
CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT,
                      is_nan BOOLEAN);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
INSERT INTO experiments VALUES (0, 'Default', './mlruns/0', 'active'), (1, 'delays', 'x', 'active');
INSERT INTO runs VALUES ('0a', '', 'ana', 'FINISHED', 1500000000000, 1500000001000, 'active', '', 1);
INSERT INTO metrics VALUES ('auc', 0.7, 1500000000500, '0a', 0, 0);
INSERT INTO params VALUES ('depth', '3', '0a');
INSERT INTO tags VALUES ('mlflow.runName', 'the first', '0a');
"""


@pytest.fixture
def shell(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("COLUMNS", "200")
    return Shell(folder, capsys)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database without the tables and columns that MLflow has added since."""
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as there:
        there.executescript(OLD)
    there.close()
    return path


def test_import_mlflow_brings_what_an_old_database_has(shell: Shell, old: Path) -> None:
    said = shell(f"import mlflow sqlite:///{old} --as {ADMIN}")

    assert said == (
        "brought over: 1 experiments, 1 runs with 1 points, 0 files, 0 logged models, 0 models, "
        "0 versions, 0 aliases\n"
    )
    again = shell(f"import mlflow sqlite:///{old} --as {ADMIN}")
    assert again.splitlines()[1] == "1 runs were here already, 0 had gone on"
    assert shell.json(f"import mlflow sqlite:///{old} --as {ADMIN}")["known"] == 1
    found = shell("compare --experiment delays")
    assert "0.7" in found


def test_export_mlmodel_and_import_mlmodel_are_there_and_back(shell: Shell, tmp_path: Path) -> None:
    said = shell(f"export mlmodel diagnosis/1 {tmp_path}/out")
    assert said.startswith("wrote 7 files: MLmodel, code/cd4ml_answers.py, ")

    brought = shell(f"import mlmodel {tmp_path}/out late --as {ADMIN}")
    assert brought == "late/1 is what lay in out; it answers nobody yet\n"

    shell(f"export mlmodel late/1 {tmp_path}/out")
    assert shell.code == 1
    assert shell.error == (
        f"error: {tmp_path}/out holds something already\n"
        "  hint: name a folder that does not exist\n"
    )
    shell(f"export mlmodel late/1 {tmp_path}/again")
    for path in (tmp_path / "out").rglob("*.pkl"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
