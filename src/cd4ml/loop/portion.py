"""Some of a dataset's rows: for trials that are to be cheap before they are good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.data.row_hash import row_shares
from cd4ml.errors import InvalidInput
from cd4ml.pipeline.dataset_input import DatasetInput
from cd4ml.store.address import address_of_record

if TYPE_CHECKING:
    import polars as pl


class Portion(NamedTuple):
    """A share of the rows of a dataset: the newest ones by a time, or chosen by a hash.

    A larger share holds every row of a smaller one.
    """

    dataset: str
    share: float  # above 0, up to 1
    by: str = ""  # the column of time; "" for a hash of the whole row


def portion_taken(inputs: Mapping[str, DatasetInput], portion: Portion) -> dict[str, DatasetInput]:
    """The inputs of a run, one of them cut down to a portion; all of the rows are the version.

    Raises:
        InvalidInput: If no such dataset is among them.
    """
    if portion.dataset not in inputs:
        msg = f"no dataset named {portion.dataset!r} to take a portion of"
        raise InvalidInput(msg, hint=f"known: {', '.join(sorted(inputs)) or 'none'}")
    if portion.share >= 1:
        return dict(inputs)
    whole = inputs[portion.dataset]
    cut = DatasetInput(
        ref=whole.ref,
        digest=portion_digest(whole.digest, portion),
        scan=lambda: rows_of(whole.scan(), portion),
    )
    return {**inputs, portion.dataset: cut}


def portion_digest(digest: str, portion: Portion) -> str:
    """The address of a portion of a version's rows."""
    return address_of_record(("portion", digest, portion.by, portion.share))


def rows_of(frame: pl.LazyFrame, portion: Portion) -> pl.LazyFrame:
    """The rows of a portion, in the order of the frame.

    Raises:
        InvalidInput: If the column of time is not there, or a hash cannot be taken.
    """
    import polars as pl

    rows = frame.collect()
    if not portion.by:
        return rows.filter(pl.Series(row_shares(rows) < portion.share)).lazy()
    if portion.by not in rows.columns:
        msg = f"the dataset {portion.dataset!r} has no column {portion.by!r} to order its rows by"
        raise InvalidInput(msg, hint=f"known: {', '.join(rows.columns)}")
    n_kept = max(1, round(rows.height * portion.share))
    since = rows[portion.by].drop_nulls().top_k(n_kept).min()
    return rows.filter(pl.col(portion.by) >= since).lazy()  # rows of one moment stay together
