"""Answers of a model that cd4ml packaged, for MLflow: this file lies in the exported folder.

It needs scikit-learn, and what the model was fitted with (Polars, mostly); not cd4ml.
"""

import json
import pickle
from pathlib import Path
from typing import Any


class Answers:
    """`predict` answers as `cd4ml serve` does: the probability of the second class, or the value."""

    def __init__(self, estimator: Any, fields: list[dict[str, Any]]) -> None:
        self._estimator = estimator
        self._fields = fields

    def predict(self, model_input: Any, params: "dict[str, Any] | None" = None) -> Any:
        """The answer to each row of a data frame, or of a list of rows; others are ignored."""
        frame = _frame(model_input, self._fields)
        if hasattr(self._estimator, "predict_proba"):
            return self._estimator.predict_proba(frame)[:, 1]
        return self._estimator.predict(frame)

    def get_raw_model(self) -> Any:
        """The estimator itself."""
        return self._estimator


def _load_pyfunc(path: str) -> Answers:
    folder = Path(path)
    contract = json.loads((folder / "contract.json").read_text("utf-8"))
    with (folder / "model.pkl").open("rb") as file:
        estimator = pickle.load(file)  # noqa: S301 - MLflow's user chose to load this model
    return Answers(estimator, contract["fields"])


def _frame(rows: Any, fields: list[dict[str, Any]]) -> Any:
    names = [field["name"] for field in fields]
    if isinstance(rows, list):
        columns = {name: [row.get(name) for row in rows] for name in names}
    elif isinstance(rows, dict):
        columns = {name: list(rows[name]) for name in names}
    else:
        columns = {name: rows[name].to_list() for name in names}
    try:
        import polars
    except ImportError:
        import pandas  # type: ignore[import-untyped, unused-ignore]

        return pandas.DataFrame(columns)
    types: dict[str, Any] = {
        "integer": polars.Int64,
        "number": polars.Float64,
        "string": polars.String,
        "boolean": polars.Boolean,
        "datetime": polars.Datetime("us", "UTC"),
    }
    return polars.DataFrame(
        [
            polars.Series(
                field["name"], _nulls(columns[field["name"]]), types[field["type"]], strict=False
            )
            for field in fields
        ]
    )


def _nulls(values: list[Any]) -> list[Any]:
    return [None if value is None or value != value else value for value in values]
