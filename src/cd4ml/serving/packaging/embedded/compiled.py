"""Answers of a model that ONNX Runtime serves, on one thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from cd4ml.serving.packaging.embedded.model import Score

_NUMERIC = ("integer", "number", "boolean")
# a missing category is the word "None" in the compiled model; that word itself is kept apart
_SPOKEN: dict[Any, str] = {None: "None", "None": "\x01None"}


def open_scorer(folder: Path, fields: Sequence[Any]) -> Score:
    """What answers rows of values, in the order of the contract's fields."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it cannot do it raises
    session = ort.InferenceSession(
        (folder / "model.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    output = session.get_outputs()[-1].name
    taken = {entry.name for entry in session.get_inputs()}
    inputs = [(i, field) for i, field in enumerate(fields) if field.name in taken]
    is_double = any(entry.type == "tensor(double)" for entry in session.get_inputs())
    kind = np.float64 if is_double else np.float32

    def score(rows: Sequence[Sequence[Any]]) -> list[float]:
        feed = {field.name: _column(field, [row[i] for row in rows], kind) for i, field in inputs}
        answer = session.run([output], feed)[0]
        answers: list[float] = (answer[:, -1] if answer.ndim == 2 else answer).tolist()
        return answers

    return score


def _column(field: Any, values: list[Any], kind: type[np.floating[Any]]) -> Any:
    """One input of shape (rows, 1)."""
    if field.type in _NUMERIC:
        return np.array(values, kind).reshape(-1, 1)  # None becomes NaN
    return np.array([_SPOKEN.get(value, value) for value in values], object).reshape(-1, 1)
