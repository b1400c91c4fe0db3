"""Answers of a model that its own library serves."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from cd4ml.models.violations import moment_of

if TYPE_CHECKING:
    from cd4ml.serving.packaging.embedded.model import Score

_TYPES: dict[str, Any] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "string": pl.String(),
    "boolean": pl.Boolean(),
    "datetime": pl.Datetime("us", "UTC"),
}


def open_scorer(folder: Path, fields: Sequence[Any]) -> Score:
    """What answers rows of values, in the order of the contract's fields."""
    estimator = _estimator(folder)
    names = [field.name for field in fields]
    known = [name for name in getattr(estimator, "feature_names_in_", names) if name in names]

    def score(rows: Sequence[Sequence[Any]]) -> list[float]:
        columns = [_column(field, [row[i] for row in rows]) for i, field in enumerate(fields)]
        frame = pl.DataFrame(columns).select(known)
        if hasattr(estimator, "predict_proba"):
            answer = np.asarray(estimator.predict_proba(frame), np.float64)[:, 1]
        else:
            answer = np.asarray(estimator.predict(frame), np.float64).reshape(-1)
        answers: list[float] = answer.tolist()
        return answers

    return score


def _estimator(folder: Path) -> Any:
    file = folder / "estimator.joblib"
    if file.exists():
        import joblib

        return joblib.load(file)
    # the digest was compared before this is called
    return pickle.loads((folder / "estimator.pickle").read_bytes())  # noqa: S301


def _column(field: Any, values: list[Any]) -> pl.Series:
    if field.type == "datetime":
        values = [value if value is None else moment_of(value) for value in values]
    return pl.Series(field.name, values, dtype=_TYPES[field.type])
