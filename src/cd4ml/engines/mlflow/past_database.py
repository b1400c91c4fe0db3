"""A history in an MLflow database: SQLite, or what SQLAlchemy has a driver for.

Columns that an older MLflow had not are empty. Nothing is written, not even a migration.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

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
from cd4ml.errors import ConfigurationError, InvalidInput, NotFound, Unavailable

# SQLite keeps no infinity in MLflow's columns: MLflow writes the largest number instead
_INFINITE = 1.7976931348623157e308
_CONTEXT = "mlflow.data.context"
_NEEDED = {
    "experiments": ("experiment_id", "name"),
    "runs": ("run_uuid", "experiment_id", "status", "start_time"),
    "metrics": ("run_uuid", "key", "value", "timestamp", "step", "is_nan"),
}
_FETCHED = 5_000  # points at a time

Row = dict[str, Any]


class PastDatabase:
    """The history in a database, read in one transaction."""

    def __init__(self, url: str) -> None:
        """Open it.

        Args:
            url: `sqlite:///mlflow.db`, `postgresql://...`: as MLflow's backend store URI.

        Raises:
            NotFound: If there is no such file.
            InvalidInput: If it is no database of MLflow's.
            ConfigurationError: If its driver is not installed.
            Unavailable: If it does not answer.
        """
        self._engine = _engine(url)
        try:
            self._connection = self._engine.connect()
            found = sa.inspect(self._connection)
            self._tables = set(found.get_table_names())
            missing = _missing(found, self._tables)
        except sa.exc.DatabaseError as error:
            reason = str(error.orig).splitlines()[0]
            msg = f"the database {_shown(url)} cannot be read: {reason}"
            raise Unavailable(msg, hint="is it MLflow's backend store URI?") from None
        if missing:
            self.close()
            msg = f"{_shown(url)} is no database of MLflow's: it has no {missing}"
            raise InvalidInput(msg, hint="give the URI that mlflow server has as backend store")

    def close(self) -> None:
        """Let go of it."""
        self._engine.dispose()

    def experiments(self) -> list[PastExperiment]:
        """All experiments, also the deleted ones."""
        tags = self._tags("experiment_tags", "experiment_id")
        return [
            PastExperiment(
                id=str(row["experiment_id"]),
                name=row["name"],
                tags=tags.get(str(row["experiment_id"]), {}),
                created_ms=row.get("creation_time") or 0,
                is_deleted=row.get("lifecycle_stage") == "deleted",
            )
            for row in self._rows("experiments", order="experiment_id")
        ]

    def run_ids(self) -> list[str]:
        """All runs, also the deleted ones, the oldest first."""
        runs = sa.text("SELECT run_uuid FROM runs ORDER BY start_time, run_uuid")
        return [str(row[0]) for row in self._connection.execute(runs)]

    def run(self, id: str) -> PastRun:
        """One run."""
        (row,) = self._rows("runs", run_uuid=id)
        tags = self._key_values("tags", run_uuid=id)
        return PastRun(
            id=id,
            experiment=str(row["experiment_id"]),
            name=row.get("name") or tags.get("mlflow.runName", ""),
            user=row.get("user_id") or tags.get("mlflow.user", ""),
            status=row["status"],
            started_ms=row.get("start_time") or 0,
            ended_ms=row.get("end_time") or 0,
            is_deleted=row.get("lifecycle_stage") == "deleted",
            deleted_ms=row.get("deleted_time") or 0,
            artifacts=row.get("artifact_uri") or "",
            params=self._key_values("params", run_uuid=id),
            tags=tags,
            inputs=self._inputs(id),
            outputs=[
                (row["destination_id"], row.get("step") or 0)
                for row in self._rows("inputs", source_type="RUN_OUTPUT", source_id=id)
            ],
        )

    def points(self, run: str) -> Iterator[PastPoint]:
        """The points of a run by metric, in the order of steps and times."""
        columns = "key, value, step, timestamp, is_nan"
        points = sa.text(
            f"SELECT {columns} FROM metrics WHERE run_uuid = :run ORDER BY key, step, timestamp"
        )
        found = self._connection.execute(
            points, {"run": run}, execution_options={"yield_per": _FETCHED}
        )
        for key, value, step, timestamp, is_nan in found:
            number = float("nan") if is_nan else _with_infinity(value)
            yield PastPoint(key, number, step or 0, timestamp or 0)

    def n_points(self, run: str) -> int:
        """How many points a run has."""
        counted = sa.text("SELECT COUNT(*) FROM metrics WHERE run_uuid = :run")
        return int(self._connection.execute(counted, {"run": run}).scalar_one())

    def model_metrics(self, model: str) -> list[PastModelMetric]:
        """The metrics of a logged model by step and time; MLflow keeps NaN as 0 there."""
        order = "metric_name, metric_step, metric_timestamp_ms"
        return [
            PastModelMetric(
                model=model,
                name=row["metric_name"],
                value=float("nan")
                if row["metric_value"] is None
                else _with_infinity(row["metric_value"]),
                step=row["metric_step"],
                time_ms=row["metric_timestamp_ms"],
                run=row["run_id"],
                dataset=row["dataset_name"] or "",
                digest=row["dataset_digest"] or "",
            )
            for row in self._rows("logged_model_metrics", order=order, model_id=model)
        ]

    def logged_models(self) -> list[PastLoggedModel]:
        """All logged models."""
        tags = self._tags("logged_model_tags", "model_id", "tag_key", "tag_value")
        params = self._tags("logged_model_params", "model_id", "param_key", "param_value")
        return [
            PastLoggedModel(
                id=row["model_id"],
                experiment=str(row["experiment_id"]),
                name=row["name"],
                kind=row.get("model_type") or "",
                run=row.get("source_run_id") or "",
                status=row["status"],
                created_ms=row["creation_timestamp_ms"],
                changed_ms=row["last_updated_timestamp_ms"],
                is_deleted=row.get("lifecycle_stage") == "deleted",
                artifacts=row["artifact_location"],
                params=params.get(row["model_id"], {}),
                tags=tags.get(row["model_id"], {}),
            )
            for row in self._rows("logged_models", order="creation_timestamp_ms, model_id")
        ]

    def models(self) -> list[PastModel]:
        """All registered models."""
        tags = self._tags("registered_model_tags", "name")
        aliases = self._tags("registered_model_aliases", "name", "alias", "version")
        return [
            PastModel(
                name=row["name"],
                description=row.get("description") or "",
                tags=tags.get(row["name"], {}),
                created_ms=row.get("creation_time") or 0,
                aliases={alias: int(to) for alias, to in aliases.get(row["name"], {}).items()},
            )
            for row in self._rows("registered_models", order="name")
        ]

    def versions(self) -> list[PastVersion]:
        """All versions, by model and number; those that MLflow has deleted are left out."""
        tags: dict[tuple[str, int], dict[str, str]] = {}
        for row in self._rows("model_version_tags"):
            found = tags.setdefault((row["name"], int(row["version"])), {})
            found[row["key"]] = row["value"] or ""
        return [
            PastVersion(
                model=row["name"],
                number=int(row["version"]),
                description=row.get("description") or "",
                tags=tags.get((row["name"], int(row["version"])), {}),
                user=row.get("user_id") or "",
                stage=row.get("current_stage") or "None",
                run=row.get("run_id") or "",
                source=row.get("source") or "",
                artifacts=row.get("storage_location") or row.get("source") or "",
                created_ms=row.get("creation_time") or 0,
            )
            for row in self._rows("model_versions", order="name, version")
            if row.get("current_stage") != "Deleted_Internal"
        ]

    def _inputs(self, run: str) -> list[PastInput]:
        found = []
        for row in self._rows("inputs", source_type="DATASET", destination_id=run):
            (dataset,) = self._rows("datasets", dataset_uuid=row["source_id"])
            tags = self._rows("input_tags", input_uuid=row["input_uuid"])
            found.append(
                PastInput(
                    name=dataset["name"],
                    digest=dataset["digest"],
                    source_type=dataset["dataset_source_type"] or "",
                    source=dataset["dataset_source"] or "",
                    schema=dataset["dataset_schema"] or "",
                    profile=dataset["dataset_profile"] or "",
                    tags={tag["name"]: tag["value"] for tag in tags},
                )
            )
        return sorted(found, key=lambda each: (each.name, each.digest))

    def _key_values(self, table: str, **equal: object) -> dict[str, str]:
        return {row["key"]: row["value"] or "" for row in self._rows(table, order="key", **equal)}

    def _tags(
        self, table: str, owner: str, key: str = "key", value: str = "value"
    ) -> dict[str, dict[str, str]]:
        """Owner -> key -> value, of all owners."""
        found: dict[str, dict[str, str]] = {}
        for row in self._rows(table):
            found.setdefault(str(row[owner]), {})[row[key]] = str(row[value] or "")
        return found

    def _rows(self, table: str, *, order: str = "", **equal: object) -> list[Row]:
        """All columns that the table has, whatever MLflow made it; none if there is no table."""
        if table not in self._tables:
            return []
        where = " AND ".join(f"{name} = :{name}" for name in equal)
        statement = f"SELECT * FROM {table}"
        statement += f" WHERE {where}" if where else ""
        statement += f" ORDER BY {order}" if order else ""
        found = self._connection.execute(sa.text(statement), dict(equal))
        return [dict(row) for row in found.mappings()]


def _missing(there: sa.Inspector, tables: set[str]) -> str:
    """What a database of MLflow's has, and this one has not; "" if it has all of it."""
    if not tables.issuperset(_NEEDED):
        return "tables experiments and runs"
    for table, columns in _NEEDED.items():
        known = {each["name"] for each in there.get_columns(table)}
        for column in columns:
            if column not in known:
                return f"column {column!r} in its table {table!r}"
    return ""


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database in (None, "", ":memory:"):
                raise sa.exc.ArgumentError("no file")
            path = Path(parsed.database or "")
            if not path.is_file():
                msg = f"there is no database {path}"
                raise NotFound(
                    msg, hint="as in sqlite:///mlflow.db, or sqlite:////an/absolute/path"
                )
            parsed = parsed.set(
                database=f"file:{path.absolute()}", query={"mode": "ro", "uri": "true"}
            )
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        return sa.create_engine(parsed)
    except sa.exc.ArgumentError:
        msg = f"expected the URI of MLflow's backend store, got {url!r}"
        raise InvalidInput(
            msg, hint="sqlite:///mlflow.db, postgresql://..., or the folder mlruns"
        ) from None
    except ModuleNotFoundError as error:
        msg = f"{_shown(url)} needs the driver {error.name!r}, which is not installed"
        raise ConfigurationError(msg, hint=f"pip install {error.name}") from None


def _shown(url: str) -> str:
    return sa.make_url(url).render_as_string(hide_password=True)


def _with_infinity(value: float) -> float:
    return float("inf") if value == _INFINITE else float("-inf") if value == -_INFINITE else value
