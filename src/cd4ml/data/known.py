"""What was known at a moment: the rows that had arrived, as they stood then."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cd4ml.data.moments import Frame, require_columns, require_time, was_by
from cd4ml.records.contract import Contract

if TYPE_CHECKING:
    import polars as pl


def known_at(frame: Frame, contract: Contract, moment: datetime | None = None) -> Frame:
    """The rows that were known at a moment, each as it stood then.

    A row was known when its arrival time had come. Of the rows with one key the latest
    arrival counts: it corrects the others. Of two that arrived in the same instant the
    one further down counts. Rows without an arrival time were never known to have
    arrived, and are left out.

    Args:
        frame: Rows of a dataset, every arrival a row; in any order.
        contract: Names the arrival time and the key. Without an arrival time all rows are
            known; without a key every row stands for itself.
        moment: Aware. Left out, everything that arrived counts: the corrected table.

    Returns:
        Rows of the frame in their order, lazy if the frame is.

    Raises:
        InvalidInput: If a column that the contract names is missing, or cannot be compared
            with the moment.

    Examples:
        >>> from datetime import UTC, datetime
        >>> import polars as pl
        >>> from cd4ml import Contract, Field
        >>> rides = Contract(
        ...     name="rides",
        ...     fields=(Field("ride", "integer"), Field("seen_at", "datetime")),
        ...     key=("ride",),
        ...     arrival_time="seen_at",
        ... )
        >>> day = lambda number: datetime(2013, 3, number, tzinfo=UTC)
        >>> rows = pl.DataFrame({"ride": [1, 2, 1], "km": [9.0, 2.0, 0.9]}).with_columns(
        ...     seen_at=pl.Series([day(1), day(2), day(3)])
        ... )
        >>> known_at(rows, rides, day(2))["km"].to_list()
        [9.0, 2.0]
        >>> known_at(rows, rides)["km"].to_list()
        [2.0, 0.9]
    """
    import polars as pl

    if not contract.arrival_time:
        return frame
    rows_ = arrived_by(frame.lazy(), contract, moment)
    if contract.key:
        require_columns(f"a table of {contract.name}", rows_.collect_schema(), contract.key)
        arrival = pl.col(contract.arrival_time)
        is_latest = arrival == arrival.max().over(contract.key)
        rows_ = rows_.filter(is_latest).unique(contract.key, keep="last", maintain_order=True)
    return rows_.collect() if isinstance(frame, pl.DataFrame) else rows_


def arrived_by(
    frame: pl.LazyFrame, contract: Contract, moment: datetime | None = None
) -> pl.LazyFrame:
    """Every arrival until a moment, corrections beside what they correct.

    Raises:
        InvalidInput: As `known_at`.
    """
    import polars as pl

    if not contract.arrival_time:
        return frame
    what = f"a table of {contract.name}"
    schema = frame.collect_schema()
    if moment is None:
        require_time(what, schema, contract.arrival_time)
        return frame.filter(pl.col(contract.arrival_time).is_not_null())
    return frame.filter(was_by(what, schema, contract.arrival_time, moment))
