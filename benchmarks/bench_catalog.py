"""How long does it take to find a dataset among 10,000, and to walk 100,000 edges of lineage?

    python benchmarks/bench_catalog.py [DATABASE-URL ...]

Prints one JSON object a line: name, value, unit, goal (null where none was set) and whether it
holds. Without a URL it measures an SQLite file and a PostgreSQL server of its own, which takes
the settings of the tests (small buffers; nothing waits for the disk: what is measured only
reads). Each figure is the median of several calls of the use-case that `cd4ml data list` and
`cd4ml lineage` call.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import sqlalchemy as sa
from contest import figure, seconds_of

sys.path.append(str(Path(__file__).parents[1]))  # the tests' PostgreSQL server

from cd4ml.data.catalog import register
from cd4ml.data.findable import make_findable
from cd4ml.loop import Project, open_project
from cd4ml.loop.catalog import catalog
from cd4ml.loop.impact import impact
from cd4ml.loop.lineage import lineage
from cd4ml.records.dataset import Column, DatasetVersion
from cd4ml.records.lineage import Edge, Node
from cd4ml.store import rows
from cd4ml.store.tables import TABLES
from tests.services import postgres

N_DATASETS, N_COLUMNS, N_EDGES = 10_000, 20, 100_000
WORDS = [
    "flight",
    "wind",
    "city",
    "price",
    "sensor",
    "patient",
    "order",
    "hour",
    "airport",
    "carrier",
    "claim",
    "policy",
    "meter",
]
QUERIES = {
    "everything": "",
    "a word in the names of 1,500": "price",
    "two words": "patient team-5",
    "a name": "flight_wind_130",
    "what all of them have": "row",
    "three words that all of them have": "sensor meter hour",
    "a letter": "o",
    "nothing": "nothing",
}
GOAL_MS, REPEATS, TOGETHER = 20.0, 9, 500
LAYERS, PARENTS = 20, 4
SQLITE = "sqlite:///{folder}/cd4ml.db"


def main() -> None:
    """Measure on each database."""
    with ExitStack() as stack:
        for url in sys.argv[1:] or (SQLITE, stack.enter_context(postgres.server())):
            measure(url)


def measure(url: str) -> None:
    """Fill a project, measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cd4ml.toml").write_text('[project]\nname = "bench"\n')
        os.environ["CD4ML_DATABASE"] = url.format(folder=folder)
        with open_project(Path(folder)) as project:
            kind = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[project.database.dialect]
            fill_catalog(project)
            for name, query in QUERIES.items():
                tell(f"{kind}, search: {name}", timed(lambda q=query: catalog(project, q)), GOAL_MS)
            fill_graph(project)
            first, last = "thing/0/0", f"thing/{LAYERS}/0"
            tell(f"{kind}, lineage: up", timed(lambda: lineage(project, last, down=False), 3))
            tell(f"{kind}, lineage: down", timed(lambda: lineage(project, first, up=False), 3))
            tell(f"{kind}, lineage: impact", timed(lambda: impact(project, first), 3))


def fill_catalog(project: Project) -> None:
    """10,000 datasets with a version of 20 columns each."""
    now = project.clock.now()
    for start in range(0, N_DATASETS, TOGETHER):
        with project.database.write() as connection:
            for i in range(start, start + TOGETHER):
                a, b, c = (WORDS[(i * k + k) % len(WORDS)] for k in (1, 5, 7))
                dataset = register(
                    connection,
                    name=f"{a}_{b}_{i}",
                    owner=f"team-{i % 97}",
                    description=f"one row a {c} of the {a}, measured by the {b}, number {i}",
                    tags=(c,),
                    at=now,
                    actor="bench",
                )
                version = version_of(dataset.name, i, now)
                rows.insert(connection, version)
                make_findable(connection, dataset, version)


def version_of(name: str, i: int, now: object) -> DatasetVersion:
    """A version with columns of several words; whatever else a version has, is left empty."""
    values = {
        "dataset": name,
        "number": 1,
        "digest": f"blake3:{i:064}",
        "content": f"blake3:{i:064}",
        "columns": tuple(
            Column(name=f"{WORDS[j % len(WORDS)]}_{(i + j) % 50}", type="Int64")
            for j in range(N_COLUMNS)
        ),
        "n_rows": 1,
        "n_files": 1,
        "n_bytes": 1,
        "source": "bench",
        "created_at": now,
        "created_by": "bench",
    }
    return DatasetVersion(**values)


def fill_graph(project: Project) -> None:
    """20 layers of things, each made from four of the layer before: 100,000 edges."""
    now = project.clock.now()
    width = N_EDGES // (LAYERS * PARENTS)
    nodes = [
        {"address": f"thing/{layer}/{i}", "kind": "thing", "name": f"{layer}/{i}", "seen_at": now}
        for layer in range(LAYERS + 1)
        for i in range(width)
    ]
    with project.database.write() as connection:
        connection.execute(sa.insert(TABLES[Node]), nodes)
        connection.execute(sa.insert(TABLES[Edge]), list(edges(width)))


def edges(width: int) -> Iterator[dict[str, str]]:
    """Each thing's arrows to four of the layer before."""
    for layer in range(LAYERS):
        for i in range(width):
            for k in range(PARENTS):
                parent = f"thing/{layer}/{(i * 3 + k * 7) % width}"
                yield {"child": f"thing/{layer + 1}/{i}", "parent": parent, "role": "input"}


def timed(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median time of a call in milliseconds."""
    return seconds_of(call, repeats) * 1e3


def tell(name: str, value: float, goal: float | None = None) -> None:
    """One result, in milliseconds."""
    figure(name, value, "ms", "" if goal is None else f"<= {goal:g}")


if __name__ == "__main__":
    main()
