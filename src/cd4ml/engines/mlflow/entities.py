"""What MLflow's REST API answers with: its messages, as JSON has them.

Times are milliseconds since 1970. A number that JSON has not ("NaN", "Infinity") is a text.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from cd4ml.errors import InvalidInput

RunStatus = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
LifecycleStage = Literal["active", "deleted"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class KeyValue(msgspec.Struct, frozen=True):
    """A tag or a parameter."""

    key: str
    value: str = ""


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """A question with its runs; `experiment_id` is a number as text."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: LifecycleStage
    creation_time: int
    last_update_time: int
    tags: list[KeyValue] = []


class Metric(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value of a metric at a step."""

    key: str
    value: float | str
    timestamp: int
    step: int
    run_id: str = ""
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class RunInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who ran, when, and how it ended; older clients read `run_uuid`."""

    run_id: str
    run_uuid: str
    run_name: str
    experiment_id: str
    user_id: str
    status: RunStatus
    start_time: int
    end_time: int = 0
    artifact_uri: str
    lifecycle_stage: LifecycleStage


class RunData(msgspec.Struct, frozen=True, kw_only=True):
    """What was logged; of each metric the latest value."""

    metrics: list[Metric] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class Dataset(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A dataset that a run was given; `schema` and `profile` are JSON texts."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


class DatasetInput(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset, and what it was used for (the tag mlflow.data.context)."""

    dataset: Dataset
    tags: list[KeyValue] = []


class ModelInput(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model that a run read."""

    model_id: str


class ModelOutput(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model that a run made, and at which step."""

    model_id: str
    step: int = 0


class RunInputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a run read."""

    dataset_inputs: list[DatasetInput] = []
    model_inputs: list[ModelInput] = []


class RunOutputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a run made."""

    model_outputs: list[ModelOutput] = []


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run with what was logged in it."""

    info: RunInfo
    data: RunData
    inputs: RunInputs = RunInputs()
    outputs: RunOutputs = RunOutputs()


class FileInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file or folder among artifacts; the path begins where was asked for."""

    path: str
    is_dir: bool
    file_size: int | None = None  # None for a folder


class LoggedModelInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model that a run logged, and whether its files are complete."""

    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: str
    status: int  # of the enumeration LoggedModelStatus, which JSON may give as number
    model_type: str = ""
    source_run_id: str = ""
    tags: list[KeyValue] = []


class LoggedModelData(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model's parameters and metrics."""

    params: list[KeyValue] = []
    metrics: list[Metric] = []


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a run logged."""

    info: LoggedModelInfo
    data: LoggedModelData


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version of a registered model; its number is a text."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    user_id: str = ""
    current_stage: str
    description: str = ""
    source: str = ""
    run_id: str = ""
    model_id: str = ""
    status: str
    run_link: str = ""
    tags: list[KeyValue] = []
    aliases: list[str] = []


class RegisteredModelAlias(msgspec.Struct, frozen=True, kw_only=True):
    """A movable name, and the version it points at."""

    alias: str
    version: str


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A name with versions."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""
    latest_versions: list[ModelVersion] = []
    tags: list[KeyValue] = []
    aliases: list[RegisteredModelAlias] = []


def milliseconds(moment: datetime | None) -> int:
    """A moment as MLflow writes it; 0 for none.

    Examples:
        >>> milliseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
        1000
    """
    return 0 if moment is None else (moment - _EPOCH) // _MS


def moment(ms: int) -> datetime:
    """The moment so many milliseconds after 1970.

    Raises:
        InvalidInput: If no calendar has it.
    """
    try:
        return _EPOCH + ms * _MS
    except OverflowError:
        msg = f"expected milliseconds since 1970, got {ms}"
        raise InvalidInput(msg) from None


def spoken(value: float) -> float | str:
    """A number as protobuf's JSON has it.

    Examples:
        >>> spoken(0.5), spoken(float("-inf")), spoken(float("nan"))
        (0.5, '-Infinity', 'NaN')
    """
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def understood(value: float | str) -> float:
    """A number from protobuf's JSON.

    Raises:
        InvalidInput: If it is none.

    Examples:
        >>> understood("Infinity"), understood(3)
        (inf, 3.0)
    """
    try:
        return float(value)
    except (ValueError, OverflowError):
        msg = f"expected a number as the metric's value, got {value!r:.80}"
        raise InvalidInput(msg) from None
