"""The benchmark of contracts counts what it planted, and notices what is missing."""

from pathlib import Path

import pytest

from benchmarks import bench_contracts as bench


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of 5,000 rows."""
    monkeypatch.setattr(bench, "N_ROWS", 5_000)


def test_every_planted_fault_is_reported_by_row_and_rule(tmp_path: Path) -> None:
    planted = bench.plant(bench.table())
    path = tmp_path / "broken.parquet"
    planted.frame.write_parquet(path)

    assert bench.reported(path, planted.faults) == {
        "name": "planted_faults_reported",
        "value": 1000,
        "unit": "faults",
        "goal": "== 1000",
        "holds": True,
    }
    assert not bench.reported(path, planted.faults - {min(planted.faults)})["holds"]


def test_both_contestants_find_the_same_rows(tmp_path: Path) -> None:
    clean = bench.table()
    broken, whole = tmp_path / "broken.parquet", tmp_path / "whole.parquet"
    clean.write_parquet(whole)
    bench.plant(clean).frame.write_parquet(broken)

    assert bench.ours(broken) == bench.by_hand(broken) == 1000
    assert bench.ours(whole) == bench.by_hand(whole) == 0
