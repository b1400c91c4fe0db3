"""Rows that somebody really asked about: production's requests, else rows of the holdout."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.gathering.spread import spread
from cd4ml.models.behaviour.asking import Row
from cd4ml.models.contract import CompiledContract
from cd4ml.models.frames import to_rows
from cd4ml.store.masking import masked_in


class Recorded(NamedTuple):
    """Rows as requests carry them, and where they come from."""

    rows: list[Row]
    source: Literal["production", "holdout"]


def recorded(asked: Asked, n: int) -> Recorded:
    """The newest requests of production that the candidate's contract takes, else holdout rows.

    Requests that the contract refuses are no matter of behaviour: `kind = "contract"` replays them.
    Nor are those of which a field is masked on record: nobody asked them.

    Args:
        asked: The candidate.
        n: At most so many; of the holdout they are spread over all of it.
    """
    contract = asked.runtime.contract
    compiled = CompiledContract(contract)
    capture = asked.project.settings.capture
    found = (row for row in _requests(asked, n) if not masked_in(row, capture))
    requests = [row for row in found if not compiled.check(row)]
    if requests:
        return Recorded(requests, "production")
    return Recorded(to_rows(contract, spread(asked.holdout, n)), "holdout")


def _requests(asked: Asked, n: int) -> list[Row]:
    import polars as pl

    environments = list(asked.project.settings.environments)
    if not environments:
        return []
    of_model = (pl.col("model") == asked.candidate.model) & (pl.col("role") != "shadow")
    newest = (
        asked.project.log.predictions(environment=environments[-1])
        .filter(of_model)
        .select("answered_at", "prediction_id", "inputs")
        .sort("answered_at", "prediction_id", descending=True)
        .head(n)
        .collect()
    )
    return [msgspec.json.decode(text) for text in newest["inputs"]]
