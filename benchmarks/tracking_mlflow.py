"""MLflow, asked by `bench_tracking.py` to log and to search; runs in MLflow's own environment.

    python tracking_mlflow.py FOLDER RUNS METRICS CALLS

Fills a store with runs, then reads words from standard input, one a line, does what each
names, and answers with the seconds it took.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient


def main() -> None:
    """Fill, then do what is asked."""
    folder, n_runs, n_metrics, n_calls = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("bench", artifact_location=str(folder / "artifacts"))
    fill(client, experiment, n_runs, n_metrics)
    works = {
        "log": lambda: log(client, experiment, n_calls),
        "run": lambda: small_run(client, experiment),
        "best": lambda: search(client, experiment, 100),
        "all": lambda: search(client, experiment, n_runs),
    }
    print("ready", flush=True)
    for line in sys.stdin:
        print(works[line.strip()](), flush=True)


def fill(client: MlflowClient, experiment: str, n_runs: int, n_metrics: int) -> None:
    """Runs with parameters and metrics; the same numbers as the other contestant's."""
    chance = random.Random(0)
    for _ in range(n_runs):
        run = client.create_run(experiment)
        params = [Param(f"p{j}", str(chance.randrange(10))) for j in range(5)]
        metrics = [Metric(f"m{j}", chance.random(), 0, 0) for j in range(n_metrics)]
        client.log_batch(run.info.run_id, metrics=metrics, params=params)
        client.set_terminated(run.info.run_id)


def log(client: MlflowClient, experiment: str, n_calls: int) -> float:
    """Seconds of single calls that log a value each."""
    run = client.create_run(experiment).info.run_id
    began = time.perf_counter()
    for step in range(n_calls):
        client.log_metric(run, "loss", 1 / (step + 1), step=step)
    took = time.perf_counter() - began
    client.set_terminated(run)
    client.delete_run(run)
    return took


def small_run(client: MlflowClient, experiment: str) -> float:
    """Seconds of a run with five parameters and twenty metrics, each logged alone."""
    began = time.perf_counter()
    run = client.create_run(experiment).info.run_id
    for j in range(5):
        client.log_param(run, f"p{j}", j)
    for j in range(20):
        client.log_metric(run, f"m{j}", 0.5)
    client.set_terminated(run)
    took = time.perf_counter() - began
    client.delete_run(run)
    return took


def search(client: MlflowClient, experiment: str, most: int) -> float:
    """Seconds of a search: what a metric lets through, sorted by another."""
    began = time.perf_counter()
    found = client.search_runs(
        [experiment], "metrics.m3 > 0.1", max_results=most, order_by=["metrics.m7 DESC"]
    )
    took = time.perf_counter() - began
    assert 0 < len(found) <= most
    return took


if __name__ == "__main__":
    main()
