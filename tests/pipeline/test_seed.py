"""Chance is the same in every run of the same seed."""

import random
import subprocess
import sys
from typing import Any

import numpy as np

from cd4ml.pipeline.seed import seed_everything


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
