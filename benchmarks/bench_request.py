"""What does a request cost an endpoint, part by part?

One process, one thread, no HTTP: each part of a request of 1, 100 and 1,000 rows is called again and
again, and the median is told. The parts of a request on its way are colder than that, and around
them are the event loop and the kernel: see `bench_serving.py` for the whole.

Run:
    python benchmarks/bench_request.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import contest
from serving_model import serve_flights

from cd4ml.loop import open_project
from cd4ml.models.runtime import load
from cd4ml.records.plan import Plan
from cd4ml.serving.answering import Answering, Call
from cd4ml.serving.capture import Capture
from cd4ml.serving.endpoint import Endpoint, build, scores
from cd4ml.serving.metrics import Counts
from cd4ml.serving.protocols.own import PREDICT
from cd4ml.serving.together import answers_to
from cd4ml.serving.wire import request_of
from cd4ml.store.clock import SystemClock
from cd4ml.store.rows import find

N_ROWS, N_TREES, CALLS = 20_000, 100, 400
SIZES = (1, 100, 1000)


def main() -> None:
    """Measure each size."""
    with contest.scratch() as folder:
        (folder / "project").mkdir()
        served = serve_flights(folder / "project", n_rows=N_ROWS, n_trees=N_TREES)
        endpoint = endpoint_of(folder / "project")
        for n in SIZES:
            rows = served.rows[:n]
            body = json.dumps(rows[0] if n == 1 else {"rows": rows}).encode()
            tell(endpoint, body, n, folder / f"segments-{n}")


def endpoint_of(folder: Path) -> Endpoint:
    """The project's endpoint, loaded here."""
    with open_project(folder) as project:
        with project.database.read() as connection:
            plan = find(connection, Plan)[-1]
        runtimes = {
            arm.artifact: load(project.blobs, arm.artifact, is_trusted=lambda _: False)
            for arm in plan.arms
        }
    return build(plan, runtimes)


def tell(endpoint: Endpoint, body: bytes, n: int, segments: Path) -> None:
    """Print what a request of so many rows costs, and its parts."""
    clock, counts = SystemClock(), Counts()
    watcher: Any = SimpleNamespace(counts=counts, endpoint=endpoint)
    capture = Capture(segments, "bench", counts, clock=clock)
    answering = Answering(watcher, clock, capture)
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    call = Call(PREDICT, "/predict", request_of(body, headers))
    under_way: Any = answering.begin(call, answering.now_us())
    answered = answers_to([under_way])
    complete: Any = answering._complete(under_way, answered[0])
    (outcome,) = answering.outcomes([call])
    parts: dict[str, Callable[[], object]] = {
        "the whole": lambda: answering.outcomes([call]),
        "reading, checking and ids": lambda: answering.begin(call, 1_700_000_000_000_000),
        "the model": lambda: scores(endpoint.champion, under_way.rows),
        "the line and its way into the file": lambda: capture.record_all([complete.given]),
        "the response": lambda: answering._outcome(under_way, complete, ()),
        "counting": lambda: answering.left(outcome, 0.001),
    }
    name = "a row" if n == 1 else f"{n:,} rows"
    for what, work in parts.items():
        contest.figure(f"{name}: {what}", contest.seconds_of(work, CALLS) * 1e6, "us")
    capture.stop()


if __name__ == "__main__":
    main()
