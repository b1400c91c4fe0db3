"""The benchmark of tracking fills projects and measures in them; MLflow is left out."""

import json
import os
from pathlib import Path

import pytest


def test_small_projects_are_filled_and_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    monkeypatch.setenv("CD4ML_ACTOR", "bench")
    from benchmarks import bench_tracking as bench

    for name, value in {"N_MANY": 30, "N_WIDE": 8, "N_POINTS": 1000, "ROUNDS": 1}.items():
        monkeypatch.setattr(bench, name, value)
    bench.large(tmp_path)
    with bench.project_in(tmp_path / "few", 30, 8) as project:
        took = [
            bench.log(project, 20),
            bench.small_run(project),
            bench.search(project, 10),
            bench.until_visible(project),
        ]

    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(figures) == 9
    assert all(figure["value"] > 0 for figure in figures)
    assert all(seconds > 0 for seconds in took)
    assert os.environ["CD4ML_ACTOR"] == "bench"
