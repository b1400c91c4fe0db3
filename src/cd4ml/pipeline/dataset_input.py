"""A dataset version as a run takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import polars as pl


class DatasetInput(NamedTuple):
    """A dataset version as a run takes it: its ref, its digest, and how to read it."""

    ref: str
    digest: str
    scan: Callable[[], pl.LazyFrame]
