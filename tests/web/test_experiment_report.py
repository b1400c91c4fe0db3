"""Comparisons and searches as files and pages: everything inside, everything escaped."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cd4ml.cli import main
from cd4ml.experiments.compare import Comparison, Difference
from cd4ml.loop import Project
from cd4ml.loop.search import SearchReport, search
from cd4ml.loop.train import train
from cd4ml.records.pair import Calibrated, Confusion, Pair, PairedMetric, Scored
from cd4ml.records.search import (
    Choices,
    ParameterImportance,
    Range,
    Search,
    SearchImportance,
    SearchPlan,
    Trial,
)
from cd4ml.records.settings import SearchSettings
from cd4ml.web.experiment_report import comparison_report, search_report
from cd4ml.web.parallel import BOTTOM, SIDE, TOP, WIDTH, parallel
from tests.starter import ADMIN
from tests.web.test_pages import HOSTILE, Document, read

NOW = datetime(2013, 1, 1, tzinfo=UTC)


def trial(position: int, value: float | None, kind: str = "a", **changes: Any) -> Trial:
    values: dict[str, Any] = {
        "search": 1,
        "position": position,
        "parameters": {"step.x": float(position), "step.kind": kind},
        "state": "finished",
        "value": value,
        "run": position + 1,
    }
    return Trial(**{**values, **changes})


def report(*trials: Trial, text: str = "a", direction: str = "higher") -> SearchReport:
    plan = SearchPlan(
        space={
            "step.x": Range(low=0.0, high=10.0, is_whole=False),
            "step.kind": Choices(values=(text, "b")),
        },
        sampler="random",
        n_trials=len(trials),
        metric="auc",
        direction=direction,  # type: ignore[arg-type]
    )
    found = Search(number=1, key="k", plan=plan, reason=text, started_at=NOW, created_by=text)
    shares = tuple(ParameterImportance(parameter=each, share=0.4) for each in plan.space)
    mattered = SearchImportance(parameters=shares, together=0.2, explained=0.9, n_trials=12)
    best = trials[0] if trials else None
    return SearchReport(search=found, trials=trials, best=best, mattered=mattered, runs=())


def scored(run: str) -> Scored:
    confusion = Confusion(true_positive=1234, false_positive=2, false_negative=3, true_negative=4)
    bins = (Calibrated(said=0.5, observed=0.4, low=0.2, high=0.6, n=10),)
    return Scored(run=run, confusion=confusion, calibration=bins)


def comparison(text: str = "x") -> Comparison:
    metric = PairedMetric(
        metric=text, slice=text, first=0.5, second=0.6, difference=0.1, low=0.05, high=0.15, n=100
    )
    pair = Pair(
        first=scored(text), second=scored(text), n_rows=1243, metrics=(metric,), only_first=1,
        only_second=9, p_value=0.02,
    )  # fmt: skip
    other = Pair(first=scored(text), second=scored(text), reason=text)
    lines = tuple(
        Difference(kind=kind, name=text, values=(text, None), best=())  # type: ignore[arg-type]
        for kind in ("parameter", "data")
    )
    return Comparison(
        runs=(text, text),
        differences=(*lines, Difference(kind="metric", name=text, values=(0.5, 0.6), best=(1,))),
        pairs=(pair, other),
    )


@pytest.mark.parametrize("page", [
    search_report(report(trial(0, 0.9, HOSTILE), trial(1, 0.1, "b"), text=HOSTILE)),
    comparison_report(comparison(HOSTILE)),
])  # fmt: skip
def test_a_file_needs_nothing_else_and_runs_nothing(page: str) -> None:
    document = Document(page)

    assert "<script" not in page
    assert not document.all("link")
    assert all(not each.get("src") for _, each in document.tags)
    assert HOSTILE in document.text


def test_a_comparison_says_what_differs_and_what_may_be_chance() -> None:
    text = Document(comparison_report(comparison("run/2"))).text

    assert "On the same 1,243 rows." in text
    assert "p = 0.02 (McNemar)" in text
    assert "differs" in text
    assert "Not on the same rows: run/2." in text
    assert "1,234" in text


def test_the_best_trials_lie_above_the_others_and_every_line_ends_at_its_value() -> None:
    trials = [trial(i, i / 10, "ab"[i % 2]) for i in range(11)]
    trials[3] = trial(3, 0.3, "b", state="pruned")

    drawn = parallel(report(*trials))

    assert drawn is not None
    assert [axis.name for axis in drawn.axes] == ["step.x", "step.kind", "auc"]
    assert [line.kind for line in drawn.lines].count("best") == 1
    assert drawn.lines[-1].kind == "best"
    assert drawn.lines[-1].sentence.startswith("trial 10, finished: step.x = 10")
    first = drawn.lines[-1].points.split()
    assert first[0] == f"{SIDE:.1f},{TOP:.1f}"
    assert first[-1] == f"{WIDTH - SIDE:.1f},{TOP:.1f}"
    assert drawn.lines[0].points.split()[-1].endswith(f",{BOTTOM:.1f}")
    assert "pruned" in {line.kind for line in drawn.lines}


def test_named_values_stand_at_their_axis() -> None:
    plan = SearchPlan(
        space={"step.kind": Choices(values=("a", "b", "c"))}, sampler="grid", n_trials=3,
        metric="auc",
    )  # fmt: skip
    found = Search(number=1, key="k", plan=plan, started_at=NOW, created_by="ann")
    trials = tuple(trial(i, i / 10, "abc"[i]) for i in range(3))

    drawn = parallel(SearchReport(search=found, trials=trials, best=None, mattered=None, runs=()))

    assert drawn is not None
    axis = drawn.axes[0]
    assert (axis.low, axis.high, axis.ticks) == ("a", "c", (((TOP + BOTTOM) / 2, "b"),))


def test_where_lower_is_better_the_lowest_is_the_best() -> None:
    drawn = parallel(report(trial(0, 0.1), trial(1, 0.9), direction="lower"))

    assert drawn is not None
    assert drawn.lines[-1].sentence.startswith("trial 0,")


def test_trials_without_a_value_are_not_drawn() -> None:
    assert parallel(report(trial(0, None, state="failed"), trial(1, 0.5))) is None
    assert parallel(report()) is None
    same = parallel(report(trial(0, 0.5), trial(1, 0.5)))
    assert same is not None
    assert len(same.lines) == 2


@pytest.fixture
def tried(project: Project) -> Project:
    """Two more runs, of a search."""
    wanted = SearchSettings(
        space={"diagnosis.strength": [0.1, 1.5]}, metric="auc", workers=1, experiment="strength"
    )
    search(project, wanted, actor=ADMIN)
    train(project, actor=ADMIN)
    return project


@pytest.mark.slow
def test_pages_and_files_of_searches_and_comparisons(
    tried: Project, client: httpx.Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = read(client, "/searches")
    shown = read(client, "/searches/2")
    compared = read(client, "/compare?run=1&run=2")
    home = ["--project", str(tried.folder), "--as", ADMIN]

    assert "/searches/2" in {each.get("href") for each in listed.all("a")}
    assert "From parameters to auc" in shown.text
    assert len(shown.all("polyline")) == 2
    assert "parameter diagnosis.strength" in compared.text
    for words in (["compare", "run/1", "run/2"], ["search", "show", "2"]):
        place = tmp_path / "page.html"
        assert main([*words, "--html", str(place), *home]) == 0
        assert Document(place.read_text()).all("table")
    assert main(["compare", "run/1", "run/2", "--html", str(tmp_path), *home]) == 1
    assert f"{tmp_path} cannot be written: Is a directory" in capsys.readouterr().err
    assert main(["compare", "--html", "x.html", *home]) == 2
    assert client.get("/searches/9").status_code == 404
    assert "Choose two runs" in read(client, "/compare?run=1").text
