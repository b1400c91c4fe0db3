"""What does it cost to log a model beyond writing its bytes, beside MLflow?

A random forest of 10 trees (some 400 kB). cd4ml knows the environment from its lock; MLflow
imports the model again in a subprocess to guess what it needs, unless it is told. Both keep
their rows in SQLite on the same disk, in processes that have imported and opened everything.

Run:
    OMP_NUM_THREADS=1 python benchmarks/bench_registry.py
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from statistics import median

import contest
from contest import cost_of_command, figure, peer

MLFLOW = "3.17.2"
TIMES = {"cd4ml": 20, "mlflow": 4}
ROUNDS = 3

Costs = dict[str, list[list[float]]]  # what -> wall and processor seconds of each call


def main() -> None:
    """Measure, print."""
    peer("mlflow", MLFLOW)
    python = {
        "cd4ml": Path(sys.executable),
        "mlflow": contest.environment("mlflow", f"mlflow=={MLFLOW}") / "python",
    }
    rounds = [{name: logged(name, python[name]) for name in python} for _ in range(ROUNDS)]
    say([each["cd4ml"] for each in rounds], [each["mlflow"] for each in rounds])


def logged(name: str, python: Path) -> Costs:
    """What a contestant's calls cost, in a process and a folder of its own."""
    program = Path(__file__).parent / "logging_model.py"
    with contest.scratch() as folder:
        env = {**os.environ, "CD4ML_ACTOR": "ann", "GIT_PYTHON_REFRESH": "quiet"}
        _, said = cost_of_command(python, program, name, str(TIMES[name]), cwd=folder, env=env)
    costs: Costs = json.loads(said.splitlines()[-1])
    return costs


def say(ours: list[Costs], theirs: list[Costs]) -> None:
    """Print the figures: medians of all calls but the first of each process."""
    bytes_ms = _later_ms(ours, "written")
    alone = _later_ms(ours, "log_model")
    registered = _later_ms(ours, "log_model, registered with a sample")
    guessed = _later_ms(theirs, "log_model")
    figure("the model's bytes written and synced", bytes_ms, "ms")
    figure("log_model", alone, "ms")
    figure("log_model, beyond the bytes", alone - bytes_ms, "ms", "<= 100")
    figure(
        "log_model, registered with a sample, beyond the bytes",
        registered - bytes_ms,
        "ms",
        "<= 100",
    )
    figure("log_model, the first of a process", _first_ms(ours, "log_model"), "ms")
    figure("`mlflow.sklearn.log_model`", guessed, "ms")
    figure(
        "`mlflow.sklearn.log_model`, requirements given",
        _later_ms(theirs, "log_model, requirements given"),
        "ms",
    )
    figure("`mlflow.sklearn.log_model` beside log_model", guessed / alone, "times", ">= 50")


def _later_ms(rounds: list[Costs], what: str) -> float:
    return 1000 * median(wall for costs in rounds for wall, _ in costs[what][1:])


def _first_ms(rounds: list[Costs], what: str) -> float:
    return 1000 * median(costs[what][0][0] for costs in rounds)


if __name__ == "__main__":
    main()
