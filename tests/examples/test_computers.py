"""The example with four axes: every combination runs, and is told apart from the others."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from cd4ml.loop import Project, open_project
from cd4ml.loop.init import init
from cd4ml.loop.search import search, settings_of
from cd4ml.loop.train import train
from cd4ml.pipeline.module import imported
from cd4ml.records.settings import SearchSettings
from cd4ml.store.project import FILE, read_settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "computers"
AXES = {
    "training.data": "DATA",
    "price.features": "FEATURES",
    "price.algorithm": "ALGORITHMS",
    "price.parameters": "PARAMETERS",
}


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Any]:
    with imported(EXAMPLE, "pipeline") as module:
        yield module


@pytest.fixture(scope="module")
def choices() -> Iterator[Any]:
    with imported(EXAMPLE, "choices") as module:
        yield module


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("examples") / "computers"
    init(folder, example="computers", actor="ann")
    with open_project(folder) as opened:
        yield opened


def test_the_search_tries_every_choice_that_there_is(pipeline: Any, choices: Any) -> None:
    tried = read_settings(EXAMPLE / FILE).search["axes"].space

    for axis, table in AXES.items():
        step, _, parameter = axis.partition(".")
        hints = get_type_hints(getattr(pipeline, step).function)
        assert tuple(tried[axis]) == get_args(hints[parameter]) == tuple(getattr(choices, table))


def test_every_algorithm_has_every_set_of_parameters(choices: Any) -> None:
    for name, algorithm in itertools.product(choices.PARAMETERS, choices.ALGORITHMS):
        assert choices.estimator("plain", algorithm, name)


def test_the_data_are_real_prices(project: Project) -> None:
    with imported(EXAMPLE, "world") as world:
        offers = world.offers()

    assert offers.shape == (6259, 10)
    assert (offers["price"].min(), offers["price"].max()) == (949, 5399)
    assert offers["month"].n_unique() == 35


def test_the_newest_months_judge_whatever_is_chosen(pipeline: Any) -> None:
    with imported(EXAMPLE, "world") as world:
        priced = pipeline.priced(world.offers())

    holdout = pipeline.holdout(priced)
    assert sorted(holdout["month"].unique()) == [30, 31, 32, 33, 34, 35]
    for data, n in (("all", 5963), ("recent", 2220), ("no-name", 606)):
        training = pipeline.training(priced, data=data)
        assert training["month"].max() == 29
        assert training.height == n


@pytest.mark.slow
def test_a_run_chooses_on_each_axis_and_a_search_finds_that_the_data_matter(
    project: Project,
) -> None:
    default = train(project, actor="ann")
    whole = settings_of(project, "axes")
    few = SearchSettings(
        space={**whole.space, "price.algorithm": ["linear"], "price.parameters": ["careful"]},
        metric=whole.metric,
        experiment=whole.experiment,
    )

    report = search(project, few, actor="ann")

    assert [trial.state for trial in report.trials] == ["finished"] * 9
    assert report.best is not None
    assert report.best.parameters == {
        "training.data": "recent",
        "price.features": "market",
        "price.algorithm": "linear",
        "price.parameters": "careful",
    }
    assert report.best.value == pytest.approx(150.9, abs=1.0)
    assert default.metrics["rmse"] == pytest.approx(299.5, abs=1.0)
    # all along the same axis, each different from the others
    assert len({trial.value for trial in report.trials}) == 9
