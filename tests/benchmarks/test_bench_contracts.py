"""The benchmark of contracts counts what it planted, and notices what is missing."""

import json
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, as it imports what is beside it, with a table of 5,000 rows."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from benchmarks import bench_contracts

    monkeypatch.setattr(bench_contracts, "N_ROWS", 5_000)
    return bench_contracts


def reported(capsys: pytest.CaptureFixture[str]) -> list[tuple[int, bool]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(line["value"], line["holds"]) for line in lines]


def test_every_planted_fault_is_reported_by_row_and_rule(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = bench.plant(bench.table())
    path = tmp_path / "broken.parquet"
    planted.frame.write_parquet(path)

    bench.reported(path, planted.faults)
    assert reported(capsys) == [(1000, True), (0, True)]

    bench.reported(path, planted.faults - {min(planted.faults)})
    assert reported(capsys) == [(999, False), (1, False)]


def test_both_contestants_find_the_same_rows(bench: ModuleType, tmp_path: Path) -> None:
    clean = bench.table()
    broken, whole = tmp_path / "broken.parquet", tmp_path / "whole.parquet"
    clean.write_parquet(whole)
    bench.plant(clean).frame.write_parquet(broken)

    assert bench.ours(broken) == bench.by_hand(broken) == 1000
    assert bench.ours(whole) == bench.by_hand(whole) == 0
