"""Chance is the same in every run of the same seed."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cd4ml.pipeline.run import Pipeline, run_pipeline
from cd4ml.pipeline.seed import seed_everything
from cd4ml.store.blobs import open_blobs
from cd4ml.store.clock import SimulatedClock
from cd4ml.store.database import open_database
from tests.pipeline.projects import project


def drawn(seed: int, step: str) -> tuple[Any, ...]:
    seed_everything(seed, step, needs_numpy=True)
    return (random.random(), *np.random.rand(2).tolist())


def test_a_step_draws_the_same_again() -> None:
    assert drawn(0, "delay") == drawn(0, "delay")


def test_other_seeds_and_other_steps_draw_otherwise() -> None:
    assert len({drawn(0, "delay"), drawn(1, "delay"), drawn(0, "features")}) == 3


def test_numpy_is_not_imported_for_steps_that_need_none() -> None:
    program = (
        "import sys; from cd4ml.pipeline.seed import seed_everything as s;"
        "s(0, 'x', needs_numpy=False); print('numpy' in sys.modules)"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert said.stdout == "False\n"


PIPELINE = """
    import random
    import numpy as np
    from cd4ml import step

    @step(cache=False)
    def drawn(*, seed: int) -> list:
        return [seed, random.random(), float(np.random.rand())]

    @step(cache=False)
    def shuffled() -> list:
        numbers = list(range(20))
        random.shuffle(numbers)
        return numbers
"""


def test_steps_that_forget_to_seed_give_the_same_in_every_run(
    tmp_path: Path, sqlite_url: str, files_url: str, clock: SimulatedClock
) -> None:
    folder = project(tmp_path / "project", pipeline=PIPELINE)

    def outputs(seed: int) -> dict[str, bytes]:
        blobs = open_blobs(files_url)
        run = run_pipeline(
            Pipeline(folder, "pipeline", state=tmp_path / "state", datasets=(), seed=seed),
            database=open_database(sqlite_url),
            blobs=blobs,
            clock=clock,
            actor="ada",
            datasets={},
            experiment="chance",
        )
        return {name: blobs.get(address) for name, address in run.outputs.items()}

    first, second, other = outputs(7), outputs(7), outputs(8)

    assert first == second
    assert first["drawn"].startswith(b"[7, ")
    assert all(first[name] != other[name] for name in first)
