"""The estimator itself, answering rows through a small typed frame."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cd4ml.models.booster_columns import scoring
from cd4ml.models.estimator import asking, columns_of
from cd4ml.records.contract import Contract

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray


class NativeScorer:
    """Answers rows with the estimator, exactly, in milliseconds; a booster in fractions of one."""

    def __init__(self, estimator: Any, contract: Contract) -> None:
        self._estimator = estimator
        self._ask = asking(estimator)
        self._score_values = scoring(estimator, contract)
        self._contract = contract
        named = columns_of(estimator)  # by what it was fitted on, if known
        if named is None:  # scikit-learn warns of every frame that an array taught it to take
            warnings.filterwarnings("ignore", message="X has feature names, but")
        self._needed = contract.names if named is None else {*named}.intersection(contract.names)

    @property
    def n_unnamed(self) -> int | None:
        """How many columns it was fitted on, if it knows their number and not their names."""
        if columns_of(self._estimator) is not None:
            return None
        n_columns: int | None = getattr(self._estimator, "n_features_in_", None)
        return n_columns

    def score(self, values: Sequence[Sequence[Any]]) -> list[float]:
        """The answer to each row of JSON values, in the order of the contract's fields."""
        if self._score_values is not None:
            scores: list[float] = self._score_values(values).tolist()
            return scores
        from cd4ml.models.frames import to_frame

        frame = to_frame(self._contract, values)
        answers: list[float] = self._ask(frame).tolist()
        return answers

    def score_frame(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """The answer to each row of a frame with the contract's columns.

        Whatever else is in the frame - the target, who it was - is never shown to the estimator.

        Raises:
            InvalidInput: If the frame lacks a column that it needs.
        """
        from cd4ml.models.frames import requested

        return self._ask(requested(self._contract, frame, self._needed))
