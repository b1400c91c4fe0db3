"""What MLflow's clients send: one struct a call, with the fields of its protobuf message.

Numbers may come as texts (64-bit ones do in protobuf's JSON, and all do in a URL).
"""

from __future__ import annotations

import msgspec

from cd4ml.engines.mlflow.entities import DatasetInput, KeyValue, ModelInput, ModelOutput


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a call; those it does not know are left out, as protobuf does."""


class CreateExperiment(Message, frozen=True, kw_only=True):
    """A new experiment."""

    name: str
    artifact_location: str = ""
    tags: list[KeyValue] = []


class ExperimentById(Message, frozen=True, kw_only=True):
    """One experiment."""

    experiment_id: str


class ExperimentByName(Message, frozen=True, kw_only=True):
    """One experiment, by its name."""

    experiment_name: str


class UpdateExperiment(Message, frozen=True, kw_only=True):
    """Another name for an experiment."""

    experiment_id: str
    new_name: str = ""


class SetExperimentTag(Message, frozen=True, kw_only=True):
    """A tag of an experiment."""

    experiment_id: str
    key: str
    value: str = ""


class DeleteExperimentTag(Message, frozen=True, kw_only=True):
    """A tag of an experiment to be removed."""

    experiment_id: str
    key: str


class Search(Message, frozen=True, kw_only=True):
    """Experiments, registered models or model versions that fit."""

    filter: str = ""
    order_by: list[str] = []
    max_results: int | None = None  # None: as many as is usual
    page_token: str = ""
    view_type: str | int = "ACTIVE_ONLY"


class CreateRun(Message, frozen=True, kw_only=True):
    """A run that begins."""

    experiment_id: str = "0"
    user_id: str = ""
    run_name: str = ""
    start_time: int = 0
    tags: list[KeyValue] = []


class RunById(Message, frozen=True, kw_only=True):
    """One run; older clients say `run_uuid`."""

    run_id: str = ""
    run_uuid: str = ""

    @property
    def run(self) -> str:
        """The id, under whichever name it came."""
        return self.run_id or self.run_uuid


class UpdateRun(RunById, frozen=True, kw_only=True):
    """How a run is, when it ended, and what it is called."""

    status: str | int = ""
    end_time: int = 0
    run_name: str = ""


class LogMetric(RunById, frozen=True, kw_only=True):
    """One value of a metric."""

    key: str
    value: float | str
    timestamp: int = 0
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LogParam(RunById, frozen=True, kw_only=True):
    """One parameter."""

    key: str
    value: str = ""


class SetTag(RunById, frozen=True, kw_only=True):
    """One tag of a run."""

    key: str
    value: str = ""


class DeleteTag(RunById, frozen=True, kw_only=True):
    """A tag of a run to be removed."""

    key: str


class LoggedMetric(Message, frozen=True, kw_only=True):
    """One value within a batch."""

    key: str
    value: float | str
    timestamp: int = 0
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LogBatch(RunById, frozen=True, kw_only=True):
    """Many values, parameters and tags of one run at once."""

    metrics: list[LoggedMetric] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class LogInputs(RunById, frozen=True, kw_only=True):
    """Datasets and models that a run read."""

    datasets: list[DatasetInput] = []
    models: list[ModelInput] = []


class LogOutputs(RunById, frozen=True, kw_only=True):
    """Models that a run made."""

    models: list[ModelOutput] = []


class LogModel(RunById, frozen=True, kw_only=True):
    """A model among a run's artifacts, as clients before MLflow 3 tell it."""

    model_json: str = ""


class SearchRuns(Message, frozen=True, kw_only=True):
    """Runs of some experiments that fit, in an order."""

    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: str | int = "ACTIVE_ONLY"
    max_results: int | None = None
    order_by: list[str] = []
    page_token: str = ""


class SearchDatasets(Message, frozen=True, kw_only=True):
    """The datasets of some experiments."""

    experiment_ids: list[str] = []


class MetricHistory(RunById, frozen=True, kw_only=True):
    """All values of one metric of one run."""

    metric_key: str
    page_token: str = ""
    max_results: int | None = None


class BulkHistory(Message, frozen=True, kw_only=True):
    """Values of one metric of several runs, between two steps."""

    run_ids: list[str] = []
    metric_key: str
    start_step: int | None = None
    end_step: int | None = None
    max_results: int | None = None


class ListArtifacts(RunById, frozen=True, kw_only=True):
    """The artifacts of a run, in one folder."""

    path: str = ""
    page_token: str = ""


class ListFiles(Message, frozen=True, kw_only=True):
    """What lies in a folder of the artifact proxy."""

    path: str = ""


class CreateLoggedModel(Message, frozen=True, kw_only=True):
    """A model whose files follow."""

    experiment_id: str
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class LoggedModelById(Message, frozen=True, kw_only=True):
    """One logged model."""

    model_id: str


class FinalizeLoggedModel(LoggedModelById, frozen=True, kw_only=True):
    """The files of a logged model are complete, or will never be."""

    status: str | int


class LogModelParams(LoggedModelById, frozen=True, kw_only=True):
    """Parameters of a logged model."""

    params: list[KeyValue] = []


class SetModelTags(LoggedModelById, frozen=True, kw_only=True):
    """Tags of a logged model."""

    tags: list[KeyValue] = []


class DeleteModelTag(LoggedModelById, frozen=True, kw_only=True):
    """A tag of a logged model to be removed."""

    tag_key: str


class ListModelArtifacts(LoggedModelById, frozen=True, kw_only=True):
    """The files of a logged model, in one folder."""

    artifact_directory_path: str = ""
    page_token: str = ""


class DatasetNamed(Message, frozen=True, kw_only=True):
    """A dataset that metrics were taken on."""

    dataset_name: str
    dataset_digest: str = ""


class ModelOrder(Message, frozen=True, kw_only=True):
    """What logged models are sorted by."""

    field_name: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class SearchLoggedModels(Message, frozen=True, kw_only=True):
    """Logged models of some experiments that fit, in an order."""

    experiment_ids: list[str] = []
    filter: str = ""
    datasets: list[DatasetNamed] = []
    max_results: int | None = None
    order_by: list[ModelOrder] = []
    page_token: str = ""


class Nothing(Message, frozen=True, kw_only=True):
    """No fields."""


class Part(Message, frozen=True, kw_only=True):
    """A part of an upload that has arrived, and the tag it was given."""

    part_number: int
    etag: str = ""


class CreateUpload(Message, frozen=True, kw_only=True):
    """A large file is to come in parts; the path is that of the file below the folder asked for."""

    path: str = ""
    num_parts: int = 1


class CompleteUpload(Message, frozen=True, kw_only=True):
    """All parts of a large file have arrived."""

    path: str = ""
    upload_id: str
    parts: list[Part] = []


class AbortUpload(Message, frozen=True, kw_only=True):
    """The parts of a large file are of no use."""

    path: str = ""
    upload_id: str
