"""What people write: plain functions, marked as steps of the pipeline."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, ParamSpec, TypeVar, overload

from cd4ml.records.resources import Patience, Resources, patience, resources

P = ParamSpec("P")
R = TypeVar("R")

# Aliases, so that any fitted estimator and any dict of floats type-check, and marked,
# so that a return hint still says how the output is stored.
Model = Annotated[Any, "cd4ml.Model"]
Columns = Mapping[str, Sequence[str]]
Metrics = Annotated[dict[str, float], "cd4ml.Metrics"]


class Step(Generic[P, R]):
    """A function that is a step of the pipeline; calling it calls the function.

    `function` is what was decorated. `is_cached` False asks for a new computation in
    every run, for a step that reads more than its inputs (the time, a web page).
    `columns` says which columns of its inputs each column of its output is made from.
    `resources` is what it asks for, `patience` how long it may take and how often it is tried.
    `replaces` is the step that had its name in the module until then, which no one can mean.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        is_cached: bool,
        columns: Columns | None = None,
        resources: Resources = Resources(),  # noqa: B008 - immutable
        patience: Patience = Patience(),  # noqa: B008 - immutable
    ) -> None:
        self.function = function
        self.is_cached = is_cached
        self.resources = resources
        self.patience = patience
        self.columns: Columns = columns or {}
        self.name: str = function.__name__
        self.replaces = _named_so(function)
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function returns."""
        return self.function(*args, **kwargs)

    @property
    def place(self) -> tuple[str, int]:
        """File and line of its function, below what decorates it."""
        code = inspect.unwrap(self.function).__code__
        return code.co_filename, code.co_firstlineno

    def __repr__(self) -> str:
        return f"<step {self.name}>"

    def __reduce__(self) -> str:
        return self.function.__qualname__  # pickled by name, as functions are


def _named_so(function: Callable[..., Any]) -> Step[..., Any] | None:
    """The step that the function's module has under its name now."""
    if "." in function.__qualname__:  # within another function: its name is none of the module's
        return None
    named = getattr(function, "__globals__", {}).get(function.__name__)
    is_other = isinstance(named, Step) and named.function is not function
    return named if is_other else None


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(
    *,
    cache: bool = True,
    columns: Columns | None = None,
    timeout: float | str = 0,
    retries: int = 0,
    backoff: float | str = 1,
    cpus: float = 1,
    gpus: float = 0,
    memory: int | str = 0,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...


def step(
    function: Callable[P, R] | None = None,
    /,
    *,
    cache: bool = True,
    columns: Columns | None = None,
    timeout: float | str = 0,
    retries: int = 0,
    backoff: float | str = 1,
    cpus: float = 1,
    gpus: float = 0,
    memory: int | str = 0,
) -> Step[P, R] | Callable[[Callable[P, R]], Step[P, R]]:
    """Make a function a step of the pipeline, as `@step` or `@step(cache=False)`.

    Its positional parameters are its inputs, by name: datasets or other steps. Its
    keyword-only parameters are parameters that a run may change. Its return hint says
    how the output is stored: polars DataFrame, numpy array, `Model`, `Metrics`, `Path`, or plain
    data that JSON can hold.

    Args:
        function: The function itself, when used without parentheses.
        cache: False computes the step in every run; for what reads more than its inputs.
        columns: Column of the output -> the columns of the inputs that it is made from, as
            "input.column". It is told in the lineage and changes nothing else.
        timeout: Seconds, or "90s", "10min", "2h"; a step that takes longer is ended. 0: none.
        retries: How often it is tried again when it fails.
        backoff: The pause before the first of these attempts; each further one is twice as long.
        cpus: How many CPUs it keeps busy.
        gpus: How many GPUs it needs.
        memory: Bytes, or "4GB"; a step that takes more is ended. 0: as much as there is.

    Raises:
        InvalidInput: If an amount cannot be.

    Examples:
        >>> @step
        ... def doubled(numbers: list[int], *, times: int = 2) -> list[int]:
        ...     return [number * times for number in numbers]
        >>> doubled([1, 2])
        [2, 4]
        >>> @step(columns={"speed": ["weather.wind_speed"], "hour": []})
        ... def windy(weather: list[float]) -> list[float]:
        ...     return weather
        >>> windy.columns
        {'speed': ['weather.wind_speed'], 'hour': []}
    """
    asked = resources(cpus=cpus, gpus=gpus, memory=memory)
    waits = patience(timeout=timeout, retries=retries, backoff=backoff)

    def made(function: Callable[P, R]) -> Step[P, R]:
        return Step(function, is_cached=cache, columns=columns, resources=asked, patience=waits)

    return made if function is None else made(function)
