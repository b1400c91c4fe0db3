"""Benchmarks, made small, in this process."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

Figures = list[dict[str, Any]]
MeasureOnBoth = Callable[[Any, Mapping[str, object]], Figures]


@pytest.fixture
def measure_on_both(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], empty_postgres_url: str
) -> MeasureOnBoth:
    """The figures of a benchmark on SQLite and PostgreSQL, with other values of its constants."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")

    def measured(bench: Any, constants: Mapping[str, object]) -> Figures:
        for name, value in constants.items():
            monkeypatch.setattr(bench, name, value)
        monkeypatch.setattr(sys, "argv", [bench.__file__, bench.SQLITE, empty_postgres_url])
        monkeypatch.setenv("CD4ML_DATABASE", "")
        bench.main()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return measured
