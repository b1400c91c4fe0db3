"""A project that serves a model of late flights, for benchmarks of serving."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pipelines
import polars as pl

from cd4ml.loop import open_project
from cd4ml.models.estimator import dump
from cd4ml.models.manifest import COMPILED, Manifest
from cd4ml.models.package import package
from cd4ml.records.contract import Contract, Field
from cd4ml.records.plan import Arm, Plan, Role
from cd4ml.store import ledger
from cd4ml.store.project import Project
from cd4ml.store.rows import insert, next_number

TEXTS = ["carrier", "origin", "dest"]
NUMBERS = ["month", "hour", "dep_delay", "distance"]
_SAMPLE = 500


class Served(NamedTuple):
    """A project with a plan, and what its peers need: `model.onnx`, `model.joblib`, `rows.json`."""

    folder: Path
    rows: list[dict[str, Any]]  # as requests carry them
    score: float  # of the first row
    artifacts: tuple[str, str]  # the champion, and another version with half of its trees


def serve_flights(folder: Path, *, n_rows: int, n_trees: int) -> Served:
    """A project whose production serves gradient boosting over one-hot columns of flights."""
    (folder / "cd4ml.toml").write_text('[project]\nname = "bench"\n\n[environments.production]\n')
    frame = flights(n_rows)
    rows = frame.select(TEXTS + NUMBERS)
    champion, other = fitted(frame, n_trees), fitted(frame, n_trees // 2)
    with open_project(folder) as project:
        artifact = packaged(project, champion, rows)
        artifacts = artifact, packaged(project, other, rows)
        manifest = project.blobs.get_record(artifact, Manifest)
        (folder / "model.onnx").write_bytes(project.blobs.get(manifest.files[COMPILED]))
        make_plan(project, arm(artifact))
    joblib.dump(champion, folder / "model.joblib")
    requests = rows.head(1000).to_dicts()
    (folder / "rows.json").write_text(json.dumps(requests))
    score = float(champion.predict_proba(rows.head(1))[0, 1])
    return Served(folder, requests, score, artifacts)


def packaged(project: Project, estimator: Any, rows: pl.DataFrame) -> str:
    """The address of a packaged model."""
    address = project.blobs.put(dump(estimator))
    return package(
        project.blobs,
        estimator=address,
        contract=contract(rows),
        sample=rows.head(_SAMPLE),
        is_trusted=lambda digest: digest == address,
    )


def arm(artifact: str, role: Role = "champion", number: int = 1) -> Arm:
    """A version in a plan."""
    weight = 100 if role == "champion" else 0
    return Arm(role=role, model="delay", number=number, artifact=artifact, weight_percent=weight)


def make_plan(project: Project, *arms: Arm) -> int:
    """Let production follow a plan of these arms; returns its number."""
    with project.database.write() as connection:
        number = next_number(connection, Plan)
        plan = Plan(
            number=number,
            environment="production",
            model="delay",
            arms=arms,
            release=1,
            made_at=project.clock.now(),
        )
        insert(connection, plan)
        ledger.append(
            connection,
            at=plan.made_at,
            actor="system",
            action="release.begun",
            subject=plan.made_by,
            records=(plan,),
        )
    return number


def flights(n_rows: int) -> pl.DataFrame:
    """Flights of New York in 2013 with `late`: by more than a quarter of an hour."""
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "flights.csv"
        pipelines.flights(csv)
        frame = pl.read_csv(csv, null_values="NA", columns=[*TEXTS, *NUMBERS, "arr_delay"])
    known = frame.drop_nulls("arr_delay").sample(n_rows, seed=0)
    return known.with_columns(
        pl.col("dep_delay", "distance").cast(pl.Float64),
        late=(pl.col("arr_delay") > 15).cast(pl.Int8),
    )


def fitted(frame: pl.DataFrame, n_trees: int) -> Any:
    """Gradient boosting of some trees over one-hot categories."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("texts", one_hot, TEXTS), ("numbers", "passthrough", NUMBERS)])
    boosting = HistGradientBoostingClassifier(max_iter=n_trees, random_state=0)
    model = Pipeline([("columns", columns), ("boosting", boosting)])
    return model.fit(frame.select(TEXTS + NUMBERS), frame["late"].to_numpy().astype(np.int8))


def contract(rows: pl.DataFrame) -> Contract:
    """What a request must keep: types, ranges, and a closed list of carriers."""
    carriers = tuple(sorted(rows["carrier"].unique().to_list()))
    return Contract(
        name="delay",
        fields=(
            Field("carrier", "string", categories=carriers),
            Field("origin", "string", categories=("EWR", "JFK", "LGA")),
            Field("dest", "string"),
            Field("month", "integer", minimum=1, maximum=12),
            Field("hour", "integer", minimum=0, maximum=23),
            Field("dep_delay", "number", nullable=True, minimum=-120, maximum=2000),
            Field("distance", "number", minimum=0, maximum=10_000),
        ),
    )
