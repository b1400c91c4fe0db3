"""The benchmark of pipelines measures what it says."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def beside_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(BENCHMARKS / "five_steps"))


def test_a_chain_is_as_long_as_it_says(tmp_path: Path) -> None:
    from bench_pipeline import chain_of

    from cd4ml.pipeline.graph import build, declared_in
    from cd4ml.pipeline.module import imported

    (tmp_path / "chain.py").write_text(chain_of(5))
    with imported(tmp_path, "chain") as module:
        graph = build(declared_in(module, tmp_path), ())

    assert graph.names == ("s0", "s1", "s2", "s3", "s4")
    assert [step.needs for step in graph.steps[1:]] == [("s0",), ("s1",), ("s2",), ("s3",)]


def test_every_contestant_does_the_same_work(tmp_path: Path) -> None:
    """The script, cd4ml's steps and the programs of the engines give the same figure."""
    import json
    import subprocess

    import polars as pl
    import work
    from pipelines import STAGES

    numbers = range(2000)
    table = pl.DataFrame(
        {
            "month": [1 + n % 12 for n in numbers],
            "day": [1 + n % 28 for n in numbers],
            "hour": [n % 24 for n in numbers],
            "distance": [100 + n % 7 for n in numbers],
            "dep_delay": [float(n * 7 % 50) for n in numbers],
            "arr_delay": [float(n * 7 % 50 - n % 11) for n in numbers],
            "origin": ["EWR" if n % 2 else "JFK" for n in numbers],
            "dest": ["BOS" if n % 3 else "LAX" for n in numbers],
        }
    )
    (tmp_path / "data").mkdir()
    table.write_csv(tmp_path / "data" / "flights.csv")
    rows = work.features(work.clean(work.load(tmp_path / "data" / "flights.csv")))
    expected = work.evaluate(work.fit(rows), rows)

    five = BENCHMARKS / "five_steps"
    for name, (inputs, output) in STAGES.items():
        command = [sys.executable, five / "stage.py", name, *inputs, output]
        subprocess.run(command, cwd=tmp_path, check=True)
    staged = json.loads((tmp_path / "metrics.json").read_text())
    subprocess.run([sys.executable, five / "work.py"], cwd=tmp_path, check=True)

    assert 0.5 < expected["auc"] < 1
    assert staged == expected == json.loads((tmp_path / "metrics.json").read_text())
