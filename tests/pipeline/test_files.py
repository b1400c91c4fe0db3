"""What a command is given as a file has the name of what it is."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression

from cd4ml.models.estimator import dump
from cd4ml.pipeline.files import write_input
from tests.models.test_graph import linear

X, Y = [[0.0], [1.0], [2.0], [3.0]] * 10, [0, 0, 1, 1] * 10


def boosted_by(library: str) -> Any:
    if library == "lightgbm":
        known = lightgbm.Dataset(np.array(X), Y)
        return lightgbm.train({"objective": "binary", "verbose": -1}, known, 2)
    known = xgboost.DMatrix(X, Y)
    return xgboost.train({"objective": "binary:logistic"}, known, 2)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (lambda: LogisticRegression().fit(X, Y), "delay.pkl"),
        (lambda: boosted_by("lightgbm"), "delay.txt"),
        (lambda: boosted_by("xgboost"), "delay.ubj"),
        (linear, "delay.onnx"),
    ],
)
def test_a_model_is_written_in_its_own_format(model: Any, name: str, tmp_path: Path) -> None:
    made = model()

    path = write_input(made, tmp_path, "delay", "")

    assert path == tmp_path / name
    assert path.read_bytes() == dump(made)
