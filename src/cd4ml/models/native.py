"""The estimator itself, answering rows through a small typed frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cd4ml.models.estimator import score_frame
from cd4ml.records.contract import Contract

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray


class NativeScorer:
    """Answers rows with the estimator, exactly, in milliseconds."""

    def __init__(self, estimator: Any, contract: Contract) -> None:
        self._estimator = estimator
        self._contract = contract

    def score(self, values: Sequence[Sequence[Any]]) -> list[float]:
        """The answer to each row of JSON values, in the order of the contract's fields."""
        from cd4ml.models.frames import to_frame

        answers: list[float] = self.score_frame(to_frame(self._contract, values)).tolist()
        return answers

    def score_frame(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """The answer to each row of a frame with the contract's columns."""
        return score_frame(self._estimator, frame)
