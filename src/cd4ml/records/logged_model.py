"""A model as a run logged it: its files, before anybody made it a version."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a run, or somebody outside one, logged as a folder of files.

    It is pending until its files are complete. What is registered of it is a model version.
    """

    id: str  # "m-" and 32 hex digits
    experiment: int
    name: str
    kind: str = ""  # what sort of model, in the words of who logged it
    run: int = 0  # the run that logged it; 0 for none
    state: Literal["pending", "ready", "failed"] = "pending"
    parameters: dict[str, str] = {}
    tags: dict[str, str] = {}
    created_at: datetime
    created_by: str
    changed_at: datetime
    deleted_at: datetime | None = None


class LoggedModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a logged model: its path there, and the blob that has its bytes."""

    model: str
    path: str
    address: str  # content address
    n_bytes: int


class LoggedModelMetric(msgspec.Struct, frozen=True, kw_only=True):
    """The latest value of a metric of a logged model on one dataset ("" for none named)."""

    model: str
    name: str
    dataset: str = ""
    digest: str = ""
    run: int = 0
    value: float | None
    is_nan: bool = False
    step: int = 0
    logged_at: datetime


class RunModel(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model that a run made, or read."""

    run: int
    model: str
    role: Literal["made", "read"]
    step: int = 0


class ForeignRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run that was brought over is called where it came from.

    `digest` is of what it was then: whether it has changed since.
    """

    id: str
    run: int
    digest: str
    brought_at: datetime
