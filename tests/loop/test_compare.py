"""Runs beside each other, on the rows that both have scored."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cd4ml.loop import Project, open_project
from cd4ml.loop.compare import compare
from cd4ml.loop.people import add_person
from cd4ml.loop.train import train
from tests.loop.world import ANN

PIPELINE = """
import polars as pl

from cd4ml import Metrics, step


@step
def scored(*, off: float = 0.0, n: int = 120) -> pl.DataFrame:
    rows = pl.DataFrame({"row": range(n), "site": ["a", "b"] * (n // 2)})
    late = pl.col("row") % 3 == 0
    return rows.with_columns(
        late=late.cast(pl.Int64), score=0.1 + 0.8 * late.cast(pl.Float64) - off * late
    )


@step
def other(*, x: float = 0.0) -> Metrics:
    return {"x": x}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "cd4ml.toml").write_text(
        '[project]\nname = "small"\n[model]\ntarget = "late"\nslices = ["site"]\n'
    )
    with open_project(tmp_path) as opened:
        add_person(opened, ANN, roles=(), actor=ANN)
        yield opened


def test_runs_are_compared_on_the_rows_that_both_have_scored(project: Project) -> None:
    train(project, actor=ANN)
    train(project, overrides={"scored.off": 0.6}, actor=ANN)
    train(project, overrides={"scored.n": 60}, actor=ANN)

    found = compare(project, ["run/1", "run/2", "run/3"])

    assert {each.name for each in found.differences} == {"scored.off", "scored.n"}
    second, third = found.pairs
    accuracy = next(each for each in second.metrics if each.metric == "accuracy")
    assert (accuracy.first, accuracy.second, accuracy.n) == (1.0, pytest.approx(2 / 3), 120)
    assert accuracy.is_told_apart
    assert (second.only_first, second.only_second) == (40, 0)
    assert third.reason == "they scored 120 and 60 rows"
    assert {each.slice for each in second.metrics} == {""}  # 60 rows a site say too little


def test_runs_that_kept_no_scored_rows_are_compared_without_them(project: Project) -> None:
    settings = project.folder / "cd4ml.toml"
    settings.write_text(settings.read_text().replace("[model]", '[model]\nscored = "other"'))
    with open_project(project.folder) as again:
        train(again, actor=ANN)
        train(again, overrides={"other.x": 1.0}, actor=ANN)

        found = compare(again, ["run/1", "run/2"])

    assert found.pairs == ()
    assert [each.name for each in found.differences] == ["other.x", "x"]


def test_slices_of_several_runs_are_lines_with_a_value_a_run(project: Project) -> None:
    for off in (0.0, 0.6, 0.7):
        train(project, overrides={"scored.off": off, "scored.n": 240}, actor=ANN)
    train(project, overrides={"scored.n": 60}, actor=ANN)

    found = compare(project, ["run/1", "run/2", "run/3", "run/4"])

    assert found.on_the_same_rows == ("run/1", "run/2", "run/3")
    lines = {(each.metric, each.slice): each for each in found.slices}
    assert {name for _, name in lines} == {"", "site=a", "site=b"}
    accuracy = lines["accuracy", "site=a"]
    assert (accuracy.n, accuracy.values) == (120, (1.0, pytest.approx(2 / 3), pytest.approx(2 / 3)))
    assert compare(project, ["run/1", "run/4"]).slices == ()
