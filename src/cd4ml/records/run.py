"""One execution of a pipeline, its steps and its metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from cd4ml.records.hardware import Hardware


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of the pipeline: code, parameters, data, and how it ended.

    `revision` is the git commit ("" outside git), made at `committed_at`; `is_dirty` says that the tree had
    changes, then stored under `patch`. `code` is the fingerprint of everything the
    steps reach, `environment` the address of the list of installed distributions.

    What `cd4ml reproduce` takes besides: `folder` is the project's below the top of the
    repository, `files` the address of an archive of what no commit holds, `lock` that of the
    environment as a requirements file, `variables` are those of the process that decide
    results (the seed of hashes, numbers of threads).

    `environment_name` is what `--env` chose, `overrides` what flags and environment asked for
    by parameter or dataset, `partition` the key it was made for, as `origin=EWR`.

    `datasets` maps input names to version digests, `refs` to `name@number`. With `as_of` the
    data are those that were known at that moment, and a digest is that of the rows known.
    A run made outside the pipeline (a notebook, another tool) has no code and no steps; its
    parameters are what was logged. One with `deleted_at` is in no list until it is restored.
    `hardware` is what its steps could have, `cost` what they took by the prices of that day.
    """

    number: int
    experiment: str
    name: str = ""  # what somebody called it; need not be the only one
    note: str = ""  # what somebody wrote about it, in Markdown
    tags: dict[str, str] = {}
    search: int = 0  # the number of the search it is a trial of; 0 for none
    state: Literal["running", "finished", "failed", "killed"]
    reason: str = ""
    revision: str = ""
    committed_at: datetime | None = None
    is_dirty: bool = False
    patch: str = ""
    code: str = ""
    environment: str = ""
    folder: str = ""
    files: str = ""
    lock: str = ""
    variables: dict[str, str] = {}
    environment_name: str = ""
    overrides: dict[str, Any] = {}  # "step.parameter" -> value, dataset -> version
    partition: str = ""
    parameters: dict[str, Any] = {}  # "step.parameter" -> value
    datasets: dict[str, str] = {}
    refs: dict[str, str] = {}
    as_of: datetime | None = None
    outputs: dict[str, str] = {}  # step -> content address of its output
    started_at: datetime
    finished_at: datetime | None = None
    created_by: str
    deleted_at: datetime | None = None
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

    `beside` is what it was seen to read ("file NAME", "folder NAME", "tree NAME",
    "python NAME", "variable NAME"): its output is taken again only while that is the same. A `fingerprint` of "" says that
    the output is never taken again, because what it is of was changed meanwhile.
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
    beside: dict[str, str] = {}  # what it read -> digest, as far as no fingerprint holds it


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """The latest value of a measure on a run: the one of the highest step, then time.

    `value` is None when it could not be computed, and for NaN (`is_nan`), which no database
    sorts as another does; infinities are values. What came before lies apart, as `PointChunk`:
    no list of runs touches it.
    """

    run: int
    name: str
    value: float | None
    is_nan: bool = False
    logged_at: datetime
    step: int = 0
    by: str = ""  # the step of the pipeline that logged it; "" for the run itself
    lowest: float | None = None  # of all its points; None if none is a number
    highest: float | None = None
    first_step: int = 0  # the lowest step of its points
    last_step: int = 0
    n_points: int = 0  # in its history; 0 if there is only this value
    history_of: int = 0  # the run that has the history, where a cached step logged it; 0: this one
    tail: int = 0  # the position at which the newest chunk of the history begins

    @property
    def number(self) -> float | None:
        """The value as it was logged, also if that was NaN."""
        return float("nan") if self.is_nan else self.value
