"""The benchmark of rates of groups compares the same numbers, and sees when they are not the same."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_ours_and_fairlearn_s_are_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from benchmarks import bench_fairness as bench
    from benchmarks import grouped_rates

    rows = bench.people(5000)
    bench.write(rows, tmp_path)

    ours = bench.grouped(rows)
    theirs = grouped_rates.fairlearn(tmp_path)["values"]

    assert list(ours) == [
        *("sex", "race", "age", "sex x race", "sex x age", "race x age", "sex x race x age"),
    ]
    assert len(ours["sex x race x age"]["recall"]) == 40 + 2
    assert bench.farthest(ours, theirs) < 1e-9
    theirs["sex"]["recall"][0] += 0.25
    assert bench.farthest(ours, theirs) == pytest.approx(0.25)
