"""Training rows from production: requests that were answered and have come true."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.errors import InvalidInput
from cd4ml.store.lines import inputs

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.records.contract import Contract
    from cd4ml.store.log import PredictionLog


class Curated(NamedTuple):
    """Labelled rows, and what they are a share of."""

    rows: pl.DataFrame
    n_predictions: int
    n_labelled: int
    plans: tuple[int, ...]  # the numbers of the plans that they were answered under

    @property
    def n_unlabelled(self) -> int:
        """Predictions without a label: some will get one later, some never."""
        return self.n_predictions - self.n_labelled


def curate(
    log: PredictionLog,
    contract: Contract,
    *,
    environment: str,
    model: str,
    as_of: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
    event_time: str = "event_at",
    target: str = "target",
) -> Curated:
    """The labelled predictions of a model as they were known at one moment.

    The same arguments give the same rows for ever, whatever labels arrive after `as_of`.
    Answers that a person or program got count, whether from the champion or a canary; what a
    shadow thought of a request does not.

    Args:
        log: The prediction log.
        contract: Of the model's requests: names and types of the columns.
        environment: Where it was asked.
        model: Whose predictions.
        as_of: Predictions answered, and labels that had arrived, by then.
        start: First answer (included); all by default.
        end: Last answer (excluded); up to `as_of` by default.
        event_time: Name of the column that says when a row happened: when it was answered,
            unless the requests carry a field of this name.
        target: Name of the column with the label's value.

    Returns:
        `rows`: the contract's columns, `event_time` (UTC) and `target` (a float), one row
        per labelled prediction in order of time.

    Raises:
        InvalidInput: If the requests carry the target, or do not fit the contract.
    """
    import polars as pl

    if target in contract.names:
        msg = f"the requests of contract {contract.name} have a field {target!r}, as the target"
        raise InvalidInput(msg, hint="name the target otherwise: `model.target` in cd4ml.toml")
    given = log.predictions(start, end, environment).filter(
        pl.col("model") == model,
        pl.col("role") != "shadow",
        pl.col("score").is_not_null(),
        pl.col("answered_at") <= as_of,
    )
    known = log.labels(start, end, known_at=as_of).select("prediction_id", "value")
    joined = given.join(known, on="prediction_id", how="left").collect()
    labelled = joined.filter(pl.col("value").is_not_null()).sort("answered_at", "prediction_id")
    return Curated(
        rows=_training_rows(labelled, contract, event_time, target),
        n_predictions=joined.height,
        n_labelled=labelled.height,
        plans=tuple(labelled["plan"].unique().sort().to_list()),
    )


def _training_rows(
    labelled: pl.DataFrame, contract: Contract, event_time: str, target: str
) -> pl.DataFrame:
    requests = inputs(labelled, contract)
    if event_time not in contract.names:
        requests = requests.with_columns(labelled["answered_at"].alias(event_time))
    return requests.with_columns(labelled["value"].alias(target))
