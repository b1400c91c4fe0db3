"""The benchmark of serving starts its contestants and says how they compare."""

import json
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")


@pytest.mark.usefixtures("benchmarks")
def test_an_endpoint_and_the_bare_echo_answer_and_end(tmp_path: Path) -> None:
    from benchmarks import bench_serving as bench
    from benchmarks import serving_peers as peers
    from benchmarks.serving_model import serve_flights

    served = serve_flights(tmp_path, n_rows=600, n_trees=2)
    body = json.dumps({"rows": served.rows[:1]}).encode()
    with (
        peers.running("cd4ml", peers.ours, "/predict", body, tmp_path, served.score) as endpoint,
        peers.running("bare echo", bench.bare, "/predict", body, tmp_path, None) as bare,
    ):
        assert endpoint.url != bare.url
        assert peers.memory_of(endpoint.pid) > peers.memory_of(bare.pid)
        assert peers.answer_of(peers.free_port(), "/predict", body) is None

    assert list((tmp_path / ".cd4ml" / "segments").iterdir())
    assert not any(psutil.pid_exists(each.pid) for each in (endpoint, bare))


@pytest.mark.usefixtures("benchmarks")
def test_a_server_that_answers_something_else_takes_no_part(tmp_path: Path) -> None:
    from benchmarks import bench_serving as bench
    from benchmarks import serving_peers as peers

    body = b'{"predictions": [0.25]}'  # as the echo says it

    with (
        pytest.raises(RuntimeError) as refused,
        peers.running("echo", bench.bare, "/predict", body, tmp_path, 0.75),
    ):
        pytest.fail("it takes part")

    assert str(refused.value) == "echo answers {'predictions': [0.25]}, expected 0.75"


@pytest.mark.usefixtures("benchmarks")
def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    from benchmarks import serving_peers as peers

    def failing(port: int) -> list[str | Path]:
        return [sys.executable, "-c", "raise SystemExit('no such model')"]

    with (
        pytest.raises(RuntimeError) as refused,
        peers.running("peer", failing, "/predict", b"{}", tmp_path, None),
    ):
        pytest.fail("it takes part")

    assert str(refused.value) == "peer did not start:\nno such model\n"


@pytest.fixture
def contest(benchmarks: None, tmp_path: Path) -> Any:
    from benchmarks.bench_serving import Contest
    from benchmarks.serving_model import Served

    rows = [{"hour": hour} for hour in range(1000)]
    return Contest("false", Served(tmp_path, rows, 0.5, ("", "")), tmp_path)


def test_contestants_are_compared_turn_by_turn(contest: Any) -> None:
    from benchmarks.bench_serving import MANY
    from benchmarks.load import Load

    def turns(*per_s: float) -> list[Load]:
        return [Load(each, 1e6 / each, 2e6 / each, 1e6 / each, 0) for each in per_s]

    contest.seen = {("cd4ml", MANY): turns(40, 10, 30), ("FastAPI", MANY): turns(20, 5, 60)}

    assert contest.ratio("cd4ml", "FastAPI", MANY, "per_s") == 2
    assert contest.ratio("cd4ml", "FastAPI", MANY, "cpu_us") == 0.5
    assert contest.middle("cd4ml", MANY, "per_s") == 30


def test_a_peer_that_dies_is_left_out_and_said(
    contest: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.bench_serving import MANY, ONE
    from benchmarks.serving_peers import Server

    dead = Server("MLServer", "http://127.0.0.1:9/predict", 2**22 + 1, 1.0)

    contest.take_turns([(dead, None)], (ONE, MANY), 2)

    assert contest.failed == {"MLServer"}
    assert contest.seen == {}
    assert capsys.readouterr().err.count("MLServer is left out: ") == 1


@pytest.mark.usefixtures("benchmarks")
def test_each_peer_is_sent_the_same_rows_in_its_own_form(contest: Any) -> None:
    from benchmarks.serving_peers import FASTAPI_ONNX, MLFLOW_SERVE

    assert contest.body(None, 2) == contest.body(FASTAPI_ONNX, 2)
    assert json.loads(contest.body(MLFLOW_SERVE, 2)) == {
        "dataframe_split": {"columns": ["hour"], "data": [[0], [1]]}
    }


@pytest.mark.usefixtures("benchmarks")
def test_the_body_is_posted_again_and_again(tmp_path: Path) -> None:
    from benchmarks.load import script

    written = script(tmp_path, "one", b'{"rows": []}')

    assert (tmp_path / "one.body").read_bytes() == b'{"rows": []}'
    assert str(tmp_path / "one.body") in written.read_text()
