"""A history in MLflow's file store: the folder `mlruns`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cd4ml.engines.mlflow.past import (
    PastExperiment,
    PastInput,
    PastLoggedModel,
    PastModel,
    PastModelMetric,
    PastPoint,
    PastRun,
    PastVersion,
)
from cd4ml.errors import InvalidInput, NotFound

_META = "meta.yaml"
_STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_MODELS, _TRASH = "models", ".trash"

Meta = dict[str, Any]


class PastFolder:
    """The history in a folder; what lies in its trash is deleted."""

    def __init__(self, folder: Path) -> None:
        """Look into it.

        Args:
            folder: `mlruns`, or what MLFLOW_TRACKING_URI named.

        Raises:
            NotFound: If there is no such folder.
            InvalidInput: If it holds no history.
        """
        if not folder.is_dir():
            msg = f"there is no folder {folder}"
            raise NotFound(msg, hint="mlruns, or sqlite:///mlflow.db for a database")
        self._folder = folder
        self._experiments = {
            str(meta["experiment_id"]): (path, meta)
            for place in (folder, folder / _TRASH)
            for path, meta in _each(place)
            if "experiment_id" in meta and "run_id" not in meta
        }
        if not self._experiments:
            msg = f"{folder} is no history of MLflow's: no folder in it has a {_META}"
            raise InvalidInput(msg, hint="give the folder mlruns itself")
        self._runs = {
            str(meta["run_id"]): (path, meta)
            for place, _ in self._experiments.values()
            for path, meta in _each(place)
            if "run_id" in meta
        }

    def close(self) -> None:
        """Nothing is held."""

    def experiments(self) -> list[PastExperiment]:
        """All experiments, also the deleted ones."""
        return [
            PastExperiment(
                id=id,
                name=str(meta["name"]),
                tags=_values(path / "tags"),
                created_ms=meta.get("creation_time") or 0,
                is_deleted=meta.get("lifecycle_stage") == "deleted",
            )
            for id, (path, meta) in sorted(self._experiments.items())
        ]

    def run_ids(self) -> list[str]:
        """All runs, also the deleted ones, the oldest first."""
        return sorted(self._runs, key=lambda id: (self._runs[id][1].get("start_time") or 0, id))

    def run(self, id: str) -> PastRun:
        """One run."""
        path, meta = self._runs[id]
        tags = _values(path / "tags")
        return PastRun(
            id=id,
            experiment=str(meta["experiment_id"]),
            name=meta.get("run_name") or tags.get("mlflow.runName", ""),
            user=meta.get("user_id") or "",
            status=_STATUSES.get(meta["status"], "FINISHED"),
            started_ms=meta.get("start_time") or 0,
            ended_ms=meta.get("end_time") or 0,
            is_deleted=meta.get("lifecycle_stage") == "deleted",
            deleted_ms=meta.get("deleted_time") or 0,
            artifacts=meta.get("artifact_uri") or "",
            params=_values(path / "params"),
            tags=tags,
            inputs=self._inputs(path),
            outputs=[
                (str(meta["destination_id"]), 0)
                for _, meta in _each(path / "outputs")
                if meta.get("destination_type") == "MODEL_OUTPUT"
            ],
        )

    def points(self, run: str) -> Iterator[PastPoint]:
        """The points of a run by metric, in the order in which they were logged."""
        for name, words in _lines(self._runs[run][0] / "metrics"):
            time_ms, value, *step = words
            yield PastPoint(name, float(value), int(step[0]) if step else 0, int(time_ms))

    def n_points(self, run: str) -> int:
        """How many points a run has."""
        return sum(1 for _ in _lines(self._runs[run][0] / "metrics"))

    def model_metrics(self, model: str) -> list[PastModelMetric]:
        """The metrics of a logged model, in the order in which they were logged."""
        found = []
        for place, _ in self._experiments.values():
            for name, words in _lines(place / _MODELS / model / "metrics"):
                time_ms, value, step, run, *dataset = words
                digest = dataset.pop() if dataset else ""
                found.append(
                    PastModelMetric(
                        model=model,
                        name=name,
                        value=float(value),
                        step=int(step),
                        time_ms=int(time_ms),
                        run=run,
                        dataset=" ".join(dataset),
                        digest=digest,
                    )
                )
        return found

    def logged_models(self) -> list[PastLoggedModel]:
        """All logged models (MLflow 3)."""
        found = [
            (path, meta)
            for place, _ in self._experiments.values()
            for path, meta in _each(place / _MODELS)
        ]
        return [
            PastLoggedModel(
                id=str(meta["model_id"]),
                experiment=str(meta["experiment_id"]),
                name=meta.get("name") or "model",
                kind=meta.get("model_type") or "",
                run=meta.get("source_run_id") or "",
                status=meta.get("status") or 1,
                created_ms=meta.get("creation_timestamp") or 0,
                changed_ms=meta.get("last_updated_timestamp") or 0,
                is_deleted=meta.get("lifecycle_stage") == "deleted",
                artifacts=meta.get("artifact_location") or "",
                params=_values(path / "params"),
                tags=_values(path / "tags"),
            )
            for path, meta in sorted(found, key=lambda each: str(each[1]["model_id"]))
        ]

    def models(self) -> list[PastModel]:
        """All registered models."""
        return [
            PastModel(
                name=str(meta["name"]),
                description=meta.get("description") or "",
                tags=_values(path / "tags"),
                created_ms=meta.get("creation_timestamp") or 0,
                aliases={name: int(to) for name, to in _values(path / "aliases").items()},
            )
            for path, meta in _each(self._folder / _MODELS)
        ]

    def versions(self) -> list[PastVersion]:
        """All versions, by model and number."""
        found = [
            PastVersion(
                model=str(meta["name"]),
                number=int(meta["version"]),
                description=meta.get("description") or "",
                tags=_values(path / "tags"),
                user=meta.get("user_id") or "",
                stage=meta.get("current_stage") or "None",
                run=meta.get("run_id") or "",
                source=meta.get("source") or "",
                artifacts=meta.get("storage_location") or meta.get("source") or "",
                created_ms=meta.get("creation_timestamp") or 0,
            )
            for model, _ in _each(self._folder / _MODELS)
            for path, meta in _each(model)
            if meta.get("current_stage") != "Deleted_Internal"
        ]
        return sorted(found, key=lambda each: (each.model, each.number))

    def _inputs(self, run: Path) -> list[PastInput]:
        found = []
        for _, meta in _each(run / "inputs"):
            if meta.get("source_type") != "DATASET":
                continue
            dataset = _meta(run.parent / "datasets" / str(meta["source_id"])) or {}
            found.append(
                PastInput(
                    name=dataset.get("name") or "",
                    digest=dataset.get("digest") or "",
                    source_type=dataset.get("source_type") or "",
                    source=dataset.get("source") or "",
                    schema=dataset.get("schema") or "",
                    profile=dataset.get("profile") or "",
                    tags={str(key): str(value) for key, value in (meta.get("tags") or {}).items()},
                )
            )
        return sorted(found, key=lambda each: (each.name, each.digest))


def _each(folder: Path) -> list[tuple[Path, Meta]]:
    """The folders in a folder that have a `meta.yaml`, with what it says."""
    if not folder.is_dir():
        return []
    found = ((path, _meta(path)) for path in sorted(folder.iterdir()))
    return [(path, meta) for path, meta in found if meta is not None]


def _meta(folder: Path) -> Meta | None:
    import yaml

    path = folder / _META
    if not path.is_file():
        return None
    # written by C where it can be: a folder of 10,000 runs has as many of these files
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load(path.read_text("utf-8"), Loader=loader)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidInput(f"{path} cannot be read: {reason}") from None
    return found if isinstance(found, dict) else None


def _lines(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The lines of a folder's metrics, a file each: its name, and the words of the line."""
    for name, text in _values(folder).items():
        for line in text.splitlines():
            yield name, line.split(" ")


def _values(folder: Path) -> dict[str, str]:
    """A file a value: tags and parameters, whose names may have slashes; no links."""
    if not folder.is_dir():
        return {}
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8", errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
