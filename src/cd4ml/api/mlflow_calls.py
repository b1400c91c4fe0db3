"""Which of MLflow's calls are answered, and by which use-case: one line a call."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple


class Call(NamedTuple):
    """A call: the name of its message, and the use-case that answers ("module.function").

    `pattern` is there if the path has names of things in it.
    """

    message: str
    verb: str
    pattern: re.Pattern[str] | None = None


@cache
def verb(name: str) -> Callable[[Any, Any, str], object]:
    """The use-case, imported when it is first asked for: the server should be up at once."""
    module, _, function = name.rpartition(".")
    found: Callable[[Any, Any, str], object] = getattr(
        import_module(f"cd4ml.loop.mlflow.{module}"), function
    )
    return found


_TABLE = """
POST   experiments/create                CreateExperiment      experiments.create
GET    experiments/get                   ExperimentById        experiments.get
GET    experiments/get-by-name           ExperimentByName      experiments.get_by_name
POST   experiments/search                Search                experiments.search
GET    experiments/search                Search                experiments.search
POST   experiments/update                UpdateExperiment      experiments.update
POST   experiments/delete                ExperimentById        experiments.delete
POST   experiments/restore               ExperimentById        experiments.restore
POST   experiments/set-experiment-tag    SetExperimentTag      experiments.set_tag
POST   experiments/delete-experiment-tag DeleteExperimentTag   experiments.delete_tag
POST   experiments/search-datasets       SearchDatasets        search.search_datasets
POST   runs/create                       CreateRun             runs.create
GET    runs/get                          RunById               runs.get
POST   runs/update                       UpdateRun             runs.update
POST   runs/delete                       RunById               runs.delete
POST   runs/restore                      RunById               runs.restore
POST   runs/search                       SearchRuns            search.search
POST   runs/log-metric                   LogMetric             logging.log_metric
POST   runs/log-parameter                LogParam              logging.log_param
POST   runs/set-tag                      SetTag                logging.set_tag
POST   runs/delete-tag                   DeleteTag             runs.delete_tag
POST   runs/log-batch                    LogBatch              logging.log_batch
POST   runs/log-inputs                   LogInputs             logging.log_run_inputs
POST   runs/outputs                      LogOutputs            logging.log_outputs
POST   runs/log-model                    LogModel              logging.log_model
GET    metrics/get-history               MetricHistory         histories.metric_history
GET    metrics/get-history-bulk-interval BulkHistory           histories.bulk_history
GET    artifacts/list                    ListArtifacts         files.list_run_artifacts
POST   logged-models                     CreateLoggedModel     logged_models.create
POST   logged-models/search              SearchLoggedModels    logged_models.search
GET    logged-models/{model_id}          LoggedModelById       logged_models.get
PATCH  logged-models/{model_id}          FinalizeLoggedModel   logged_models.finalize
DELETE logged-models/{model_id}          LoggedModelById       logged_models.delete
PATCH  logged-models/{model_id}/tags     SetModelTags          logged_models.set_tags
DELETE logged-models/{model_id}/tags/{tag_key} DeleteModelTag  logged_models.delete_tag
POST   logged-models/{model_id}/params   LogModelParams        logged_models.log_params
GET    logged-models/{model_id}/artifacts/directories ListModelArtifacts files.list_model_artifacts
POST   registered-models/create          CreateRegisteredModel registry.create_model
GET    registered-models/get             ModelByName           registry.get_model
POST   registered-models/rename          RenameModel           registry.rename_model
PATCH  registered-models/update          UpdateModel           registry.update_model
DELETE registered-models/delete          ModelByName           registry.delete_model
GET    registered-models/search          Search                registry.search_models
POST   registered-models/get-latest-versions LatestVersions    registry.latest_versions
GET    registered-models/get-latest-versions LatestVersions    registry.latest_versions
POST   registered-models/set-tag         ModelTag              registry.set_model_tag
DELETE registered-models/delete-tag      ModelTag              registry.delete_model_tag
POST   registered-models/alias           SetAlias              registry.set_alias
GET    registered-models/alias           AliasAsked            registry.version_by_alias
DELETE registered-models/alias           AliasAsked            registry.delete_alias
POST   model-versions/create             CreateModelVersion    versions.create_version
GET    model-versions/get                VersionAsked          versions.get_version
PATCH  model-versions/update             UpdateVersion         versions.update_version
DELETE model-versions/delete             VersionAsked          versions.delete_version
GET    model-versions/search             Search                versions.search_versions
GET    model-versions/get-download-uri   VersionAsked          versions.download_uri
POST   model-versions/set-tag            VersionTag            versions.set_version_tag
DELETE model-versions/delete-tag         VersionTag            versions.delete_version_tag
"""


def _calls() -> dict[tuple[str, str], Call]:
    found = {("GET", "/api/2.0/mlflow-artifacts/artifacts"): Call("ListFiles", "files.list_files")}
    for line in _TABLE.strip().splitlines():
        method, path, message, verb_name = line.split()
        whole = f"/api/2.0/mlflow/{path}"
        pattern = re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", whole)) if "{" in path else None
        found[method, whole] = Call(message, verb_name, pattern)
    return found


CALLS = _calls()
