"""An endpoint, and a batch, on a Ray cluster of two nodes on this machine, one of which is killed.

The tests of the endpoint are one story: they share it, and each leaves it answering.
"""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from cd4ml.errors import Conflict
from cd4ml.loop.candidate import runtime_of
from cd4ml.loop.executors import Where
from cd4ml.loop.predict import predict
from cd4ml.loop.serve_on_ray import answering
from cd4ml.records.settings import ReplicaSettings
from cd4ml.serving.protocols.arrow import ARROW
from tests.models.builders import ROW, boosted, flights, logistic
from tests.models.registered import Registered
from tests.services.processes import free_ports
from tests.serving.builders import Caller, Released, Reply, arm, server, until

pytest.importorskip("pyarrow")
ray = pytest.importorskip("ray")
pytest.importorskip("ray.serve")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

ROOT = Path(__file__).parents[2]  # estimators of tests are unpickled there
QUICK = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}
REPLICAS = "[replicas]\nrequests = 2.0\nadd_after_s = 0.5\nremove_after_s = 600.0\n"
GOES_ITS_WAY = ("prediction_id", "prediction_ids", "process", "id")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    from cd4ml.engines.ray.connection import connect

    started = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "_system_config": QUICK},
    )
    started.add_node(num_cpus=1)
    connect(started.address, is_guarded=True)
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Released]:
    """A project that serves one compiled model under plan 1."""
    project = Released(tmp_path_factory.mktemp("released") / "project", sqlite_template)
    with (project.folder / "cd4ml.toml").open("a") as settings:
        settings.write("[environments.production]\n" + REPLICAS)
    project.plan(arm(project.model(boosted())))
    yield project
    project.project.close()


@contextmanager
def begun(folder: Path, cluster: Any, port: int) -> Iterator[subprocess.Popen[str]]:
    """`cd4ml serve --on ray`, once it answers."""
    words = [*serving(folder), "--on", "ray", "--port", str(port), "--max-replicas", "2"]
    with subprocess.Popen(
        [*words, "--ray", cluster.address], stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "listens on" in line)
        assert f"production listens on http://127.0.0.1:{port}, " in said
        yield process
        process.kill()


@pytest.fixture(scope="module")
def command(cluster: Any, released: Released) -> Iterator[subprocess.Popen[str]]:
    with begun(released.folder, cluster, free_ports(1)) as process:
        yield process


@pytest.fixture(scope="module")
def endpoint(command: subprocess.Popen[str]) -> Any:
    """That project's endpoint, with one replica."""
    from cd4ml.engines.ray.endpoint import RayEndpoint, n_answering

    words = [str(word) for word in command.args]  # type: ignore[union-attr]
    made = RayEndpoint(
        "production", "127.0.0.1", int(words[words.index("--port") + 1]), ReplicaSettings()
    )
    assert n_answering(made) == 1
    return made


def serving(folder: Path) -> list[str]:
    words = ["serve", "--in", "production", "--project", str(folder)]
    return [sys.executable, "-m", "cd4ml", *words]


def building(released: Released, endpoint: Any) -> Any:
    return partial(answering, str(released.folder), "production", endpoint.url, False)


def kill_node(cluster: Any) -> None:
    """Kill the node that is not the head, with all that runs there."""
    (node,) = cluster.worker_nodes
    cluster.remove_node(node, allow_graceful=False)


class Load:
    """Callers that ask for as long as the block lasts; `replies` has what they were told."""

    def __init__(self, port: int, n: int = 6) -> None:
        self.replies: list[Reply] = []
        self.n_cut = 0  # connections that ended without an answer
        self._port = port
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(n)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._is_over.is_set():
            try:
                with Caller(self._port) as caller:
                    while not self._is_over.is_set():
                        self.replies.append(caller.ask())
            except (OSError, HTTPException):
                self.n_cut += 1
                self._is_over.wait(0.02)

    def wait_for(self, n: int) -> None:
        """Until so many further requests were answered."""
        wanted = len(self.replies) + n
        until(lambda: len(self.replies) >= wanted, 60)

    @property
    def statuses(self) -> set[int]:
        return {reply.status for reply in self.replies}

    @property
    def ids(self) -> set[str]:
        """Of all predictions that were answered."""
        answered = [reply.json for reply in self.replies if reply.status == 200]
        return {each["prediction_id"] for one in answered for each in one["predictions"]}


def captured(released: Released) -> list[str]:
    return [line["prediction_id"] for line in released.captured()]


def asked_for() -> list[tuple[str, str, bytes, dict[str, str]]]:
    """Requests of every protocol, good and bad."""
    rows = json.dumps({"rows": [ROW, ROW | {"temp": None, "dest": "XXX"}]}).encode()
    bad = json.dumps({"rows": [ROW | {"hour": 24, "gate": "B12"}]}).encode()
    tensor = {"name": "hour", "shape": [1], "datatype": "INT64", "data": [17]}
    frame = pl.DataFrame([ROW])
    invoke = "/invocations"
    return [
        ("POST", "/predict", json.dumps(ROW).encode(), {}),
        ("POST", "/predict", rows, {"cd4ml-key": "order-17"}),
        ("POST", "/predict", bad, {}),
        ("POST", "/predict", b'{"rows": [', {}),
        ("POST", "/predict", b"", {}),
        ("POST", "/predict", b"\xff", {}),
        ("POST", "/predict", json.dumps({"rows": [ROW] * 1001}).encode(), {}),
        ("POST", "/predict", b" " * (10 * 2**20 + 1), {}),
        ("GET", "/predict", b"", {}),
        ("POST", invoke, json.dumps({"instances": [ROW]}).encode(), {}),
        ("POST", invoke, frame.write_csv().encode(), {"content-type": "text/csv"}),
        ("POST", invoke, b"x", {"content-type": "text/html"}),
        ("POST", invoke, frame.write_ipc_stream(None).getvalue(), {"content-type": ARROW}),
        ("POST", "/v2/models/delay/infer", json.dumps({"inputs": [tensor]}).encode(), {}),
        ("POST", "/v2/models/fares/infer", b"{}", {}),
        *[("GET", path, b"", {}) for path in PAGES],
        ("DELETE", "/contract", b"", {}),
        ("GET", "/a%20b?c=1", b"", {}),
    ]


PAGES = (
    *("/health", "/ready", "/contract", "/openapi.json", "/ping", "/version"),
    *("/v2", "/v2/models/delay", "/v2/models/delay/ready", "/v2/health/live"),
)


def told(caller: Caller, one: tuple[str, str, bytes, dict[str, str]]) -> tuple[int, str, Any]:
    """Status, type and body of an answer, without what differs each time."""
    method, path, body, headers = one
    reply = caller.ask(body, path=path, method=method, **headers)
    kind = reply.headers.get("content-type", "")
    return reply.status, kind, same(reply.json) if "json" in kind else len(reply.body)


def same(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: same(each) for name, each in value.items() if name not in GOES_ITS_WAY}
    return [same(each) for each in value] if isinstance(value, list) else value


def test_pieces_of_a_batch_are_scored_once_though_it_is_ended_and_a_node_dies(
    tmp_path: Path, sqlite_template: Path, cluster: Any
) -> None:
    registered = Registered(tmp_path / "project", sqlite_template)
    version = registered.version(boosted())
    numbered = flights().drop("late").with_columns(id=pl.int_range(pl.len()))
    numbered.write_parquet(tmp_path / "in.parquet")

    def ended_at_40(n: int, of: int) -> None:
        if n == 40:
            raise KeyboardInterrupt

    def dies_at_80(n: int, of: int) -> None:
        if n == 80:
            kill_node(cluster)

    def begin(tell: Any) -> Any:
        return predict(
            project,
            "delay/1",
            input=str(tmp_path / "in.parquet"),
            output=str(tmp_path / "out"),
            piece_rows=3,
            where=Where(executor="ray", ray=cluster.address),
            tell=tell,
            actor="ann",
        )

    with registered.project as project:
        with pytest.raises(KeyboardInterrupt):
            begin(ended_at_40)
        ended = begin(dies_at_80)
        cluster.add_node(num_cpus=1)
        expected = runtime_of(project, version).score(flights().drop("late").to_dicts())

    assert (ended.n_pieces, ended.n_scored) == (134, 400)
    assert 40 <= ended.n_before < 80
    found = pl.read_parquet(tmp_path / "out" / "*.parquet").sort("id")
    assert found["id"].to_list() == list(range(400))
    assert found["score"].to_list() == expected


def test_every_protocol_and_error_is_answered_as_by_a_process(
    endpoint: Any, released: Released
) -> None:
    with (
        server(released.folder) as process,
        process.caller() as here,
        Caller(endpoint.port) as there,
    ):
        expected = [told(here, one) for one in asked_for()]
        found = [told(there, one) for one in asked_for()]
        names = [
            [line for line in caller.get("/metrics").body.decode().splitlines() if line[0] == "#"]
            for caller in (here, there)
        ]

    assert found == expected
    assert {status for status, *_ in found} == {200, 400, 404, 405, 413, 415, 422}
    assert names[0] == names[1]


def test_strangers_find_no_open_door(endpoint: Any, cluster: Any) -> None:
    import grpc

    doors = {
        (door.laddr.ip, door.laddr.port)
        for process in psutil.Process().children(recursive=True)
        for door in process.net_connections()
        if door.status == psutil.CONN_LISTEN
    }
    outside = {port for ip, port in doors if not ip.endswith("127.0.0.1")}
    calls = [(cluster.address, "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo")]
    # Ray has replicas listen on all addresses, for one another
    calls += [(f"127.0.0.1:{port}", "/ray.serve.ASGIService/HandleRequest") for port in outside]

    for address, call in calls:
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(call)(b"", timeout=5)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_cluster_answers_for_one_environment_at_one_port(
    endpoint: Any, released: Released
) -> None:
    from cd4ml.engines.ray.endpoint import start

    elsewhere = endpoint._replace(port=free_ports(1))
    another = endpoint._replace(environment="staging")

    with pytest.raises(Conflict) as other_port:
        start(elsewhere, building(released, elsewhere))
    with pytest.raises(Conflict) as other_name:
        start(another, building(released, another))

    assert str(other_port.value) == (
        f"production is answered at {endpoint.url} by this Ray cluster already\n"
        "  hint: end that first, or name the same --host and --port"
    )
    assert str(other_name.value) == (
        "the Ray cluster answers for 'cd4ml-production' already, and has one port\n"
        "  hint: give it a cluster of its own: --ray ADDRESS"
    )


def test_versions_are_swapped_under_load_without_a_failed_request(
    endpoint: Any, released: Released
) -> None:
    second = released.model(logistic())

    with Load(endpoint.port, 2) as load:
        load.wait_for(20)
        released.plan(arm(second, number=2))
        until(lambda: load.replies[-1].json["predictions"][0]["plan"] == 2)
        load.wait_for(20)

    assert (load.statuses, load.n_cut) == ({200}, 0)
    answers = [reply.json["predictions"][0] for reply in load.replies]
    assert {(each["plan"], each["number"]) for each in answers} == {(1, 1), (2, 2)}


@pytest.mark.crash
def test_a_node_that_dies_under_load_takes_no_answer_with_it(
    endpoint: Any, released: Released, cluster: Any
) -> None:
    from cd4ml.engines.ray.endpoint import n_answering

    before = len(captured(released))
    with Load(endpoint.port) as load:
        until(lambda: n_answering(endpoint) == 2, 90)  # another one was added, for the load
        until(lambda: len(who_answered(load.replies[-50:])) == 2)
        with Caller(endpoint.port) as caller:
            counted = counts(caller)
        kill_node(cluster)
        load.wait_for(200)
        cluster.add_node(num_cpus=1)
        until(lambda: n_answering(endpoint) == 2, 90)
        until(lambda: len(who_answered(load.replies[-50:])) == 2)
        with Caller(endpoint.port) as caller:
            assert counts(caller) > counted  # those of the dead are not forgotten

    every = captured(released)
    failed = [reply for reply in load.replies if reply.status != 200]
    assert load.ids <= set(every)
    assert len(every) == len(set(every))
    assert len(every) - before - len(load.ids) <= len(failed) + load.n_cut
    assert len(failed) + load.n_cut <= 6  # what the node was answering when it died


def who_answered(replies: list[Reply]) -> set[str]:
    """The replicas that made these predictions, by a part of their ids."""
    answered = [reply.json["predictions"][0] for reply in replies if reply.status == 200]
    return {each["prediction_id"][18:24] for each in answered}


def counts(caller: Caller, *, at: float = 0.0) -> int:
    """Of requests answered with 200, so many seconds from now."""
    time.sleep(at)
    text = caller.get("/metrics").body.decode()
    (line,) = [each for each in text.splitlines() if 'requests_total{status="200"}' in each]
    return int(line.split()[1])


def test_replicas_count_together(endpoint: Any, released: Released) -> None:
    with Caller(endpoint.port) as caller:
        until(lambda: counts(caller) == counts(caller, at=1.5), 20)  # all have told theirs
        before = counts(caller)
        with Load(endpoint.port) as load:
            load.wait_for(100)
        until(lambda: counts(caller) >= before + len(load.replies), 10)

        assert counts(caller) == before + len(load.replies)
    assert {reply.status for reply in load.replies} == {200}
    assert len(who_answered(load.replies)) == 2
    names = {worker.name.rpartition("/")[2] for worker in released.workers()}
    assert names >= {"0", "1"}


@pytest.mark.crash
def test_an_endpoint_outlives_its_command_and_ends_politely_with_the_next(
    endpoint: Any, released: Released, cluster: Any, command: subprocess.Popen[str]
) -> None:
    command.kill()
    with Load(endpoint.port) as load:
        load.wait_for(50)
        with begun(released.folder, cluster, endpoint.port) as again:
            load.wait_for(50)
            before = (load.statuses, load.n_cut)
            again.terminate()
            code = again.wait(60)

    assert before == ({200}, 0)
    assert code == 0
    assert load.statuses <= {200, 404}  # of Ray's proxy, which stays for a moment
    assert load.ids <= set(captured(released))
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", endpoint.port))


def test_a_cluster_that_lets_in_everybody_is_not_used(released: Released) -> None:
    program = f"""
import os, sys
from cd4ml.cli import main
from cd4ml.engines.ray.connection import connect
connect("local")  # which lets in everybody, as RAY_AUTH_MODE says
import ray
address = ray.get_runtime_context().gcs_address
del os.environ["RAY_AUTH_MODE"]
sys.exit(main({serving(released.folder)[3:]} + ["--ray", address]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        | {"RAY_AUTH_MODE": "disabled"},
    )

    *_, error, hint = ran.stderr.splitlines()
    told = re.fullmatch(
        r"error: the Ray cluster (\S+) asks for no token: who reaches it can run programs on it",
        error,
    )
    assert told is not None
    assert told[1].startswith("127.0.0.1:")  # and one of this machine alone is on no other address
    assert hint == (
        "  hint: start its nodes with RAY_AUTH_MODE=token; or say RAY_AUTH_MODE=disabled here as well"
    )
    assert ran.returncode == 1
