"""What was recorded with MLflow elsewhere: the nouns that its databases and folders hold.

Times are milliseconds since 1970, 0 for none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol


class PastPoint(NamedTuple):
    """A value of a metric; NaN and infinities are values."""

    name: str
    value: float
    step: int
    time_ms: int


class PastModelMetric(NamedTuple):
    """A value of a metric of a logged model; no dataset is ""."""

    model: str
    name: str
    value: float
    step: int
    time_ms: int
    run: str
    dataset: str
    digest: str


class PastInput(NamedTuple):
    """A dataset that a run was given."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str
    profile: str
    tags: dict[str, str]


class PastExperiment(NamedTuple):
    """An experiment; `id` is MLflow's."""

    id: str
    name: str
    tags: dict[str, str]
    created_ms: int
    is_deleted: bool


class PastRun(NamedTuple):
    """A run with everything but its points and files; `artifacts` says where these lie."""

    id: str
    experiment: str  # MLflow's id of it
    name: str
    user: str
    status: str
    started_ms: int
    ended_ms: int
    is_deleted: bool
    deleted_ms: int
    artifacts: str
    params: dict[str, str]
    tags: dict[str, str]
    inputs: list[PastInput]
    outputs: list[tuple[str, int]]  # ids of logged models, and the steps they were logged at


class PastLoggedModel(NamedTuple):
    """A model that a run logged (MLflow 3)."""

    id: str
    experiment: str
    name: str
    kind: str
    run: str
    status: int
    created_ms: int
    changed_ms: int
    is_deleted: bool
    artifacts: str
    params: dict[str, str]
    tags: dict[str, str]


class PastModel(NamedTuple):
    """A registered model with its aliases (name -> number)."""

    name: str
    description: str
    tags: dict[str, str]
    created_ms: int
    aliases: dict[str, int]


class PastVersion(NamedTuple):
    """A version of a registered model; `artifacts` says where its files lie."""

    model: str
    number: int
    description: str
    tags: dict[str, str]
    user: str
    stage: str
    run: str
    source: str
    artifacts: str
    created_ms: int


class Past(Protocol):
    """A history that can be brought over; everything comes in an order that never changes."""

    def experiments(self) -> list[PastExperiment]:
        """All experiments, also the deleted ones."""

    def run_ids(self) -> list[str]:
        """All runs, also the deleted ones, the oldest first."""

    def run(self, id: str) -> PastRun:
        """One run."""

    def points(self, run: str) -> Iterator[PastPoint]:
        """The points of a run, as they were logged."""

    def n_points(self, run: str) -> int:
        """How many points a run has: whether it has gone on."""

    def logged_models(self) -> list[PastLoggedModel]:
        """All logged models."""

    def model_metrics(self, model: str) -> list[PastModelMetric]:
        """The metrics of a logged model (MLflow 3), as they were logged."""

    def models(self) -> list[PastModel]:
        """All registered models."""

    def versions(self) -> list[PastVersion]:
        """All versions, by model and number."""

    def close(self) -> None:
        """Let go of it."""
