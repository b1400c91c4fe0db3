"""The benchmark of logging a model logs models, and compares medians without the first call."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_our_side_logs_each_model_and_says_what_each_call_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from benchmarks import bench_registry as bench

    monkeypatch.setitem(bench.TIMES, "cd4ml", 2)

    costs = bench.logged("cd4ml", Path(sys.executable))

    assert set(costs) == {"written", "log_model", "log_model, registered with a sample"}
    for calls in costs.values():
        assert len(calls) == 2
        assert all(wall > 0 for wall, _ in calls)


def test_the_first_call_of_a_process_stands_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from benchmarks import bench_registry as bench

    ours = {
        "written": [[0.5, 0], [0.01, 0]],
        "log_model": [[0.9, 0], [0.03, 0], [0.05, 0]],
        "log_model, registered with a sample": [[0.9, 0], [0.2, 0]],
    }
    theirs = {
        "log_model": [[9.0, 0], [8.0, 0]],
        "log_model, requirements given": [[9.0, 0], [0.1, 0]],
    }

    bench.say([ours], [theirs])

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["name"]: (line["value"], line["holds"]) for line in lines} == {
        "the model's bytes written and synced": (10, None),
        "log_model": (40, None),
        "log_model, beyond the bytes": (30, True),
        "log_model, registered with a sample, beyond the bytes": (190, False),
        "log_model, the first of a process": (900, None),
        "`mlflow.sklearn.log_model`": (8000, None),
        "`mlflow.sklearn.log_model`, requirements given": (100, None),
        "`mlflow.sklearn.log_model` beside log_model": (200, True),
    }
