"""Named checks of a model: promises every served model keeps, and rules about fields."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.errors import InvalidInput
from cd4ml.models.behaviour.asking import (
    AnswerFailed,
    Ask,
    Row,
    RowsRefused,
    answers_of,
)
from cd4ml.models.behaviour.promises import PROMISES, Check, compared, tally
from cd4ml.models.behaviour.responses import response
from cd4ml.models.behaviour.rules import Rule, against, allowed, rules_of, untestable
from cd4ml.models.contract import CompiledContract, derive
from cd4ml.models.frames import to_frame, to_rows
from cd4ml.models.runtime import Runtime
from cd4ml.records.behaviour import Promise
from cd4ml.records.contract import Contract
from cd4ml.testing.models import asking

if TYPE_CHECKING:
    import polars as pl

_PICKLED = "answers are the same after pickling"


class ModelMisbehaves(AssertionError):
    """A model does not keep what every served model has to keep; the message says what."""


class ModelCheck(NamedTuple):
    """One check: call it. Its text is its name, for `pytest.mark.parametrize(..., ids=str)`."""

    name: str
    broken: Callable[[], str]  # in what way, "" if it is kept

    def __str__(self) -> str:
        return self.name

    def __call__(self) -> None:
        """Run it.

        Raises:
            ModelMisbehaves: If the model does not keep it.
        """
        if broken := self.broken():
            raise ModelMisbehaves(f"{self.name}: {broken}")


def check_model(
    model: Any,
    rows: pl.DataFrame | Sequence[Row],
    *,
    contract: Contract | None = None,
    invariant: Sequence[str] = (),
    increasing: Sequence[str] = (),
    decreasing: Sequence[str] = (),
    tolerance: float = 0.0,
    latency_p99_ms: float | None = None,
) -> None:
    """Run all checks of `model_checks`, and say everything that is broken at once.

    Raises:
        ModelMisbehaves: If anything is.
        InvalidInput: If there are no rows, or it is no model that could answer.
        ContractViolated: If the rows do not keep the contract.

    Examples:
        >>> import polars as pl
        >>> from sklearn.linear_model import LinearRegression
        >>> offers = pl.DataFrame({"ram": [2.0, 4.0, 8.0, 16.0], "age": [3.0, 0.0, 4.0, 1.0]})
        >>> model = LinearRegression().fit(offers, [900, 1400, 1500, 2600])
        >>> check_model(model, offers, increasing=["ram"], decreasing=["age"])
        >>> check_model(model, offers, invariant=["age"])
        Traceback (most recent call last):
        cd4ml.testing.checks.ModelMisbehaves: 1 of 11 checks failed
          - invariant to age: age 0.0 gives 1172.26, 4.0 gives 832.944, for {"ram": 2.0, "age": 3.0}
    """
    checks = model_checks(
        model,
        rows,
        contract=contract,
        invariant=invariant,
        increasing=increasing,
        decreasing=decreasing,
        tolerance=tolerance,
        latency_p99_ms=latency_p99_ms,
    )
    broken = [f"  - {check.name}: {text}" for check in checks if (text := check.broken())]
    if broken:
        of_all = f"{len(broken)} of {len(checks)} checks failed"
        raise ModelMisbehaves("\n".join([of_all, *broken]))


def model_checks(
    model: Any,
    rows: pl.DataFrame | Sequence[Row],
    *,
    contract: Contract | None = None,
    invariant: Sequence[str] = (),
    increasing: Sequence[str] = (),
    decreasing: Sequence[str] = (),
    tolerance: float = 0.0,
    latency_p99_ms: float | None = None,
) -> list[ModelCheck]:
    """Every check of a model, each to be run by itself.

    Args:
        model: A version (`load_model`), or an object with `predict_proba` (two classes) or `predict`.
        rows: Raw columns of requests, as a frame or as rows of JSON values; a few hundred will do.
        contract: What requests keep; by default the version's own, else what the rows show.
        invariant: Fields with which the answer does not move.
        increasing: Fields with which the answer never falls.
        decreasing: Fields with which the answer never rises.
        tolerance: By how much it may move all the same, in its own unit; rounding is let through.
        latency_p99_ms: What 99 % of single rows take at most, in this process.

    Raises:
        InvalidInput: If there are no rows.
        ContractViolated: If the rows do not keep the contract.
    """
    kept = contract or (model.contract if isinstance(model, Runtime) else _derived(rows))
    asked = _as_rows(kept, rows)
    CompiledContract(kept).refuse_unless_kept(asked)
    if not asked:
        raise InvalidInput("a model cannot be checked without a row to ask it about")
    ask = asking(model, kept)
    rules = rules_of(invariant=invariant, increasing=increasing, decreasing=decreasing)
    return [
        *(_promise(test, ask, kept, asked) for test in PROMISES),
        *_of_objects(model, ask, kept, asked),
        *(ModelCheck(r.words, partial(_ruled, r, tolerance, ask, kept, asked)) for r in rules),
        *_latency(latency_p99_ms, ask, asked),
    ]


def _promise(test: Check, ask: Ask, contract: Contract, rows: Sequence[Row]) -> ModelCheck:
    return ModelCheck(test.name, lambda: _said(test(ask, contract, rows)))


def _said(promise: Promise) -> str:
    if not promise.n_broken:
        return ""
    return f"{promise.n_broken:,} of {promise.n_tried:,}: {promise.example}"


def _of_objects(model: Any, ask: Ask, contract: Contract, rows: Sequence[Row]) -> list[ModelCheck]:
    """Checks of what is in this process alone: not of a version, which is bytes already."""
    if isinstance(model, Runtime):
        return []
    return [
        ModelCheck("its input is left as it is", partial(_leaves_input, model, contract, rows)),
        ModelCheck(_PICKLED, partial(_pickled, model, ask, contract, rows)),
    ]


def _leaves_input(model: Any, contract: Contract, rows: Sequence[Row]) -> str:
    frame = to_frame(contract, [tuple(row[name] for name in contract.names) for row in rows])
    given = frame.select(getattr(model, "feature_names_in_", frame.columns))
    before = given.clone()
    try:
        (model.predict_proba if hasattr(model, "predict_proba") else model.predict)(given)
    except Exception:  # that it fails, other checks say
        return ""
    return "" if given.equals(before) else "the frame that it was given has changed"


def _pickled(model: Any, ask: Ask, contract: Contract, rows: Sequence[Row]) -> str:
    try:
        again = pickle.loads(pickle.dumps(model))  # noqa: S301 - bytes of this very line
    except Exception as error:  # whatever a class of the user's own raises
        return f"it cannot be pickled: {type(error).__name__}: {error}"
    try:
        answers = answers_of(asking(again, contract), rows)
        return _said(tally(_PICKLED, compared(rows, answers_of(ask, rows), answers)))
    except (AnswerFailed, RowsRefused) as error:
        return str(error)


def _ruled(rule: Rule, tolerance: float, ask: Ask, contract: Contract, rows: Sequence[Row]) -> str:
    if rule.field not in contract.names:
        return untestable(rule, None)
    try:
        seen = response(ask, contract, rule.field, rows)
        scale = max(abs(answer) for answer in answers_of(ask, rows))
    except (AnswerFailed, RowsRefused) as error:
        return str(error)
    if why := untestable(rule, seen):
        return why
    if seen.n_values < 2:
        return f"all rows have the same {rule.field}: nothing to compare"
    moved = against(rule, seen)
    return "" if moved.amount <= allowed(tolerance, scale) else moved.example


def _latency(limit: float | None, ask: Ask, rows: Sequence[Row]) -> list[ModelCheck]:
    if limit is None:
        return []
    name = f"answers 99 of 100 rows within {limit:g} ms"
    return [ModelCheck(name, partial(_slow, limit, ask, rows))]


def _slow(limit: float, ask: Ask, rows: Sequence[Row]) -> str:
    from cd4ml.measures.quantiles import quantile

    taken = []
    for number in range(max(200, len(rows))):
        began = time.perf_counter()
        ask([rows[number % len(rows)]])
        taken.append(1000 * (time.perf_counter() - began))
    p99 = quantile(taken, 0.99).value
    return "" if p99 <= limit else f"the 99th percentile is {p99:.3g} ms"


def _derived(rows: pl.DataFrame | Sequence[Row]) -> Contract:
    import polars as pl

    frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(list(rows))
    return derive(frame, "requests")


def _as_rows(contract: Contract, rows: pl.DataFrame | Sequence[Row]) -> list[Row]:
    import polars as pl

    return to_rows(contract, rows) if isinstance(rows, pl.DataFrame) else [dict(r) for r in rows]
