"""The version that answers in somebody's own process: rows and frames in, answers out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import msgspec

from cd4ml.errors import ContractViolated, InvalidInput, ModelFailed
from cd4ml.models.contract import CompiledContract
from cd4ml.models.explain.asking import explained_by_asking
from cd4ml.models.leniency import ContractWarning, Warned, said
from cd4ml.models.plain import plain
from cd4ml.models.runtime import Runtime
from cd4ml.models.violations import Kind, Violation, expected_of, with_integers
from cd4ml.records.contract import Contract, Field
from cd4ml.records.explanation import Explained
from cd4ml.records.model_version import ModelVersion

if TYPE_CHECKING:
    import polars as pl

_LISTED = 100  # violations in one error
_APART = (
    1e-4  # by how much the parts of an answer may miss it: compiled models are of single precision
)

_Given = TypeVar("_Given")


class RowsRefused(ContractViolated):
    """Rows that do not keep the model's contract; `violations` has at most 100 of what is wrong."""

    def __init__(self, message: str, *, hint: str, violations: tuple[Violation, ...]) -> None:
        super().__init__(message, hint=hint, discreet=message)
        self.violations = violations

    def __reduce__(self) -> tuple[object, ...]:
        """What another process needs to raise the same."""
        return _refused_again, (self.message, self.hint, self.violations)


def _refused_again(message: str, hint: str, violations: tuple[Violation, ...]) -> RowsRefused:
    return RowsRefused(message, hint=hint, violations=violations)


class PandasFrame(Protocol):
    """What of a pandas frame is asked for; pandas itself is not needed."""

    @property
    def columns(self) -> Any:
        """The names of its columns."""

    @property
    def iloc(self) -> Any:
        """Its columns by their number."""


class InForce(NamedTuple):
    """One version whole: what a call takes once."""

    version: ModelVersion
    runtime: Runtime
    contract: CompiledContract
    usual: list[dict[str, Any]]  # rows that it was packaged with


def as_asked(contract: Contract, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows as a request would have them: NumPy's numbers as plain ones, whole floats as integers.

    Examples:
        >>> import numpy as np
        >>> hour = Contract(name="c", fields=(Field("hour", "integer"),))
        >>> as_asked(hour, [{"hour": np.int64(17)}, {"hour": 18.0}])
        [{'hour': 17}, {'hour': 18}]
    """
    return [with_integers(contract.fields, plain(row)) for row in rows]


def answered(
    in_force: InForce, rows: Sequence[Mapping[str, Any]], paths: list[str], *, depth: int = 4
) -> list[float]:
    """The answer to each row.

    Args:
        in_force: What answers.
        rows: As a request has them.
        paths: Where each is, for violations.
        depth: How many calls away the code is that is to be warned.

    Raises:
        RowsRefused: With everything that is wrong with them.
        ModelFailed: If the model fails.
    """
    contract = in_force.contract
    rows = as_asked(contract.contract, rows)
    found = [v for row, path in zip(rows, paths, strict=True) for v in contract.check(row, path)]
    if found:
        raise _refused(in_force, found)
    _warn(contract.warnings_of(rows), depth)
    names = in_force.runtime.contract.names
    values = [tuple(row.get(name) for name in names) for row in rows]
    return _scored(in_force, lambda: in_force.runtime.score_values(values)) if rows else []


def explained(
    in_force: InForce, rows: Sequence[Mapping[str, Any]], paths: list[str], *, depth: int = 5
) -> list[Explained]:
    """The answer to each row, taken apart; as `answered`.

    As an endpoint takes it apart, where that was packaged; else by asking about mixtures of rows.
    """
    runtime = in_force.runtime
    rows = as_asked(in_force.contract.contract, rows)
    answers = answered(in_force, rows, paths, depth=depth)
    if not rows:
        return []
    values, usual = (
        [tuple(row.get(name) for name in runtime.contract.names) for row in each]
        for each in (rows, in_force.usual)
    )
    if runtime.explainer is not None:
        found = runtime.explainer.explained(values)
    else:
        msg = f"the model {in_force.version.ref} failed while its answers were taken apart"
        found = _tried(msg, lambda: explained_by_asking(runtime, values, usual))
    for each, answer in zip(found, answers, strict=True):
        if not abs(each.answer - answer) <= _APART * max(1.0, abs(answer)):
            msg = f"the parts of an answer add up to {each.answer:.6g}, not to {answer:.6g}"
            raise ModelFailed(msg, hint="ask without contributions")
    pairs = zip(found, answers, strict=True)
    return [msgspec.structs.replace(each, answer=answer) for each, answer in pairs]


def as_frame(rows: object) -> pl.DataFrame:
    """A frame of whatever kind as one of Polars.

    Raises:
        InvalidInput: If it is none.
    """
    import polars as pl

    from cd4ml.models.frames import from_pandas

    if isinstance(rows, pl.LazyFrame):
        return rows.collect()
    if isinstance(rows, pl.DataFrame):
        return rows
    if hasattr(rows, "iloc") and hasattr(rows, "columns"):
        return from_pandas(rows)
    msg = f"expected a row, a list of rows, or a frame of Polars or pandas, got {_named(rows)}"
    raise InvalidInput(msg, hint="a row is a dictionary, {'hour': 17}")


def _named(rows: object) -> str:
    kind = type(rows)
    place = kind.__module__.partition(".")[0]
    return kind.__name__ if place == "builtins" else f"{place}.{kind.__name__}"


def frame_explained(in_force: InForce, frame: pl.DataFrame) -> list[Explained]:
    """The answer to each row of a frame, taken apart; as `explained`."""
    from cd4ml.models.frames import to_rows

    fields = in_force.runtime.contract.fields
    there = tuple(f for f in fields if f.name in frame.columns or not f.optional)
    asked = msgspec.structs.replace(in_force.runtime.contract, fields=there)
    rows = to_rows(asked, frame)
    return explained(in_force, rows, [f"$.rows[{i}]" for i in range(len(rows))], depth=6)


def frame_answered(in_force: InForce, frame: pl.DataFrame) -> pl.Series:
    """The answer to each row of a frame, as the series `score`; as `answered`."""
    import polars as pl

    from cd4ml.models.frames import to_rows
    from cd4ml.models.tables import forgiven, kept, typed

    contract = in_force.runtime.contract
    bad = kept(contract, frame).not_().arg_true()[:_LISTED]
    if len(bad):
        present = tuple(each for each in contract.fields if each.name in frame.columns)
        rows = to_rows(msgspec.structs.replace(contract, fields=present), frame[bad])
        rows = [dict(with_integers(contract.fields, row)) for row in rows]
        pairs = zip(rows, bad, strict=True)
        raise _refused(
            in_force, [v for row, i in pairs for v in in_force.contract.check(row, f"$.rows[{i}]")]
        )
    if not frame.height:
        return pl.Series("score", [], dtype=pl.Float64)
    _warn(_amiss(contract, forgiven(contract, frame)), 4)
    score = in_force.runtime.score_frame
    return pl.Series("score", _scored(in_force, lambda: score(typed(contract, frame)).tolist()))


def _warn(found: Sequence[Warned], depth: int) -> None:
    for words in dict.fromkeys(map(said, found)):
        warnings.warn(words, ContractWarning, stacklevel=depth)


def _amiss(contract: Contract, found: Mapping[str, Mapping[Kind, int]]) -> list[Warned]:
    fields = {field.name: field for field in contract.fields}
    return [
        Warned(0, name, kind, expected_of(fields[name]), "", _replaced(fields[name], kind))
        for name, kinds in found.items()
        for kind in kinds
    ]


def _replaced(field: Field, kind: Kind) -> str:
    """What stands for the value that is scored; "" where that is what came."""
    policy = {"null": field.on_null, "unknown": field.on_unknown, "outside": field.on_outside}
    return "" if policy[kind] == "warn" else policy[kind]


def _scored(in_force: InForce, score: Callable[[], list[float]]) -> list[float]:
    ref = in_force.version.ref
    msg = f"the model {ref} failed on rows that keep its contract"
    answers = _tried(msg, score)
    if not all(map(math.isfinite, answers)):
        raise ModelFailed(msg, hint="its answer is not a finite number")
    return answers


def _tried(message: str, ask: Callable[[], _Given]) -> _Given:
    try:
        return ask()
    except Exception as error:  # whatever a model raises
        words = getattr(error, "message", error)  # cd4ml's own have a hint of their own
        raise ModelFailed(message, hint=f"it said: {words}") from error


def _refused(in_force: InForce, found: list[Violation]) -> RowsRefused:
    n = len(found)
    name = in_force.runtime.contract.name
    msg = f"the request does not keep the contract {name!r}: {n} violation{'s' * (n > 1)}"
    if n > _LISTED:
        msg += f", the first {_LISTED} are listed"
    hint = f"{found[0].path}: expected {found[0].expected}, got {found[0].got}"
    return RowsRefused(msg, hint=hint, violations=tuple(found[:_LISTED]))
