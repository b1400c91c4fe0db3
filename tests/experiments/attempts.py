"""What trials do: importable by the processes that a search spawns."""

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

from cd4ml.errors import PipelineError
from cd4ml.experiments.trials import begin_run
from cd4ml.experiments.workers import Outcome
from cd4ml.records.run import Metric, Run
from cd4ml.records.search import Trial
from cd4ml.store import rows
from cd4ml.store.database import open_database

NOW = datetime(2013, 1, 1, tzinfo=UTC)


def attempt(folder: Path, trial: Trial) -> Outcome:
    """Note the process, then do what the parameter `do` says."""
    number = trial.position
    (folder / f"{number}-{trial.attempts}-{os.getpid()}").touch()
    match trial.parameters.get("step.do"):
        case "fail":
            raise PipelineError("pipeline.py:7: step 'delay' failed", hint="correct it")
        case "break":
            raise ValueError("unexpected")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "wait":
            time.sleep(0.2)
        case "long":  # until another one dies
            time.sleep(60)
    return Outcome(run=100 + number, value=number / 10)


def recorded(url: str, trial: Trial) -> Outcome:
    """A run that begins and finishes as the pipeline's do; its metric is the parameter x."""
    database = open_database(url)
    run = Run(
        number=0, experiment="x", search=trial.search, state="running", started_at=NOW,
        created_by="ada",
    )  # fmt: skip
    with database.write() as connection:
        run = Run(**{**_fields(run), "number": rows.next_number(connection, Run)})
        rows.insert(connection, run)
        begin_run(connection, trial, run)
    value = float(trial.parameters["step.x"])
    with database.write() as connection:
        done = Run(**{**_fields(run), "state": "finished", "finished_at": NOW})
        rows.replace(connection, done)
        rows.insert(connection, Metric(run=run.number, name="auc", value=value, logged_at=NOW))
    database.close()
    return Outcome(run=run.number, value=value)


def _fields(run: Run) -> dict[str, object]:
    return {name: getattr(run, name) for name in run.__struct_fields__}
