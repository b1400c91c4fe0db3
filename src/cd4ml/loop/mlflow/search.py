"""Runs that fit a filter of MLflow's, in an order, by pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from cd4ml.engines.mlflow import messages
from cd4ml.engines.mlflow.entities import milliseconds
from cd4ml.engines.mlflow.search_language import (
    RUNS,
    Comparison,
    Order,
    holds,
    parse_filter,
    parse_order,
)
from cd4ml.loop.mlflow.experiments import view_of
from cd4ml.loop.mlflow.files import root_of_run
from cd4ml.loop.mlflow.ids import experiment_id, experiments_of, run_ids
from cd4ml.loop.mlflow.ordering import ordered
from cd4ml.loop.mlflow.paging import page_of
from cd4ml.loop.mlflow.told import run_tags, status_of, text, told_runs
from cd4ml.records.experiment import Experiment
from cd4ml.records.run import Metric, Run
from cd4ml.records.run_input import RunInput
from cd4ml.store import rows
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

_RUNS, _METRICS, _INPUTS = TABLES[Run], TABLES[Metric], TABLES[RunInput]
_USUAL, _MOST = 1000, 50_000
_ASKED = 500  # numbers in one question
_TEXTS = ("param", "tag")


def search(project: Project, asked: messages.SearchRuns, actor: str) -> dict[str, object]:
    """Runs of some experiments that fit, the newest first unless an order is asked for.

    Raises:
        InvalidInput: If the filter, the order, the view or the page cannot be.
    """
    comparisons = parse_filter(asked.filter, RUNS)
    orders = [parse_order(each, RUNS) for each in asked.order_by]
    page = page_of(asked.page_token, asked.max_results, usual=_USUAL, most=_MOST)
    with project.database.read() as connection:
        experiments = experiments_of(connection, asked.experiment_ids)
        chosen = _chosen(experiments, view_of(asked.run_view_type), comparisons)
        found = _Found(connection, chosen, comparisons, orders)
        numbers, token = page.of(found.numbers())
        runs = told_runs(connection, _in_order(connection, numbers))
    return {"runs": runs, "next_page_token": token}


def search_datasets(
    project: Project, asked: messages.SearchDatasets, actor: str
) -> dict[str, object]:
    """The datasets that runs of some experiments were given, each once."""
    with project.database.read() as connection:
        found = []
        for experiment in experiments_of(connection, asked.experiment_ids):
            of_runs = sa.select(_INPUTS.c.name, _INPUTS.c.digest, _INPUTS.c.context).distinct()
            of_runs = of_runs.join(_RUNS, _RUNS.c.number == _INPUTS.c.run)
            of_runs = of_runs.where(_RUNS.c.experiment == experiment.name)
            of_runs = of_runs.order_by(_INPUTS.c.name, _INPUTS.c.digest, _INPUTS.c.context)
            found += [
                {
                    "experiment_id": experiment_id(experiment),
                    "name": name,
                    "digest": digest,
                    "context": context,
                }
                for name, digest, context in connection.execute(of_runs)
            ]
    return {"dataset_summaries": found}


def _chosen(
    experiments: list[Experiment], view: str, comparisons: list[Comparison]
) -> sa.ColumnElement[bool]:
    """Which runs there are to look at: what the database decides fastest, it decides."""
    conditions: list[sa.ColumnElement[bool]] = [
        _RUNS.c.experiment.in_([each.name for each in experiments])
    ]
    if view != "ALL":
        is_there = _RUNS.c.deleted_at.is_(None)
        conditions.append(is_there if view == "ACTIVE_ONLY" else sa.not_(is_there))
    conditions += [_metric_condition(each) for each in comparisons if each.kind == "metric"]
    return sa.and_(*conditions)


def _metric_condition(comparison: Comparison) -> sa.ColumnElement[bool]:
    value, number = _METRICS.c.value, comparison.value
    compared = {
        "=": value == number,
        "!=": sa.or_(value != number, value.is_(None)),  # NaN is no number, so not this one
        "<": value < number,
        "<=": value <= number,
        ">": value > number,
        ">=": value >= number,
    }[comparison.comparator]
    having = sa.select(_METRICS.c.run).where(_METRICS.c.name == comparison.key, compared)
    return _RUNS.c.number.in_(having)


class _Found:
    """The runs that fit, and what they are sorted by; of the rest only what is asked for is read."""

    def __init__(
        self,
        connection: Connection,
        chosen: sa.ColumnElement[bool],
        comparisons: list[Comparison],
        orders: list[Order],
    ) -> None:
        self._connection = connection
        self._orders = orders
        self._comparisons = [each for each in comparisons if each.kind != "metric"]
        self._runs = self._read(chosen)
        self._inputs = self._read_inputs() if self._asks("dataset") else {}
        self._metrics = {
            each.key: self._read_metric(chosen, each.key)
            for each in orders
            if each.kind == "metric"
        }
        self._ids = self._read_ids() if self._asks_key("run_id", "artifact_uri") else {}

    def numbers(self) -> list[int]:
        """Of the runs that fit, in order: the newest first where nothing else decides."""
        fitting = [run for run in self._runs if self._fits(run)]
        fitting.sort(key=lambda run: (-milliseconds(run.started_at), -run.number))
        for order in reversed(self._orders):
            value = self._sorted_by(order)
            fitting = ordered(fitting, value, is_ascending=order.is_ascending)
        return [run.number for run in fitting]

    def _read(self, chosen: sa.ColumnElement[bool]) -> list[Run]:
        by_text = any(each.kind in _TEXTS or each.key == "user_id" for each in self._orders)
        if self._comparisons or by_text:
            return rows.fetch(self._connection, Run, _RUNS.select().where(chosen))
        # the columns that decide, without the JSON of each run
        columns = [_RUNS.c[name] for name in _PLAIN]
        return [
            Run(**dict(zip(_PLAIN, row, strict=True)))
            for row in self._connection.execute(sa.select(*columns).where(chosen))
        ]

    def _read_metric(self, chosen: sa.ColumnElement[bool], name: str) -> dict[int, float]:
        of_runs = sa.select(_METRICS.c.run, _METRICS.c.value).where(_METRICS.c.name == name)
        of_runs = of_runs.join(_RUNS, _RUNS.c.number == _METRICS.c.run).where(chosen)
        found = self._connection.execute(of_runs)
        return {run: float("nan") if value is None else value for run, value in found}

    def _read_inputs(self) -> dict[int, list[RunInput]]:
        found: dict[int, list[RunInput]] = {}
        numbers = [run.number for run in self._runs]
        for i in range(0, len(numbers), _ASKED):
            some = _INPUTS.select().where(_INPUTS.c.run.in_(numbers[i : i + _ASKED]))
            for each in rows.fetch(self._connection, RunInput, some):
                found.setdefault(each.run, []).append(each)
        return found

    def _read_ids(self) -> dict[int, str]:
        return run_ids(self._connection, [run.number for run in self._runs])

    def _asks(self, kind: str) -> bool:
        return any(each.kind == kind for each in self._comparisons)

    def _asks_key(self, *keys: str) -> bool:
        asked = [(each.kind, each.key) for each in self._comparisons]
        asked += [(each.kind, each.key) for each in self._orders]
        return any(kind == "attribute" and key in keys for kind, key in asked)

    def _fits(self, run: Run) -> bool:
        for each in self._comparisons:
            if each.kind == "dataset":
                given = self._inputs.get(run.number, [])
                if not any(holds(each, getattr(one, each.key)) for one in given):
                    return False
            elif not holds(each, self._value(run, each.kind, each.key)):
                return False
        return True

    def _sorted_by(self, order: Order) -> Callable[[Run], Any]:
        if order.kind == "metric":
            return lambda run: self._metrics[order.key].get(run.number)
        return lambda run: self._value(run, order.kind, order.key)

    def _value(self, run: Run, kind: str, key: str) -> Any:
        if kind == "param":
            return text(run.parameters[key]) if key in run.parameters else None
        if kind == "tag":
            return run_tags(run).get(key)
        id = self._ids.get(run.number, "")
        values: dict[str, Callable[[], Any]] = {
            "run_id": lambda: id,
            "run_name": lambda: run.name or run.ref,
            "status": lambda: status_of(run),
            "artifact_uri": lambda: root_of_run(id),
            "user_id": lambda: run_tags(run)["mlflow.user"],
            "start_time": lambda: milliseconds(run.started_at),
            "end_time": lambda: milliseconds(run.finished_at) if run.finished_at else None,
        }
        return values[key]()


_PLAIN = ("number", "experiment", "name", "state", "started_at", "finished_at", "created_by")


def _in_order(connection: Connection, numbers: list[int]) -> list[Run]:
    found: dict[int, Run] = {}
    for i in range(0, len(numbers), _ASKED):
        some = _RUNS.select().where(_RUNS.c.number.in_(numbers[i : i + _ASKED]))
        found |= {run.number: run for run in rows.fetch(connection, Run, some)}
    return [found[number] for number in numbers]
