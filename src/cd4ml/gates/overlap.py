"""Rows that a model learned from and is judged on: whatever is measured on them is no evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.errors import InvalidInput
from cd4ml.records.finding import Finding, Outcome

if TYPE_CHECKING:
    import polars as pl

METRIC = "shared rows"
KIND = "leakage"  # it is asked whether or not the policy has a gate of this kind

_SHOWN = 4  # columns of an example
_LONGEST = 40  # characters of a value


class Shared(NamedTuple):
    """Holdout rows that are training rows too, by what says so, and the first of them."""

    n_rows: int
    columns: tuple[str, ...]  # () stands for whole rows
    example: str


def key_that_fits(
    training: pl.DataFrame, holdout: pl.DataFrame, keys: Iterable[Sequence[str]]
) -> tuple[str, ...]:
    """The first key that identifies a row in both tables; () if none does.

    A key whose values repeat within a table is that of something rows refer to (the
    aircraft of a flight), not of the rows.
    """
    for key in keys:
        if key and all(_identifies(key, part) for part in (training, holdout)):
            return tuple(key)
    return ()


def shared_rows(training: pl.DataFrame, holdout: pl.DataFrame, key: Sequence[str] = ()) -> Shared:
    """The holdout rows whose key is that of a training row.

    Without a key rows are the same if all columns that both tables have are the same, null
    and NaN included. A key with a null in it identifies nothing.

    Args:
        training: What the model learned from, one row a case.
        holdout: What it is judged on.
        key: What identifies a row, or what must not be on both sides (a patient).

    Raises:
        InvalidInput: If a table lacks a column of the key.

    Examples:
        >>> import polars as pl
        >>> seen, asked = pl.DataFrame({"ride": [1, 2, 3]}), pl.DataFrame({"ride": [3, 4]})
        >>> shared_rows(seen, asked)
        Shared(n_rows=1, columns=(), example='ride=3')
    """
    for side, part in (("training", training), ("holdout", holdout)):
        missing = [name for name in key if name not in part.columns]
        if missing:
            msg = f"the {side} rows have no column {missing[0]!r}, which is to identify them"
            raise InvalidInput(msg, hint=f"known: {', '.join(part.columns)}; see `model.key`")
    columns = [name for name in key or holdout.columns if name in training.columns]
    if not columns:
        return Shared(0, (), "")
    learned = training.select(columns).cast(_types(holdout, columns), strict=False)
    asked = holdout.drop_nulls(list(key)) if key else holdout
    found = asked.join(learned, on=columns, how="semi", nulls_equal=True, maintain_order="left")
    return Shared(found.height, tuple(key), _example(found.select(columns)))


def overlap_findings(
    training: pl.DataFrame,
    holdout: pl.DataFrame,
    key: Sequence[str],
    *,
    learner: str = "",
) -> tuple[Finding, ...]:
    """A finding if rows both taught and judge; none if all is well.

    Args:
        training: What was learned from.
        holdout: What is judged on.
        key: What identifies a row; () compares whole rows.
        learner: The version that learned it, if not the candidate: its finding is shown and
            decides nothing, for it only makes the candidate look worse than it is.
    """
    shared = shared_rows(training, holdout, key)
    if shared.n_rows == 0:
        return ()
    same = f"by {', '.join(shared.columns)}" if shared.columns else "in every column"
    taught = f"taught {learner}" if learner else "are training rows"
    reason = (
        f"{shared.n_rows:,} of {holdout.height:,} holdout rows {taught} too ({same}),"
        f" for example {shared.example}"
    )
    outcome: Outcome = "fail" if learner else "error"  # nothing was measured on unseen rows
    return (
        Finding(
            gate=f"{METRIC}{' with ' + learner if learner else ''} at most 0",
            kind=KIND,
            metric=METRIC,
            value=float(shared.n_rows),
            limit=0.0,
            n_rows=holdout.height,
            is_gated=not learner,
            outcome=outcome,
            reason=reason,
        ),
    )


def _identifies(key: Sequence[str], part: pl.DataFrame) -> bool:
    if any(name not in part.columns for name in key):
        return False
    return part.select(key).n_unique() == part.height


def _types(part: pl.DataFrame, columns: Sequence[str]) -> Any:
    return {name: part.schema[name] for name in columns}


def _example(found: pl.DataFrame) -> str:
    if found.is_empty():
        return ""
    values = list(found.row(0, named=True).items())
    shown = [f"{name}={_short(value)}" for name, value in values[:_SHOWN]]
    return ", ".join(shown) + (", ..." if len(values) > _SHOWN else "")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
