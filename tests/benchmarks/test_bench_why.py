"""The benchmark of why fills a project and asks it."""

import json
import sys
from pathlib import Path

import pytest


def test_a_small_project_is_filled_and_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], empty_postgres_url: str
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from benchmarks import bench_why as bench

    for name, value in {"N_PREDICTIONS": 60, "N_WEEKS": 3, "N_MODELS": 2, "QUESTIONS": 2}.items():
        monkeypatch.setattr(bench, name, value)
    monkeypatch.setattr(sys, "argv", ["bench_why.py", bench.SQLITE, empty_postgres_url])
    monkeypatch.setenv("CD4ML_DATABASE", "")

    bench.main()

    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = (
        "the version of a prediction, by its id",
        "why PREDICTION",
        "why VERSION",
        "why DATASET of one model",
        "why DATASET of all models",
        "what was in production at a moment",
        "edges of lineage",
        "predictions",
    )
    assert [figure["name"] for figure in figures] == [
        f"{kind}, {name}" for kind in ("SQLite", "PostgreSQL") for name in names
    ]
    assert all(figure["value"] > 0 for figure in figures)
    assert {figure["value"] for figure in figures if figure["unit"] == "predictions"} == {60}
