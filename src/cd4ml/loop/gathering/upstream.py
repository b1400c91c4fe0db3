"""The steps that a model comes from, and which of their inputs the holdout comes from too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

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

_OF_ROWS = ("table", "array", "file", "")  # kinds of what may hold rows; "" is a dataset


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

    def name(self, address: str) -> str:
        """The step that made it, or the dataset."""
        return self.made[address].step if address in self.made else self.datasets[address]

    def kind(self, address: str) -> str:
        """How it is stored; "" for a dataset."""
        return self.made[address].kind if address in self.made else ""


def steps_upstream(asked: Asked, key: tuple[str, ...], fits: tuple[str, ...]) -> Upstream:
    """Every step that the model comes from, with each input that the holdout comes from too.

    An input is meant that may hold rows; a step that has none is listed once, with none. The graph
    is that of the run's lineage: what each output was made from.

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
        if parent in of_holdout and graph.kind(parent) in _OF_ROWS
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
    return shared_rows(
        frame.select(columns).collect(), holdout.select(columns), key and columns
    ).n_rows


def _rows_of(asked: Asked, graph: _Graph, address: str) -> pl.LazyFrame | None:
    if address in graph.made:
        return table(asked.project, address).lazy() if graph.kind(address) == "table" else None
    refs: Mapping[str, str] = asked.candidate.run.refs
    name, number = dataset_version_in(refs[graph.datasets[address]])
    with asked.project.database.read() as connection:
        version = rows.get(connection, DatasetVersion, name, number)
    if version.kind != "table":
        return None
    return input_of(asked.project, version).scan()
