"""The model of `bench_serving` as LitServe serves it; a module, because workers import it."""

from pathlib import Path
from typing import Any

import joblib
import litserve
import pandas as pd


class Delay(litserve.LitAPI):
    """Answers rows with the pipeline of scikit-learn."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def setup(self, device: str) -> None:
        """Load the pipeline."""
        self.model = joblib.load(self.folder / "model.joblib")

    def decode_request(self, request: dict[str, Any]) -> Any:
        """A frame of the request's rows."""
        return pd.DataFrame(request["rows"])

    def predict(self, x: Any) -> Any:
        """The probability that each is late."""
        return self.model.predict_proba(x)[:, 1]

    def encode_response(self, output: Any) -> dict[str, list[float]]:
        """The response's content."""
        return {"predictions": output.tolist()}
