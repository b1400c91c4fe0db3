"""The benchmark of serving starts its contestants and says how they compare."""

import json
import sys
from pathlib import Path

import pytest


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")


@pytest.mark.usefixtures("benchmarks")
def test_an_endpoint_and_the_bare_echo_answer_the_same_row(tmp_path: Path) -> None:
    from benchmarks import bench_serving as bench
    from benchmarks.load import memory_mb
    from benchmarks.serving_model import serve_flights

    served = serve_flights(tmp_path, n_rows=600, n_trees=2)
    body = json.dumps({"rows": served.rows[:1]}).encode()
    ours = [sys.executable, "-m", "cd4ml", "serve", "--in", "production", "--port"]
    echo = [sys.executable, bench.HERE / "serving_app.py", "echo"]
    with (
        bench.running("cd4ml", ours, [], tmp_path, body) as endpoint,
        bench.running("bare echo", echo, [], tmp_path, body) as bare,
    ):
        assert endpoint.url != bare.url
        assert memory_mb(endpoint.pid) > memory_mb(bare.pid)
        assert not bench.answers(bench.free_port(), body)

    assert list((tmp_path / ".cd4ml" / "segments").iterdir())


@pytest.mark.usefixtures("benchmarks")
def test_the_endpoint_is_compared_turn_by_turn() -> None:
    from benchmarks import bench_serving as bench
    from benchmarks.load import Load

    def turns(*per_s: float) -> list[Load]:
        return [Load(each, 1e6 / each, 2e6 / each, 1e6 / each, 0) for each in per_s]

    seen = {("cd4ml", 1): turns(40, 10, 30), ("FastAPI", 1): turns(20, 5, 60)}

    assert bench.ratio(seen, 1, "per_s", "FastAPI") == 2
    assert bench.ratio(seen, 1, "cpu_us", "FastAPI") == 0.5
    assert bench.middle(seen["cd4ml", 1], "per_s") == 30


@pytest.mark.usefixtures("benchmarks")
def test_the_body_is_posted_again_and_again(tmp_path: Path) -> None:
    from benchmarks.load import script

    written = script(tmp_path, "one", b'{"rows": []}')

    assert (tmp_path / "one.body").read_bytes() == b'{"rows": []}'
    assert str(tmp_path / "one.body") in written.read_text()
