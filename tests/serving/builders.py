"""A project with packaged models and plans, and a server of it as a real process."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import msgspec
import psutil

from cd4ml.models.estimator import dump
from cd4ml.models.package import package
from cd4ml.records.contract import Contract
from cd4ml.records.plan import Arm, Plan, Role
from cd4ml.records.run import StepRun
from cd4ml.records.worker import Worker
from cd4ml.store import ledger
from cd4ml.store.lines import read_lines
from cd4ml.store.project import Project, open_project
from cd4ml.store.rows import find, insert
from cd4ml.store.segment_files import complete_lines, segments_in
from tests.models.builders import AT, CONTRACT, ROW, flights

BODY = json.dumps({"rows": [ROW]}).encode()

_START_S = 60
_ROOT = Path(__file__).parents[2]
_MAIN = """
import resource
import sys
from pathlib import Path
from cd4ml.serving.server import serve
from cd4ml.serving.supervisor import supervise
from cd4ml.store.project import open_project

if sys.argv[2] != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
with open_project(Path(sys.argv[1])) as project:
    asked = {
        "environment": "production",
        "port": 0,
        "needs_token": sys.argv[3] == "True",
        "announce": lambda url: print(url, flush=True),
    }
    if sys.argv[4] == "0":
        serve(project, **asked)
    else:
        supervise(project, n_workers=int(sys.argv[4]), **asked)
"""


class Released:
    """A project folder in which models can be packaged and plans made."""

    def __init__(self, folder: Path, sqlite_template: Path) -> None:
        self.folder = folder
        (folder / ".cd4ml").mkdir(parents=True)
        (folder / "cd4ml.toml").write_text('[project]\nname = "flights"\n')
        shutil.copyfile(sqlite_template, folder / ".cd4ml" / "cd4ml.db")
        self.project: Project = open_project(folder)
        self._n_plans = 0

    def model(self, estimator: Any, *, contract: Contract = CONTRACT) -> str:
        """Package an estimator that a run made; returns its address."""
        blobs = self.project.blobs
        address = blobs.put(dump(estimator))
        with self.project.database.write() as connection:
            number = len(find(connection, StepRun)) + 1
            insert(connection, _step_run(number, address))
        return package(
            blobs,
            estimator=address,
            contract=contract,
            sample=flights(),
            is_trusted=lambda digest: digest == address,
        )

    def plan(self, *arms: Arm) -> Plan:
        """Make a plan of these arms the newest one."""
        self._n_plans += 1
        plan = Plan(
            number=self._n_plans,
            environment="production",
            model="delay",
            arms=arms,
            release=1,
            made_at=AT,
        )
        with self.project.database.write() as connection:
            insert(connection, plan)
            ledger.append(
                connection,
                at=AT,
                actor="system",
                action="release.begun",
                subject=plan.made_by,
                records=(plan,),
            )
        return plan

    def workers(self) -> list[Worker]:
        """What the servers last said."""
        with self.project.database.read() as connection:
            return find(connection, Worker)

    def captured(self) -> list[dict[str, Any]]:
        """Every complete line of every segment."""
        lines = read_lines(
            b"".join(complete_lines(p, 0) for p in segments_in(self.project.segments))
        )
        assert lines.bad == b""
        return [json.loads(msgspec.json.encode(line)) for line in lines.good]


def arm(artifact: str, role: Role = "champion", *, number: int = 1, weight: float = 100) -> Arm:
    """One version in a plan."""
    return Arm(role=role, model="delay", number=number, artifact=artifact, weight_percent=weight)


class Reply(NamedTuple):
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self,
        body: bytes = BODY,
        *,
        path: str = "/predict",
        method: str = "POST",
        **headers: str | bytes,
    ) -> Reply:
        """Send one request; underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, body, named)
        reply = self._connection.getresponse()
        return Reply(reply.status, dict(reply.headers), reply.read())

    def get(self, path: str) -> Reply:
        """Read a page."""
        return self.ask(b"", path=path, method="GET")


class Server:
    """A serving process."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def caller(self) -> Caller:
        """A new connection."""
        return Caller(self.port)

    def wait_for_plan(self, number: int, *, timeout_s: float = 30) -> None:
        """Until it answers with this plan."""
        with self.caller() as caller:
            until(lambda: caller.get("/ready").json.get("plan") == number, timeout_s)

    def pids(self) -> set[int]:
        """The processes that a supervisor has started."""
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def metrics(self) -> dict[str, float]:
        """What its metrics say, by name with labels."""
        with self.caller() as caller:
            lines = caller.get("/metrics").body.decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(number) for name, _, number in pairs}

    def end(self, which: Literal["TERM", "KILL"] = "TERM") -> int:
        """Signal the process and wait for its end; returns its exit code."""
        self.process.send_signal(getattr(signal, f"SIG{which}"))
        return self.process.wait(20)


@contextmanager
def server(
    folder: Path,
    *,
    plan: int | None = 1,
    largest_file: int = 0,
    needs_token: bool = False,
    workers: int = 0,
    **environment: str,
) -> Iterator[Server]:
    """A server of the project in a folder, once it answers with a plan (None: at once).

    `largest_file` (bytes, 0: none) is where writing fails, as on a full disk. With `workers` the
    process is their supervisor, and all of them have the plan.
    """
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", _MAIN, str(folder), str(largest_file), str(needs_token)),
                str(workers),
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | environment,
            cwd=_ROOT,  # estimators of tests are unpickled there
        )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, (folder / "server.log").read_text()
        running = Server(process, int(url.rpartition(":")[2]))
        if workers and plan is not None:
            until(lambda: running.metrics()["cd4ml_workers"] == workers, _START_S)
        if plan is not None:
            running.wait_for_plan(plan, timeout_s=_START_S)
        yield running
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def until(is_true: Any, timeout_s: float = 30) -> None:
    """Wait until something is true."""
    end = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.02)


def _step_run(number: int, address: str) -> StepRun:
    return StepRun(
        run=number,
        step="delay",
        position=1,
        fingerprint="",
        state="computed",
        kind="model",
        output=address,
    )
