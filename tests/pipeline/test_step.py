import functools
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cd4ml import Metrics, Model, step
from cd4ml.errors import InvalidInput
from cd4ml.pipeline.step import Step
from cd4ml.records.resources import Patience, Resources


@step
def doubled(numbers: list[int], *, times: int = 2) -> list[int]:
    """Each number, several times."""
    return [number * times for number in numbers]


@step(cache=False)
def fresh(doubled: list[int]) -> list[int]:
    return doubled


def test_a_step_is_called_as_the_function_it_was() -> None:
    assert doubled([1, 2]) == [2, 4]
    assert doubled([1, 2], times=3) == [3, 6]


def test_a_step_keeps_its_name_and_docstring() -> None:
    assert (doubled.__name__, doubled.__doc__) == ("doubled", "Each number, several times.")
    assert repr(doubled) == "<step doubled>"


def twice(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return 2 * function(*args, **kwargs)

    return inner


def test_a_decorated_step_stands_where_its_own_function_does() -> None:
    @step
    @twice
    def one() -> int:
        return 1

    lines, start = inspect.getsourcelines(one.function)
    assert (one(), one.place) == (2, (__file__, start))
    assert "def one" in "".join(lines)


def test_a_step_may_ask_to_be_computed_every_time() -> None:
    assert doubled.is_cached
    assert not fresh.is_cached


def test_a_step_is_pickled_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(doubled)) is doubled  # noqa: S301 - our own bytes


@pytest.mark.slow
def test_the_hints_type_check_for_any_estimator(tmp_path: Path) -> None:
    source = tmp_path / "typed.py"
    source.write_text(
        """
from cd4ml import Metrics, Model, step

class Mean:
    def predict(self, rows: list[float]) -> list[float]:
        return rows

@step
def model(numbers: list[float], *, rate: float = 0.1) -> Model:
    return Mean()

@step
def evaluation(model: Model, numbers: list[float]) -> Metrics:
    return {"mae": float(model.predict(numbers)[0])}

found: dict[str, float] = evaluation(Mean(), [1.0])
wrong: str = evaluation(Mean(), [1.0])
model([1.0], speed=2)
"""
    )

    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    lines = [line.split(": ", 1)[1] for line in done.stdout.splitlines() if "error:" in line]
    assert lines == [
        'error: Incompatible types in assignment (expression has type "dict[str, float]",'
        ' variable has type "str")  [assignment]',
        'error: Unexpected keyword argument "speed" for "__call__" of "Step"  [call-arg]',
    ]


def test_the_marks_survive_as_type_hints() -> None:
    assert Model != Metrics
    assert isinstance(fresh, Step)


def test_a_step_says_what_it_asks_for_and_how_long_it_may_take() -> None:
    @step(timeout="10min", retries=2, backoff=5, cpus=2, gpus=1, memory="4GB")
    def training() -> int:
        return 1

    assert (training.resources, training.patience) == (
        Resources(cpus=2, gpus=1, memory=4_000_000_000),
        Patience(timeout_s=600, retries=2, backoff_s=5),
    )


def test_an_amount_that_cannot_be_is_refused_where_it_stands() -> None:
    with pytest.raises(InvalidInput) as caught:
        step(memory="much")

    assert caught.value.message == "memory: expected bytes, or text such as \"4GB\", got 'much'"
