"""How near does an endpoint come to the server beneath it, and how far is it from its peers?

One worker each, rows of flights as JSON, load by wrk. The endpoint checks the contract and records
each answer before it leaves; its peers check types at most and record nothing. The bare echo is
a raw ASGI application on the same server that does nothing. All servers run at once and take
turns, Ray Serve in turns of its own with the endpoint, because a cluster is never idle. Single rows
on one connection are measured twice: with cores that are kept awake, and with cores that sleep while
they wait, where each answer takes as long as it takes two cores to wake up besides.

Run:
    python benchmarks/bench_serving.py

A peer that cannot be installed or started is left out, said on stderr, and makes the exit code 1.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import NamedTuple

import contest
from load import Load, load, script
from serving_model import Served, arm, make_plan, serve_flights
from serving_peers import (
    APP,
    FASTAPI_ONNX,
    PEERS,
    RAY_SERVE,
    Peer,
    Server,
    memory_of,
    ours,
    programs_of,
    running,
    save_for_mlflow,
)

from cd4ml.loop import open_project

N_ROWS, N_TREES = 20_000, 100
CD4ML, ECHO = "cd4ml", "bare echo"
UNRECORDED, SHADOWED = "cd4ml, nothing recorded", "cd4ml, with a shadow"
ROUNDS, BATCH_ROUNDS, RAY_ROUNDS, SECONDS = 5, 3, 3, 1
SWAP_ROUNDS, SWAP_SECONDS, SWAP_EVERY_S = 3, 4, 0.5
COLD_STARTS = 3


class Cell(NamedTuple):
    """So many rows a request, on so many connections at once."""

    rows: int
    connections: int
    is_asleep: bool = False  # cores may sleep while they wait

    def __str__(self) -> str:
        """As figures are called."""
        rows = "single rows" if self.rows == 1 else f"batches of {self.rows:,}"
        return f"{rows}, {self.connections} at once{', cores asleep' * self.is_asleep}"


ONE, MANY, ASLEEP = Cell(1, 1), Cell(1, 16), Cell(1, 1, is_asleep=True)
HUNDRED, THOUSAND = Cell(100, 4), Cell(1000, 4)
SINGLE, BATCHES = (ONE, MANY), (HUNDRED, THOUSAND)

Seen = dict[tuple[str, Cell], list[Load]]


class Contest:
    """Servers that take turns, and what was seen of them; who fails is left out."""

    def __init__(self, wrk: str, served: Served, folder: Path) -> None:
        self.seen: Seen = {}
        self.failed: set[str] = set()
        self._wrk = wrk
        self._served = served
        self._folder = folder

    def body(self, peer: Peer | None, n_rows: int) -> bytes:
        """What a peer is asked with so many rows; None: cd4ml."""
        rows = self._served.rows[:n_rows]
        return json.dumps(peer.body(rows) if peer else {"rows": rows}).encode()

    def load(self, server: Server, cell: Cell, peer: Peer | None = None, s: int = SECONDS) -> Load:
        """Keep a server busy for a while."""
        name = f"{'own' if peer is None else peer.environment}-{cell.rows}"
        lua = script(self._folder, name, self.body(peer, cell.rows))
        with nullcontext() if cell.is_asleep else contest.awake():
            return load(
                self._wrk, server.url, lua, connections=cell.connections, seconds=s, pid=server.pid
            )

    def take_turns(
        self, servers: Sequence[tuple[Server, Peer | None]], cells: Sequence[Cell], rounds: int
    ) -> None:
        """Measure each server in each cell, round by round; the first round warms up."""
        for turn in range(rounds + 1):
            for cell in cells:
                for server, peer in servers if turn % 2 else reversed(servers):
                    if server.name not in self.failed:
                        self._turn(server, cell, peer, is_kept=turn > 0)

    def _turn(self, server: Server, cell: Cell, peer: Peer | None, *, is_kept: bool) -> None:
        try:
            found = self.load(server, cell, peer)
        except (RuntimeError, OSError, ValueError, subprocess.TimeoutExpired) as error:
            self.leave_out(server.name, error)
            return
        if is_kept:
            self.seen.setdefault((server.name, cell), []).append(found)

    def leave_out(self, name: str, error: Exception) -> None:
        """Go on without a contestant."""
        print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
        self.failed.add(name)
        self.seen = {key: loads for key, loads in self.seen.items() if key[0] != name}

    def middle(self, name: str, cell: Cell, what: str) -> float:
        """The median of what several turns saw."""
        return float(median(getattr(each, what) for each in self.seen[name, cell]))

    def ratio(self, name: str, other: str, cell: Cell, what: str) -> float:
        """The median of one's figure to another's, turn by turn: both meet the same moment."""
        pairs = zip(self.seen[name, cell], self.seen[other, cell], strict=True)
        return float(median(getattr(a, what) / getattr(b, what) for a, b in pairs))


def main() -> int:
    """Measure, and print what was seen; returns an exit code."""
    wrk = contest.debian("wrk", "wrk")
    if not wrk:
        return 1
    with contest.scratch() as folder:
        (folder / "project").mkdir()
        served = serve_flights(folder / "project", n_rows=N_ROWS, n_trees=N_TREES)
        own = Contest(wrk, served, folder)
        measure_own(own, served)
        measure_swaps(own, served)
        measure_peers(own, served)
    return 1 if own.failed else 0


def measure_own(own: Contest, served: Served) -> None:
    """What recording and shadows cost, and what a worker needs."""
    unrecorded = variant(served, "unrecorded", "[capture]\nsample = 1e-9\n")
    shadowed = variant(served, "shadowed")
    with open_project(shadowed) as project:
        champion, other = served.artifacts
        make_plan(project, arm(champion), arm(other, "shadow", 2))
    starts = [cold_start(own, served) for _ in range(COLD_STARTS)]
    with ExitStack() as stack:
        folders = {CD4ML: served.folder, UNRECORDED: unrecorded, SHADOWED: shadowed}
        servers = [
            (stack.enter_context(endpoint(own, served, folder, name)), None)
            for name, folder in folders.items()
        ]
        own.take_turns(servers, SINGLE, ROUNDS)
        memory = memory_of(servers[0][0].pid)
    for what in (UNRECORDED, SHADOWED):
        contest.figure(f"{what}: {MANY}", own.middle(what, MANY, "per_s"), "requests a second")
    recorded = own.ratio(CD4ML, UNRECORDED, MANY, "per_s")
    contest.figure("recorded beside not, 16 at once", recorded, "of the requests", ">= 0.9")
    tail = own.ratio(CD4ML, UNRECORDED, MANY, "p99_us")
    contest.figure("recorded beside not, p99", tail, "times", "<= 3")
    shadow = own.ratio(SHADOWED, CD4ML, MANY, "per_s")
    contest.figure("with a shadow beside without", shadow, "of the requests", ">= 0.8")
    contest.figure("memory of a worker", memory, "MB", "<= 120")
    contest.figure("from the start to the first answer", median(starts), "s", "<= 1")
    for name in (CD4ML, UNRECORDED, SHADOWED):
        tell_failed(own, name)
    own.seen.clear()


def measure_swaps(own: Contest, served: Served) -> None:
    """What callers see of new versions that come while they ask."""
    folder = variant(served, "swapped")
    calm: list[Load] = []
    swapped: list[Load] = []
    n_swaps = 0
    with endpoint(own, served, folder, "cd4ml, swapped") as server:
        own.load(server, MANY)
        for _ in range(SWAP_ROUNDS):
            calm.append(own.load(server, MANY, s=SWAP_SECONDS))
            with swapping(folder, served.artifacts) as made:
                swapped.append(own.load(server, MANY, s=SWAP_SECONDS))
            n_swaps += len(made)
    contest.figure("versions swapped under load", n_swaps, "swaps")
    slower = median(
        during.p99_us / before.p99_us for during, before in zip(swapped, calm, strict=True)
    )
    contest.figure("p99 while versions are swapped, beside before", slower, "times", "<= 8")
    failed = sum(each.failed for each in swapped)
    contest.figure("requests that failed while versions are swapped", failed, "requests", "<= 0")


@contextmanager
def swapping(folder: Path, artifacts: tuple[str, str]) -> Iterator[list[int]]:
    """Release the one version and the other again and again, until this ends."""
    made: list[int] = []
    is_over = threading.Event()

    def swap() -> None:
        with open_project(folder) as project:
            while not is_over.wait(SWAP_EVERY_S):
                which = (len(made) + 1) % 2
                made.append(make_plan(project, arm(artifacts[which], number=which + 1)))

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield made
    finally:
        is_over.set()
        thread.join()


def measure_peers(own: Contest, served: Served) -> None:
    """The endpoint beside the bare server and beside its peers."""
    with ExitStack() as stack:
        us = stack.enter_context(endpoint(own, served, served.folder, CD4ML))
        echo = stack.enter_context(
            running(ECHO, bare, "/predict", own.body(None, 1), served.folder, None)
        )
        servers: list[tuple[Server, Peer | None]] = [(us, None), (echo, None)]
        try:
            save_for_mlflow(served.folder)
        except RuntimeError as error:
            print(error, file=sys.stderr)
        started(own, served, PEERS, stack, servers)
        own.take_turns(servers, (*SINGLE, ASLEEP), ROUNDS)
        own.take_turns([each for each in servers if each[0] is not echo], BATCHES, BATCH_ROUNDS)
        tell_each(own, servers)
        tell_bare(own)
    with ExitStack() as stack:
        us = stack.enter_context(endpoint(own, served, served.folder, f"{CD4ML}, beside Ray"))
        pair: list[tuple[Server, Peer | None]] = [(us, None)]
        started(own, served, [RAY_SERVE], stack, pair)
        own.take_turns(pair, (*SINGLE, *BATCHES), RAY_ROUNDS)
        tell_each(own, pair[1:])
    tell_peers(own)


def started(
    own: Contest,
    served: Served,
    peers: Sequence[Peer],
    stack: ExitStack,
    servers: list[tuple[Server, Peer | None]],
) -> None:
    """Start peers one after the other and add them to the servers."""
    for peer in peers:
        try:
            programs = programs_of(peer)
            command = lambda port, peer=peer, programs=programs: peer.command(  # noqa: E731
                programs, port, served.folder
            )
            body = own.body(peer, 1)
            server = running(peer.name, command, peer.path, body, served.folder, served.score)
            servers.append((stack.enter_context(server), peer))
        except RuntimeError as error:
            own.leave_out(peer.name, error)
        for name, number in peer.versions:
            contest.peer(name, number)


def endpoint(
    own: Contest, served: Served, folder: Path, name: str
) -> AbstractContextManager[Server]:
    """An endpoint of a project."""
    return running(name, ours, "/predict", own.body(None, 1), folder, served.score)


def bare(port: int) -> list[str | Path]:
    """The command of the bare echo."""
    return [sys.executable, APP, "echo", str(port), "."]


def cold_start(own: Contest, served: Served) -> float:
    """Seconds from an endpoint's start to its first answer, on a disk that remembers no plan."""
    shutil.rmtree(served.folder / ".cd4ml" / "serving", ignore_errors=True)
    with endpoint(own, served, served.folder, CD4ML) as server:
        return server.cold_s


def variant(served: Served, name: str, settings: str = "") -> Path:
    """A copy of the project with further settings."""
    folder = served.folder.with_name(name)
    shutil.copytree(served.folder, folder, ignore=shutil.ignore_patterns("*.log", "segments"))
    with (folder / "cd4ml.toml").open("a") as file:
        file.write(f"\n{settings}")
    return folder


def tell_each(own: Contest, servers: Sequence[tuple[Server, Peer | None]]) -> None:
    """Print what each server did."""
    for server, _ in servers:
        name = server.name
        if name in own.failed:
            continue
        for cell in (cell for each, cell in own.seen if each == name):
            contest.figure(f"{name}: {cell}", own.middle(name, cell, "per_s"), "requests a second")
            if cell.rows == 1:
                contest.figure(f"{name}: {cell}, p50", own.middle(name, cell, "p50_us"), "us")
                contest.figure(f"{name}: {cell}, p99", own.middle(name, cell, "p99_us"), "us")
        if name != CD4ML:
            contest.figure(f"{name}: memory", memory_of(server.pid), "MB")
            contest.figure(f"{name}: start to first answer", server.cold_s, "s")
        tell_failed(own, name)


def tell_failed(own: Contest, name: str) -> None:
    """Print how many requests failed; only ours have a goal."""
    failed = sum(
        each.failed for (which, _), loads in own.seen.items() if which == name for each in loads
    )
    goal = "<= 0" if name.startswith(CD4ML) else ""
    contest.figure(f"{name}: requests that failed", failed, "requests", goal)


def tell_bare(own: Contest) -> None:
    """Print how near the endpoint comes to the bare server."""
    for cell, least in ((ONE, 0.5), (MANY, 0.35)):
        for name in (CD4ML, ECHO, FASTAPI_ONNX.name):
            if (name, cell) in own.seen:
                cpu = own.middle(name, cell, "cpu_us")
                contest.figure(f"{name}: {cell}, processor", cpu, "us a request")
        share = own.ratio(CD4ML, ECHO, cell, "per_s")
        at = f"{cell.connections} at once"
        contest.figure(f"beside the bare echo, {at}", share, "of its requests", f">= {least}")


def tell_peers(own: Contest) -> None:
    """Print how far the endpoint is from its peers."""
    if FASTAPI_ONNX.name not in own.failed:
        many = own.ratio(CD4ML, FASTAPI_ONNX.name, MANY, "per_s")
        contest.figure("beside FastAPI with the same model, 16 at once", many, "times", ">= 5")
        for cell, goal in ((ONE, "<= 0.4"), (ASLEEP, "")):
            quick = own.ratio(CD4ML, FASTAPI_ONNX.name, cell, "p50_us")
            contest.figure(f"p50 beside FastAPI's, {cell}", quick, "of it", goal)
    rivals = [p.name for p in (*PEERS, RAY_SERVE) if p.is_sklearn and p.name not in own.failed]
    if not rivals:
        return
    for cell, least in ((MANY, 50), (HUNDRED, 10), (THOUSAND, 3)):
        best = max(own.middle(name, cell, "per_s") for name in rivals)
        times = own.middle(CD4ML, cell, "per_s") / best
        name = f"beside the best that serves scikit-learn, {cell}"
        contest.figure(name, times, "times", f">= {least}")
    best = min(own.middle(name, ONE, "p50_us") for name in rivals)
    quick = own.middle(CD4ML, ONE, "p50_us") / best
    contest.figure(
        "p50 beside the best that serves scikit-learn, 1 at once", quick, "of it", "<= 0.05"
    )


if __name__ == "__main__":
    sys.exit(main())
