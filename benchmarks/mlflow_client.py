"""What the real MLflow client does against a server, timed: a program for its own environment."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

N_METRICS, N_RUNS, N_BATCHES, N_SEARCHED = 300, 30, 10, 1_000


def main(url: str) -> None:
    """Print the milliseconds of each part as JSON."""
    import mlflow
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    mlflow.set_tracking_uri(url)
    client = MlflowClient()
    experiment = mlflow.set_experiment("bench").experiment_id
    run = client.create_run(experiment).info.run_id
    now = 1_700_000_000_000

    def batch(i: int) -> None:
        points = [Metric(f"m{k % 10}", k * 0.1, now + k, 1_000 * i + k) for k in range(1_000)]
        client.log_batch(run, metrics=points)

    def small(i: int) -> None:
        with mlflow.start_run(run_name=f"run {i}"):
            mlflow.log_params({f"p{k}": k for k in range(5)})
            mlflow.log_metrics({f"m{k}": k * 0.5 for k in range(5)})

    took = {
        "a metric": each_ms(lambda i: client.log_metric(run, "loss", i, step=i), N_METRICS),
        "a small run": each_ms(small, N_RUNS),
        "a batch of 1,000 metrics": each_ms(batch, N_BATCHES),
        "a file of 1 MB, there and back": each_ms(lambda i: there_and_back(client, run, i), 10),
    }
    many = client.create_experiment("many")
    for i in range(N_SEARCHED):
        made = client.create_run(many).info.run_id
        params = [Param("depth", str(i % 7)), Param("name", f"n{i}")]
        client.log_batch(made, [Metric(f"m{k}", i * 0.1 + k, now, 0) for k in range(10)], params)

    def search(_: int) -> None:
        words = "metrics.m1 > 20 and params.depth = '3'"
        found = client.search_runs([many], words, order_by=["metrics.m1 DESC"], max_results=100)
        assert len(found) == 100, len(found)

    took["filter and sort 1,000 runs"] = each_ms(search, 10)
    print(json.dumps(took))


def there_and_back(client: object, run: str, i: int) -> None:
    """Log a file and download it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"f{i}.bin")
        path.write_bytes(os.urandom(1_000_000))
        client.log_artifact(run, str(path))  # type: ignore[attr-defined]
        back = client.download_artifacts(run, path.name, folder)  # type: ignore[attr-defined]
        assert Path(back).stat().st_size == 1_000_000


def each_ms(act: Callable[[int], object], n: int) -> float:
    """The median of n times, in milliseconds; the first is not counted."""
    act(0)
    seen = []
    for i in range(1, n + 1):
        began = time.perf_counter()
        act(i)
        seen.append(time.perf_counter() - began)
    return median(seen) * 1e3


if __name__ == "__main__":
    main(sys.argv[1])
