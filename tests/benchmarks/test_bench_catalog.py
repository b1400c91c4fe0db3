"""The benchmark of the catalog fills a project and measures in it."""

import json
import sys
from pathlib import Path

import pytest


def test_a_small_catalog_is_filled_searched_and_traced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from benchmarks import bench_catalog as bench

    for name, value in {"N_DATASETS": 20, "TOGETHER": 10, "REPEATS": 1, "LAYERS": 3}.items():
        monkeypatch.setattr(bench, name, value)
    monkeypatch.setattr(sys, "argv", ["bench_catalog.py"])

    bench.main()

    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [f"search sqlite: {query}" for query in bench.QUERIES]
    names += [f"lineage sqlite: {what}" for what in ("up", "down", "impact")]
    assert [figure["name"] for figure in figures] == names
    assert all(figure["value"] > 0 for figure in figures)
