"""A run that changed nothing is shown without the libraries of the screen, and looks the same."""

import io
from pathlib import Path

import pytest

from cd4ml.cli import main
from tests.starter import ADMIN

PIPELINE = """
from cd4ml import Metrics, step


@step
def a_long_name_of_a_step() -> dict:
    return {"a": 1}


@step
def evaluation(a_long_name_of_a_step: dict) -> Metrics:
    return {"auc": 0.75, "rows_in_all": 1200}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cd4ml.toml").write_text('[project]\nname = "small"\n')
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CD4ML_ACTOR", ADMIN)
    return tmp_path


def said(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stdout", pipe)
    assert main(list(words)) == 0
    return pipe.getvalue()


def test_it_looks_the_same_to_the_last_character(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(monkeypatch, "people", "add", ADMIN)
    said(monkeypatch, "run")

    again = [said(monkeypatch, "run").replace(f"run/{n}", "run/N") for n in (2, 3, 4)]

    assert again[0] == again[1] == again[2]
    assert again[0] == (
        "run/N finished\n"
        "step                           seconds  output\n"
        "───────────────────────────────────────────────\n"
        "a_long_name_of_a_step  cached     0.00  json\n"
        "evaluation             cached     0.00  metrics\n"
        "  auc          0.7500\n"
        "  rows_in_all  1,200\n"
        "  hint: cd4ml show run/N\n"
    )
