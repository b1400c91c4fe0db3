"""Logs models in this process and prints what each call cost, without interpreter and imports.

Run in an empty folder, with the Python of the contestant:
    python benchmarks/logging_model.py cd4ml|mlflow TIMES
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contest import Cost, cost_of

ROWS, COLUMNS, TREES = 2_000, 20, 10

Log = Callable[[Any, int], None]


def fitted() -> tuple[Any, Any]:
    """A forest, and the rows that it was fitted on."""
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    numbers = np.random.default_rng(0)
    rows = numbers.normal(size=(ROWS, COLUMNS))
    late = rows[:, 0] + numbers.normal(size=ROWS) > 0
    return RandomForestClassifier(TREES, random_state=0).fit(rows, late), rows


def written(model: Any, number: int) -> None:
    """The least that keeps a model: its bytes, on the disk."""
    with Path(f"model-{number}.pickle").open("wb") as file:
        file.write(pickle.dumps(model))
        file.flush()
        os.fsync(file.fileno())


def cd4ml(rows: Any) -> dict[str, Log]:
    """`log_model`, alone and with a sample of requests as the next version of a model."""
    import polars as pl

    from cd4ml.loop import open_project
    from cd4ml.loop.log_model import log_model
    from cd4ml.loop.people import add_person
    from cd4ml.store.tracking.runs import start_run

    Path("cd4ml.toml").write_text('[project]\nname = "bench"\n')
    project = open_project(Path())
    add_person(project, "ann", roles=(), actor="ann")
    sample = pl.DataFrame(rows[:100], schema=[f"x{i}" for i in range(COLUMNS)])

    def begun() -> int:
        with project.database.write() as connection:
            at = project.clock.now()
            return start_run(connection, experiment="bench", at=at, actor="ann").number

    runs = [begun() for _ in range(200)]

    def alone(model: Any, _: int) -> None:
        log_model(project, runs.pop(), model, actor="ann")

    def registered(model: Any, _: int) -> None:
        log_model(project, runs.pop(), model, sample=sample, register="forest", actor="ann")

    return {"log_model": alone, "log_model, registered with a sample": registered}


def mlflow(_: Any) -> dict[str, Log]:
    """`mlflow.sklearn.log_model` direct to SQLite, its requirements guessed, and given."""
    import mlflow
    import mlflow.sklearn

    mlflow.set_tracking_uri(f"sqlite:///{Path.cwd()}/mlflow.db")
    mlflow.set_experiment("bench")

    def log(model: Any, **options: Any) -> None:
        # the default format refuses forests
        mlflow.sklearn.log_model(model, name="model", serialization_format="cloudpickle", **options)

    def guessed(model: Any, _: int) -> None:
        log(model)

    def given(model: Any, _: int) -> None:
        log(model, pip_requirements=["scikit-learn", "cloudpickle"])

    mlflow.start_run()
    return {"log_model": guessed, "log_model, requirements given": given}


def main(contestant: str, times: str) -> None:
    """Fit, log in turn, print: what -> the costs of each call."""
    model, rows = fitted()
    calls = {"written": written} | {"cd4ml": cd4ml, "mlflow": mlflow}[contestant](rows)
    costs: dict[str, list[Cost]] = {what: [] for what in calls}
    for number in range(int(times)):
        for what, call in calls.items():
            model.benchmark_ = f"{what} {number}"  # other bytes each time: nothing is there yet
            costs[what].append(cost_of(lambda call=call, number=number: call(model, number)))
    print(json.dumps(costs))


if __name__ == "__main__":
    main(*sys.argv[1:])
