"""Several processes answer at one address as one endpoint, whoever of them dies."""

import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from cd4ml.models.runtime import load
from tests.models.builders import ROW, boosted, logistic
from tests.serving.builders import BODY, Caller, Released, Server, arm, server, until
from tests.serving.test_rollout import Load

pytestmark = pytest.mark.slow  # each test starts several processes

N = 2


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Released]:
    """A project in which a second of a CPU costs a euro."""
    project = Released(tmp_path_factory.mktemp("workers") / "project", sqlite_template)
    prices = '[prices]\ncpu_hour = 3600.0\ncurrency = "EUR"\n'
    (project.folder / "cd4ml.toml").write_text(f'[project]\nname = "flights"\n{prices}')
    project.plan(arm(project.model(boosted())))
    yield project
    project.project.close()


@pytest.fixture(scope="module")
def running(released: Released) -> Iterator[Server]:
    """One endpoint of several workers."""
    with server(released.folder, workers=N) as process:
        yield process


def log_of(project: Released) -> str:
    return (project.folder / "server.log").read_text()


def process_of(caller: Caller) -> int:
    number: int = caller.get("/ready").json["process"]
    return number


def one_of_each(running: Server, stack: ExitStack) -> dict[int, Caller]:
    """A connection to each worker, by its process; on a busy machine one may take several first."""
    found: dict[int, Caller] = {}
    for _ in range(100):
        caller = stack.enter_context(running.caller())
        found.setdefault(process_of(caller), caller)
        if len(found) == N:
            return found
    raise AssertionError(f"only {list(found)} take connections")


def half_sent(running: Server) -> socket.socket:
    """A connection over which the first half of a request was sent."""
    connection = socket.create_connection(("127.0.0.1", running.port))
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY)
    connection.sendall(head + BODY[:20])
    time.sleep(0.1)  # until a worker has it
    return connection


def test_connections_are_shared_evenly(running: Server) -> None:
    def is_even() -> bool:
        with ExitStack() as stack:
            callers = [stack.enter_context(running.caller()) for _ in range(8 * N)]
            shares = Counter(process_of(caller) for caller in callers)
        return len(shares) == N and max(shares.values()) - min(shares.values()) <= 2

    until(is_even)  # at once, unless other programs keep a worker from running


def test_each_worker_has_a_name_and_segments_of_its_own(
    running: Server, released: Released
) -> None:
    with ExitStack() as stack:
        callers = one_of_each(running, stack)
        answers = [caller.ask().json["predictions"][0] for caller in callers.values()]

    names = {path.name.rpartition("-")[0] for path in released.project.segments.glob("*.jsonl")}
    host = f"production@{socket.gethostname()}:{running.port}"
    told = [host.replace("@", "_").replace(":", "_") + f"_{number + 1}" for number in range(N)]
    assert names == {*told, *(f"{name}-shadow" for name in told)}
    assert {line["prediction_id"] for line in released.captured()} >= {
        answer["prediction_id"] for answer in answers
    }
    until(lambda: len(released.workers()) == N)
    assert {(w.name, w.address) for w in released.workers()} == {
        (f"{host}#{number + 1}", f"http://127.0.0.1:{running.port}") for number in range(N)
    }
    assert {worker.process for worker in released.workers()} == set(callers)


def test_any_worker_tells_the_metrics_of_all(running: Server) -> None:
    before = running.metrics()
    with ExitStack() as stack:
        callers = one_of_each(running, stack).values()
        for caller in callers:
            caller.ask()
            caller.ask(json.dumps(ROW | {"hour": 24, "gate": "B12"}).encode())
        told = [caller.get("/metrics").body.decode() for caller in callers]

    def new(name: str, text: str) -> float:
        lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
        return float(lines[name]) - before.get(name, 0)

    for text in told:
        assert new('cd4ml_requests_total{status="200"}', text) == N
        assert new('cd4ml_requests_total{status="422"}', text) == N
        assert new('cd4ml_violations_total{field="hour"}', text) == N
        assert new('cd4ml_violations_total{field=""}', text) == N
        assert new('cd4ml_request_seconds_count{model="delay",version="1"}', text) == N
        assert f"cd4ml_workers {N}\n" in text
        assert "cd4ml_plan 1\n" in text


def test_what_predictions_cost_is_told_by_version(running: Server) -> None:
    with running.caller() as caller:
        for _ in range(50):
            caller.ask()
        told = running.metrics()
        until(lambda: running.metrics()["cd4ml_capture_lag_seconds"] > 0)  # nobody collects

    version = 'model="delay",version="1"'
    n = told[f'cd4ml_predictions_total{{{version},role="champion"}}']
    cpu_s = told[f'cd4ml_cpu_seconds_total{{{version},role="champion"}}']
    assert 0 < cpu_s <= told["cd4ml_process_cpu_seconds_total"]
    cost = told[f'cd4ml_cost_total{{{version},role="champion",currency="EUR"}}']
    assert cost == pytest.approx(cpu_s)
    shared = told[f"cd4ml_cpu_seconds_per_1000_predictions{{{version}}}"]
    assert shared == pytest.approx(cpu_s / n * 1000)
    per_1000 = told[f'cd4ml_cost_per_1000_predictions{{{version},currency="EUR"}}']
    assert per_1000 == pytest.approx(shared)
    assert told["cd4ml_memory_bytes"] > N * 2**20


@pytest.mark.crash
def test_a_killed_worker_is_replaced_while_the_others_answer(project: Released) -> None:
    project.plan(arm(project.model(boosted())))
    answered = 'cd4ml_predictions_total{model="delay",version="1",role="champion"}'

    with server(project.folder, workers=N) as running:
        with ExitStack() as stack:
            (victim, lost), (_, other) = one_of_each(running, stack).items()
            ids = [c.ask().json["predictions"][0]["prediction_id"] for c in (lost, other)]
            os.kill(victim, signal.SIGKILL)
            until(lambda: "was ended by SIGKILL" in log_of(project))
            with running.caller() as new:
                assert process_of(new) != victim
            assert other.ask().status == 200
            until(lambda: running.metrics()["cd4ml_workers"] == N)
        metrics = running.metrics()
        with ExitStack() as stack:
            assert victim not in one_of_each(running, stack)
        running.process.send_signal(signal.SIGINT)  # as SIGTERM: it drains
        assert running.process.wait(20) == 0

    assert metrics[answered] == 3
    assert metrics["cd4ml_worker_deaths_total"] == 1
    assert f"(process {victim}) was ended by SIGKILL, its death number 1 in a row" in log_of(
        project
    )
    assert set(ids) <= {line["prediction_id"] for line in project.captured()}


def test_swaps_fail_nobody_and_mix_nothing_up(project: Released) -> None:
    artifacts = {1: project.model(boosted()), 2: project.model(logistic())}
    score = {
        number: load(project.project.blobs, artifact, is_trusted=lambda _: False).score([ROW])[0]
        for number, artifact in artifacts.items()
    }
    project.plan(arm(artifacts[1]))

    with server(project.folder, workers=N) as running, Load(running, 2 * N) as under:
        for number in (2, 1, 2):
            plan = project.plan(arm(artifacts[number], number=number))
            until(lambda plan=plan: running.metrics()["cd4ml_plan"] == plan.number)
        until(lambda: len(under.replies) > 200)

    assert not under.failures
    assert {status for status, _ in under.replies} == {200}
    answers = [json.loads(body)["predictions"][0] for _, body in under.replies]
    assert {answer["plan"] for answer in answers} == {1, 2, 3, 4}
    for answer in answers:
        assert answer["number"] == (2 if answer["plan"] % 2 == 0 else 1)
        assert answer["artifact"] == artifacts[answer["number"]]
        assert answer["score"] == score[answer["number"]]
    captured = {line["prediction_id"]: line for line in project.captured()}
    assert len({answer["prediction_id"] for answer in answers}) == len(answers)
    for answer in answers:
        line = captured[answer["prediction_id"]]
        assert (line["plan"], line["artifact"]) == (answer["plan"], answer["artifact"])


def test_told_to_end_all_workers_finish_what_they_began(project: Released) -> None:
    (project.folder / "cd4ml.toml").write_text(
        '[project]\nname = "flights"\n[serving]\nnotice_s = 0.4\n'
    )
    project.plan(arm(project.model(boosted())))

    with server(project.folder, workers=N) as running, ExitStack() as stack:
        began = [stack.enter_context(half_sent(running)) for _ in range(N)]
        with running.caller() as caller:
            running.process.terminate()
            until(lambda: caller.get("/ready").status == 503)
            told = caller.get("/ready").json["error"]
            assert caller.get("/live").status == 200
            assert caller.ask().status == 200  # the notice: balancers look once in a while
        until(lambda: not _is_taken(running.port))
        for connection in began:
            connection.sendall(BODY[20:])
        answers = [connection.makefile("rb").read() for connection in began]
        code = running.process.wait(20)

    assert code == 0
    assert told == "this process ends, and finishes what it has begun"
    assert [answer[:13] for answer in answers] == [b"HTTP/1.1 200 "] * N
    assert len(project.captured()) == N + 1


def _is_taken(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionError:
        return False
    return True


@pytest.mark.crash
def test_workers_whose_supervisor_is_killed_end_by_themselves(project: Released) -> None:
    project.plan(arm(project.model(boosted())))

    with server(project.folder, workers=N) as running:
        workers = psutil.Process(running.process.pid).children()
        with half_sent(running) as began:
            running.end("KILL")
            time.sleep(0.2)
            began.sendall(BODY[20:])
            answer = began.makefile("rb").read()
        _, alive = psutil.wait_procs(workers, timeout=20)

    assert not alive
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert log_of(project).count("the supervisor is gone: this process ends") == N


def test_all_workers_start_and_answer_with_database_and_blobs_away(
    project: Released, tmp_path: Path
) -> None:
    artifact = project.model(boosted())
    project.plan(arm(artifact))
    with server(project.folder) as running:
        running.end()
    (project.folder / ".cd4ml" / "blobs").rename(tmp_path / "blobs away")
    nowhere = tmp_path / "no folder"
    nowhere.write_text("")

    with (
        server(
            project.folder, workers=N, CD4ML_DATABASE=f"sqlite:///{nowhere}/cd4ml.db"
        ) as running,
        ExitStack() as stack,
    ):
        callers = one_of_each(running, stack).values()
        answers = [caller.ask().json["predictions"][0] for caller in callers]

    assert {answer["artifact"] for answer in answers} == {artifact}


def test_what_no_worker_can_mend_ends_the_supervisor(project: Released) -> None:
    (project.folder / "cd4ml.toml").write_text(
        '[project]\nname = "flights"\n[capture]\nhash = ["carrier"]\n'
    )

    with server(project.folder, workers=N, plan=None, CD4ML_CAPTURE_KEY="short") as running:
        code = running.process.wait(20)

    assert code != 0
    assert "CD4ML_CAPTURE_KEY" in log_of(project).splitlines()[-2]
