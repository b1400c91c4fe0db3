"""What is handed to the process that makes a run again, and what it hands back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from cd4ml.data.formats import Reading
from cd4ml.pipeline.environment import Environment
from cd4ml.records.contract import Contract
from cd4ml.records.reproduction import RebuiltStep


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset as the run took it: where its files are, and which of their rows.

    `reading` is None where production had not filled it yet.
    """

    ref: str
    digest: str
    paths: tuple[str, ...] = ()
    reading: Reading | None = None
    contract: Contract | None = None  # says when a row arrived, for `as_of`
    as_of: datetime | None = None
    partition: tuple[str, str] | None = None  # column and key


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What a step gave, and a file with its bytes; "" where they are no longer kept."""

    step: str
    kind: str
    address: str
    path: str = ""


class Packaged(msgspec.Struct, frozen=True, kw_only=True):
    """What a model version was packaged from, and its files (name -> address)."""

    estimator: str  # the steps
    holdout: str
    contract: Contract
    files: dict[str, str]
    paths: dict[str, str]


class RebuildPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides what is made, and what it is compared with."""

    folder: str  # the project's, laid out
    store: str
    result: str
    experiment: str
    parameters: dict[str, Any]
    as_of: datetime | None = None
    datasets: dict[str, Rows]
    recorded: tuple[Recorded, ...]  # in the order of the steps
    package: Packaged | None = None
    tolerance: float


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    steps: tuple[RebuiltStep, ...]
    code: str
    environment: Environment
