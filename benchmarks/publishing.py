"""Many writers at once: each publishes versions until its time is over, and prints how many.

A writer is this program (`at_once` starts them):
    python benchmarks/publishing.py KIND FOLDER WRITER SECONDS

It prints "ready" when it has imported everything, begins with the next line of its input, and
ends with {"done": versions, "refused": tries that ended in an error, "seconds": in all}.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

ACTOR = "bench"
DATASET = "batches"

Publish = Callable[[int], object]  # publishes the writer's n-th version


def prepared(folder: Path, writer: str) -> Publish:
    """Snapshots get their number, one transaction each: all that writers can be in each other's way for."""
    import msgspec
    import polars as pl

    from cd4ml.data import snapshot as snapshots
    from cd4ml.data.versions import publish
    from cd4ml.loop import open_project
    from cd4ml.loop.ingest import register
    from cd4ml.store.address import address_of

    project = open_project(folder)
    rows = pl.DataFrame({"writer": [writer], "n": [0]})
    first = snapshots.snapshot_frame(project.files, rows, source=writer)
    with project.database.write() as connection:
        register(connection, project, DATASET, ACTOR, first.columns)
        publish(connection, first, dataset=DATASET, at=project.clock.now(), actor=ACTOR)

    def published(n: int) -> object:
        digest = address_of(f"{writer} {n}".encode())
        snapshot = msgspec.structs.replace(first, digest=digest, content=digest, new=())
        at = project.clock.now()
        with project.database.write() as connection:
            return publish(connection, snapshot, dataset=DATASET, at=at, actor=ACTOR)

    return published


def added(folder: Path, writer: str) -> Publish:
    """A small table is written, profiled, stored, flushed to the disk and published."""
    from cd4ml.loop import open_project
    from cd4ml.loop.ingest import ingest

    project = open_project(folder)
    path = folder / f"writer_{writer}.csv"

    def publish(n: int) -> object:
        path.write_text(f"writer,n\n{writer},{n}\n")
        return ingest(project, DATASET, path=path.name, actor=ACTOR)

    publish(-1)
    return publish


def delta(folder: Path, writer: str) -> Publish:
    """A small table is appended to a Delta table."""
    import polars as pl
    from deltalake import write_deltalake

    def publish(n: int) -> object:
        rows = pl.DataFrame({"writer": [writer], "n": [n]})
        return write_deltalake(folder / DATASET, rows, mode="append")

    publish(-1)
    return publish


class Outcome(NamedTuple):
    """What came of many writers at once."""

    rate: float  # versions a second, of all writers together
    refused: int  # tries that ended in an error
    lost: int  # versions that a writer was told are published, and are not there


def at_once(kind: str, folder: Path, *, writers: int, seconds: float) -> Outcome:
    """Let some processes publish to one dataset in a new folder, all from the same moment on.

    Raises:
        RuntimeError: If a writer crashed.
    """
    folder.mkdir()
    prepare(kind, folder)
    program = [sys.executable, __file__, kind, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([*program, str(i), str(seconds)], **pipes) for i in range(writers)]
    _refuse_unless_ready(kind, running)
    before = count(kind, folder)
    for writer in running:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    said = [writer.communicate()[0] for writer in running]
    results = [json.loads(text) for text in said]
    done = sum(result["done"] for result in results)
    return Outcome(
        rate=done / max(result["seconds"] for result in results),
        refused=sum(result["refused"] for result in results),
        lost=before + done - count(kind, folder),
    )


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """The median rate of some rounds, and all that was refused or lost in them.

    Examples:
        >>> together([Outcome(90.0, 1, 0), Outcome(10.0, 0, 2), Outcome(80.0, 1, 0)])
        Outcome(rate=80.0, refused=2, lost=2)
    """
    rate = median(outcome.rate for outcome in outcomes)
    refused, lost = (sum(numbers) for numbers in list(zip(*outcomes, strict=True))[1:])
    return Outcome(rate, refused, lost)


def _refuse_unless_ready(kind: str, running: list[subprocess.Popen[str]]) -> None:
    if [writer.stdout.readline() for writer in running] == ["ready\n"] * len(running):
        return
    for writer in running:
        writer.kill()
        writer.communicate()
    msg = f"a writer of {kind} could not begin"
    raise RuntimeError(msg)


def prepare(kind: str, folder: Path) -> None:
    """An empty project, or an empty Delta table."""
    if kind == "delta":
        import polars as pl
        from deltalake import DeltaTable

        schema = pl.DataFrame(schema={"writer": pl.String, "n": pl.Int64}).to_arrow().schema
        DeltaTable.create(folder / DATASET, schema)
        return
    from cd4ml.loop import open_project
    from cd4ml.store import people

    (folder / "cd4ml.toml").write_text('[project]\nname = "bench"\n')
    with open_project(folder) as project, project.database.write() as connection:
        people.add(connection, ACTOR, roles=(), by=ACTOR, at=project.clock.now())


def count(kind: str, folder: Path) -> int:
    """How many versions there are now; of a Delta table, how many rows were appended."""
    if kind == "delta":
        from deltalake import DeltaTable

        return DeltaTable(folder / DATASET).count()
    from cd4ml.loop import open_project
    from cd4ml.records.dataset import DatasetVersion
    from cd4ml.store import rows

    with open_project(folder) as project, project.database.read() as connection:
        return rows.count(connection, DatasetVersion, dataset=DATASET)


def main(kind: str, folder: str, writer: str, seconds: str) -> None:
    """Prepare, wait for the start, publish, print."""
    publish = {"prepared": prepared, "added": added, "delta": delta}[kind](Path(folder), writer)
    print("ready", flush=True)
    sys.stdin.readline()
    done = refused = 0
    began = time.monotonic()
    while time.monotonic() - began < float(seconds):
        try:
            publish(done + refused)
            done += 1
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            refused += 1
    took = time.monotonic() - began
    print(json.dumps({"done": done, "refused": refused, "seconds": took}))


if __name__ == "__main__":
    main(*sys.argv[1:])
