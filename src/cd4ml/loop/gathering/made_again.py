"""The columns that a step of the pipeline makes, beside those that the model saw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.errors import InvalidInput
from cd4ml.gates.refusal import refused
from cd4ml.loop.access import input_of
from cd4ml.loop.candidate import project_modules, table
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.gathering.captured import Captured, of_any, without
from cd4ml.loop.gathering.moments import moments
from cd4ml.loop.refs import dataset_version_in
from cd4ml.pipeline.graph import Input, StepDeclaration, declared_in, steps_in
from cd4ml.pipeline.storage import Output, load
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.run import StepRun
from cd4ml.records.skew_gate import MadeAgain
from cd4ml.store import rows
from cd4ml.store.masking import KEY

if TYPE_CHECKING:
    from types import ModuleType

    import polars as pl

    from cd4ml.records.skew_gate import SkewGate

_CLOSE = 1e-6  # relative, of numbers: JSON and Parquet keep all digits, libraries add otherwise


def made_again(asked: Asked, found: Captured, gate: SkewGate) -> Iterator[MadeAgain]:
    """Each column that both the step and the requests have, compared row by row.

    With `takes`, the step of the project as it is now is called with the captured rows as this
    input; its other inputs and its parameters are those of the run. With `key` the rows that
    the run stored for it are found by the caller's key.

    Raises:
        ConfigurationError: If the gate names a step or an input that is not there.
    """
    contract = asked.runtime.contract
    masked = of_any(found.masked(contract.names))
    if gate.key:  # its rows are those of the run: only what it is held against is not on record
        contract = without(contract, masked)
    elif masked:
        found = found.whole(contract.names)
    if _cannot_compare(asked, found, gate):
        yield MadeAgain(step=gate.step, masked=(KEY,) if gate.key else masked)
        return
    try:
        seen = asked.project.log.inputs(found.predictions, contract)
        if gate.key:
            again, seen = _stored(asked, found, seen, gate)
        else:
            again = _called(asked, seen, gate)
    except InvalidInput as error:
        yield MadeAgain(step=gate.step, problem=error.message.splitlines()[0])
        return
    names = [name for name in seen.columns if name in again.columns and name != gate.key]
    if not names or seen.is_empty():
        what = "makes no column that requests have" if not names else "has rows of no request"
        reason = f"the step {gate.step!r} {what}"
        yield MadeAgain(step=gate.step, n_rows=seen.height, problem=reason)
        return
    for name in names:
        n = _n_different(again[name], seen[name])
        yield MadeAgain(step=gate.step, column=name, n_rows=seen.height, n_different=n)


def _cannot_compare(asked: Asked, found: Captured, gate: SkewGate) -> bool:
    capture = asked.project.settings.capture
    if gate.key:
        return KEY in (*capture.redact, *capture.hash)
    return found.predictions.is_empty()


def require_step(asked: Asked, gate: SkewGate) -> None:
    """Let no gate through whose step is not there: nobody would see it before production is asked.

    Raises:
        ConfigurationError: If there is no such step, or it has no such input.
    """
    if gate.key:
        _rows_of_step(asked, gate)
        return
    with project_modules(asked.project) as module:
        _declared(asked, module, gate)


def _called(asked: Asked, seen: pl.DataFrame, gate: SkewGate) -> pl.DataFrame:
    """What the step makes of captured rows, one row for each, in their order."""
    with project_modules(asked.project) as module:
        declared = _declared(asked, module, gate)
        arguments = [
            _as_hinted(seen, each.hint) if each.name == gate.takes else _input(asked, each)
            for each in declared.inputs
        ]
        chosen = asked.candidate.run.parameters
        parameters = {
            each.name: chosen[f"{gate.step}.{each.name}"]
            for each in declared.parameters
            if f"{gate.step}.{each.name}" in chosen
        }
        made = _made(steps_in(module)[gate.step].function, arguments, parameters, gate)
    if made.height != seen.height:
        msg = f"the step {gate.step!r} makes {made.height:,} rows of {seen.height:,} requests"
        raise InvalidInput(msg)
    return made


def _made(
    function: Any, arguments: list[Any], parameters: dict[str, Any], gate: SkewGate
) -> pl.DataFrame:
    import polars as pl

    try:
        made = function(*arguments, **parameters)
        if isinstance(made, pl.LazyFrame):
            made = made.collect()
    except Exception as error:  # whatever it raises: it is the user's own code
        reason = next(iter(str(error).splitlines()), "")
        msg = f"the step {gate.step!r} fails on captured rows: {type(error).__name__}: {reason}"
        raise InvalidInput(msg) from error
    if not isinstance(made, pl.DataFrame):
        raise InvalidInput(f"the step {gate.step!r} makes no table of captured rows")
    return made


def _declared(asked: Asked, module: ModuleType, gate: SkewGate) -> StepDeclaration:
    steps = {each.name: each for each in declared_in(module, asked.project.folder)}
    if gate.step not in steps:
        msg, known = f"there is no step {gate.step!r}", ", ".join(steps)
        raise refused(msg, "gate.step", hint=f"known: {known}")
    if gate.takes not in steps[gate.step].needs:
        msg = f"the step {gate.step!r} has no input {gate.takes!r}"
        known = ", ".join(steps[gate.step].needs) or "none"
        raise refused(msg, "gate.takes", hint=f"known: {known}")
    return steps[gate.step]


def _input(asked: Asked, wanted: Input) -> Any:
    """What the run gave to the step as this input."""
    run = asked.candidate.run
    with asked.project.database.read() as connection:
        made = {each.step: each for each in rows.find(connection, StepRun, run=run.number)}
    if wanted.name in made:
        output = Output(made[wanted.name].kind, made[wanted.name].output)  # type: ignore[arg-type]
        return load(asked.project.blobs, output, hint=wanted.hint)
    dataset, number = dataset_version_in(run.refs[wanted.name])
    with asked.project.database.read() as connection:
        version = rows.get(connection, DatasetVersion, dataset, number)
    frame = input_of(asked.project, version).scan()
    return frame if wanted.hint == "LazyFrame" else frame.collect()


def _as_hinted(frame: pl.DataFrame, hint: str) -> Any:
    return frame.lazy() if hint == "LazyFrame" else frame


def _stored(
    asked: Asked, found: Captured, seen: pl.DataFrame, gate: SkewGate
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that the run stored for requests with a key, and these requests, in one order."""
    import polars as pl

    made = _rows_of_step(asked, gate)
    keys = made[gate.key].cast(pl.String)
    made = made.with_columns(keys).drop_nulls(gate.key).unique(gate.key, keep="none")
    asking = seen.drop(gate.key, strict=False).with_columns(
        found.predictions["key"].alias(gate.key)
    )
    asking = asking.filter(pl.col(gate.key).is_in(made[gate.key].implode()))
    again = asking.select(gate.key).join(made, on=gate.key, how="left", maintain_order="left")
    return again, asking


def _rows_of_step(asked: Asked, gate: SkewGate) -> pl.DataFrame:
    """What the run stored for the gate's step, which has the gate's key."""
    run = asked.candidate.run
    if gate.step not in run.outputs:
        known = ", ".join(sorted(run.outputs))
        msg = f"{run.ref} has no step {gate.step!r}"
        raise refused(msg, "gate.step", hint=f"known: {known}")
    made = table(asked.project, run.outputs[gate.step])
    if gate.key not in made.columns:
        msg = f"the step {gate.step!r} has no column {gate.key!r}"
        raise refused(msg, "gate.key", hint=f"known: {', '.join(made.columns)}")
    return made


def _n_different(again: pl.Series, seen: pl.Series) -> int:
    """How many values are not the same; numbers may differ by one in a million, null equals null."""
    import polars as pl

    if again.dtype.is_numeric() and seen.dtype.is_numeric():
        a = again.cast(pl.Float64).fill_nan(None).to_numpy()
        b = seen.cast(pl.Float64).fill_nan(None).to_numpy()
        return int((~np.isclose(a, b, rtol=_CLOSE, atol=_CLOSE, equal_nan=True)).sum())
    if again.dtype.is_temporal() and seen.dtype.is_temporal():
        again, seen = moments(again), moments(seen)
    else:
        again, seen = again.cast(pl.String), seen.cast(pl.String)
    return int(again.ne_missing(seen).sum())
