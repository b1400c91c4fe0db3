"""Files scored as tasks of a Ray cluster: the same output."""

from pathlib import Path

import polars as pl
import pytest

from cd4ml.loop.candidate import runtime_of
from cd4ml.loop.executors import Where
from cd4ml.loop.predict import predict
from tests.models.builders import boosted, flights
from tests.models.registered import Registered

pytest.importorskip("pyarrow")
pytest.importorskip("ray")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]


def test_tasks_of_a_cluster_score_pieces(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CD4ML_EXECUTOR")
    registered = Registered(tmp_path / "project", sqlite_template)
    version = registered.version(boosted())
    numbered = flights().drop("late").with_columns(id=pl.int_range(pl.len()))
    numbered.write_parquet(tmp_path / "in.parquet")

    with registered.project as project:
        ended = predict(
            project,
            "delay/1",
            input=str(tmp_path / "in.parquet"),
            output=str(tmp_path / "out"),
            piece_rows=150,
            where=Where(executor="ray", ray="local", workers=2),
            actor="ann",
        )
        expected = runtime_of(project, version).score(flights().drop("late").to_dicts())

    assert ended.n_pieces == 3
    found = pl.read_parquet(tmp_path / "out" / "*.parquet").sort("id")
    assert found["score"].to_list() == expected
