"""The benchmark of the catalog fills a project and measures in it."""

import json
import sys
from pathlib import Path

import pytest


def test_a_small_catalog_is_filled_searched_and_traced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], empty_postgres_url: str
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from benchmarks import bench_catalog as bench

    for name, value in {"N_DATASETS": 20, "TOGETHER": 10, "REPEATS": 1, "LAYERS": 3}.items():
        monkeypatch.setattr(bench, name, value)
    monkeypatch.setattr(sys, "argv", ["bench_catalog.py", bench.SQLITE, empty_postgres_url])
    monkeypatch.setenv("CD4ML_DATABASE", "")

    bench.main()

    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [
        f"{kind}, {measured}"
        for kind in ("SQLite", "PostgreSQL")
        for measured in (
            *(f"search: {query}" for query in bench.QUERIES),
            *(f"lineage: {what}" for what in ("up", "down", "impact")),
        )
    ]
    assert [figure["name"] for figure in figures] == names
    assert all(figure["value"] > 0 for figure in figures)
