"""One execution of a pipeline, its steps and its metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from cd4ml.records.hardware import Hardware


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of the pipeline: code, parameters, data, and how it ended.

    `revision` is the git commit ("" outside git); `is_dirty` says that the tree had
    changes, then stored under `patch`. `code` is the fingerprint of everything the
    steps reach, `environment` the address of the list of installed distributions.
    `datasets` maps input names to version digests, `refs` to `name@number`. With `as_of` the
    data are those that were known at that moment, and a digest is that of the rows known.
    `hardware` is what its steps could have, `cost` what they took by the prices of that day.
    """

    number: int
    experiment: str
    search: int = 0  # the number of the search it is a trial of; 0 for none
    state: Literal["running", "finished", "failed"]
    reason: str = ""
    revision: str = ""
    is_dirty: bool = False
    patch: str = ""
    code: str = ""
    environment: str = ""
    parameters: dict[str, Any] = {}  # "step.parameter" -> value
    datasets: dict[str, str] = {}
    refs: dict[str, str] = {}
    as_of: datetime | None = None
    outputs: dict[str, str] = {}  # step -> content address of its output
    started_at: datetime
    finished_at: datetime | None = None
    created_by: str
    hardware: Hardware = Hardware()
    cost: float | None = None  # None without prices

    @property
    def ref(self) -> str:
        """`run/number`."""
        return f"run/{self.number}"


class StepRun(msgspec.Struct, frozen=True, kw_only=True):
    """One step within a run: computed, taken from the cache, or failed.

    `cpu_seconds` counts the step's threads and the processes that it waited for, `peak_memory`
    (bytes) its own process. `worker` is that process, "host:pid"; `log` the address of all that it
    printed, "" for nothing. What is taken from the cache took and printed nothing.
    """

    run: int
    step: str
    position: int
    fingerprint: str
    state: Literal["computed", "cached", "failed"]
    kind: str  # how the output is stored: table, array, model, metrics, json, file
    output: str = ""
    seconds: float = 0.0
    reason: str = ""
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    worker: str = ""
    log: str = ""
    attempts: int = 0  # how often it was begun


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded value of a measure on a run; `None` when it could not be computed."""

    run: int
    name: str
    value: float | None
    logged_at: datetime
