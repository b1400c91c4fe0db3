"""Answers of a model that its own library serves."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cd4ml.models.boosters import answers, booster_in, facts_of, load
from cd4ml.models.estimator_answers import asked
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
    ask = _asking(_estimator(folder))

    def score(rows: Sequence[Sequence[Any]]) -> list[float]:
        columns = [_column(field, [row[i] for row in rows]) for i, field in enumerate(fields)]
        answered: list[float] = ask(pl.DataFrame(columns)).tolist()
        return answered

    return score


def _asking(estimator: Any) -> Callable[[pl.DataFrame], Any]:
    booster = booster_in(estimator)
    if booster is not None:
        return partial(answers, booster, facts_of(booster))
    if not hasattr(estimator, "inputs"):
        return partial(asked, estimator)
    graph: Callable[[pl.DataFrame], Any] = estimator.predict
    return graph


def _estimator(folder: Path) -> Any:
    """The estimator in the one file that holds it; its digest was compared before."""
    (file,) = folder.glob("estimator.*")
    if file.name == "estimator.joblib":
        import joblib

        return joblib.load(file)
    data = file.read_bytes()
    if file.name == "estimator.onnx":
        from cd4ml.models.graph import Graph

        return Graph(data)
    if file.name != "estimator.pickle":
        return load(file.name.split(".")[1], data)
    code = folder / "code.json"
    if not code.exists():
        return pickle.loads(data)  # noqa: S301 - see above
    from cd4ml.models.carried import CarriedCode

    return CarriedCode(json.loads(code.read_text("utf-8"))["modules"]).unpickle(data)


def _column(field: Any, values: list[Any]) -> pl.Series:
    if field.type == "datetime":
        values = [value if value is None else moment_of(value) for value in values]
    return pl.Series(field.name, values, dtype=_TYPES[field.type])
