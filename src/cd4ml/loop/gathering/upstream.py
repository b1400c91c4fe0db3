"""The steps that a model comes from, and which of their inputs the holdout comes from too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.errors import InvalidInput
from cd4ml.gates.leakage import SUMMARIES
from cd4ml.gates.overlap import shared_rows
from cd4ml.loop.access import input_of
from cd4ml.loop.candidate import table
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.refs import dataset_version_in
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.leakage_gate import StepInput
from cd4ml.records.lineage import Edge
from cd4ml.records.run import StepRun
from cd4ml.store import rows

if TYPE_CHECKING:
    import polars as pl

_OF_ROWS = ("table", "file", "")  # kinds of what may hold rows; "" is a dataset


class Upstream(NamedTuple):
    """The steps, or why nobody knows them."""

    steps: tuple[StepInput, ...] = ()
    unknown: str = ""


class _Graph(NamedTuple):
    """What was made from what in one run, by content address."""

    made: dict[str, StepRun]  # output -> the step
    datasets: dict[str, str]  # digest -> the name under which steps took it
    parents: dict[str, list[str]]

    def above(self, address: str) -> set[str]:
        """All that an output comes from, itself included."""
        found, waiting = {address}, [address]
        while waiting:
            new = set(self.parents.get(waiting.pop(), ())) - found
            found |= new
            waiting += new
        return found

    def aside(self, address: str, side: str) -> set[str]:
        """All that an output comes from otherwise than through one other, itself included."""
        found, waiting = {address} - {side}, [address]
        while waiting:
            at = waiting.pop()
            new = set(self.parents.get(at, ())) - found if at != side else set()
            found |= new - {side}
            waiting += new
        return found

    def name(self, address: str) -> str:
        """The step that made it, or the dataset."""
        return self.made[address].step if address in self.made else self.datasets[address]

    def kind(self, address: str) -> str:
        """How it is stored; "" for a dataset."""
        return self.made[address].kind if address in self.made else ""


def steps_upstream(asked: Asked, key: tuple[str, ...], fits: tuple[str, ...]) -> Upstream:
    """Every step that the model comes from, with each input that has the holdout's origin.

    An input is meant that may hold rows: one that the holdout comes from, or that was made of what
    the holdout was made of, but for what was made of the training rows alone. A step that has
    none is listed once, with none. The graph is that of the run's lineage: what each output was
    made from.

    Args:
        asked: The candidate.
        key: What tells rows apart, to count those of the holdout in an input.
        fits: Steps whose inputs are looked into beside those that return no rows.
    """
    graph = _graph_of(asked)
    model, holdout = asked.candidate.estimator, asked.candidate.holdout
    if model not in graph.made:
        return Upstream(unknown="the model is no step's output, so nobody knows what it read")
    of_holdout = graph.above(holdout)
    found: list[StepInput] = []
    for address in graph.above(model):
        if address in graph.made:
            found += _inputs(asked, graph, address, of_holdout, key=key, fits=fits)
    return Upstream(tuple(sorted(found, key=lambda each: (each.step, each.reads))))


def _inputs(
    asked: Asked,
    graph: _Graph,
    address: str,
    of_holdout: set[str],
    *,
    key: tuple[str, ...],
    fits: tuple[str, ...],
) -> Iterator[StepInput]:
    made = graph.made[address]
    both = [
        parent
        for parent in graph.parents.get(address, ())
        if graph.kind(parent) in _OF_ROWS
        and graph.aside(parent, asked.candidate.training) & of_holdout
    ]
    if not both:
        yield StepInput(step=made.step, kind=made.kind, reads="")
    is_learning = made.kind in SUMMARIES or made.step in fits
    for parent in both:
        n_shared = _n_shared(asked, graph, parent, key) if is_learning else None
        reads = graph.name(parent)
        yield StepInput(step=made.step, kind=made.kind, reads=reads, n_shared=n_shared)


def _graph_of(asked: Asked) -> _Graph:
    run = asked.candidate.run
    with asked.project.database.read() as connection:
        steps = [s for s in rows.find(connection, StepRun, run=run.number) if s.output]
        known = {*(step.output for step in steps), *run.datasets.values()}
        parents = {
            step.output: [
                edge.parent
                for edge in rows.find(connection, Edge, child=step.output, role="input")
                if edge.parent in known
            ]
            for step in steps
        }
    datasets = {digest: name for name, digest in run.datasets.items()}
    return _Graph({step.output: step for step in steps}, datasets, parents)


def _n_shared(asked: Asked, graph: _Graph, address: str, key: tuple[str, ...]) -> int | None:
    """How many rows of the holdout stand in an input; None where the two cannot be compared."""
    frame = _rows_of(asked, graph, address)
    if frame is None:
        return None
    holdout, names = asked.holdout, frame.collect_schema().names()
    columns = list(key) if key and set(key) <= set(names) else holdout.columns
    if not set(columns) <= set(names):
        return None
    rows_read = frame.select(columns).collect()
    n_shared = shared_rows(rows_read, holdout.select(columns), key and columns).n_rows
    if n_shared or columns == list(key) or _is_selection(asked, graph, address, rows_read):
        return n_shared
    return None  # rows that were changed on the way are other rows, and tell the same


def _is_selection(asked: Asked, graph: _Graph, address: str, rows_read: pl.DataFrame) -> bool:
    """Whether an input and the holdout are rows of one table, as they stand there."""
    holdout = asked.holdout
    for origin in graph.above(address) & graph.above(asked.candidate.holdout):
        frame = _rows_of(asked, graph, origin)
        if frame is None or not set(holdout.columns) <= set(frame.collect_schema().names()):
            continue
        known = frame.select(holdout.columns).collect()
        if not known.schema == holdout.schema == rows_read.schema:
            continue
        of_both = (shared_rows(known, each).n_rows == each.height for each in (holdout, rows_read))
        if all(of_both):
            return True
    return False


def _rows_of(asked: Asked, graph: _Graph, address: str) -> pl.LazyFrame | None:
    if address in graph.made:
        return table(asked.project, address).lazy() if graph.kind(address) == "table" else None
    refs: Mapping[str, str] = asked.candidate.run.refs
    try:
        name, number = dataset_version_in(refs[graph.datasets[address]])
    except InvalidInput:  # nothing has come from production yet
        return None
    with asked.project.database.read() as connection:
        version = rows.get(connection, DatasetVersion, name, number)
    if version.kind != "table":
        return None
    return input_of(asked.project, version).scan()
