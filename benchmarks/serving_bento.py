"""The model of `bench_serving` as a service of BentoML; FOLDER says where it lies.

bentoml serve serving_bento:Delay
"""

import os
from pathlib import Path
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1)
class Delay:
    """Answers rows with the pipeline of scikit-learn."""

    def __init__(self) -> None:
        self.model = joblib.load(Path(os.environ["FOLDER"]) / "model.joblib")

    @bentoml.api
    def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        """The probability that each is late."""
        scores: list[float] = self.model.predict_proba(pd.DataFrame(rows))[:, 1].tolist()
        return scores
