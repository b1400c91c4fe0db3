"""Curves of several runs, drawn beside each other."""

import json
from html import unescape

import httpx
import pytest

import cd4ml
from cd4ml.cli import main
from cd4ml.experiments.compare import Comparison, Difference
from cd4ml.loop import Project
from cd4ml.records.curve import Curves, RunCurve
from cd4ml.web.chart import BOTTOM, LEFT, RIGHT, TOP
from cd4ml.web.curves import curves_chart
from cd4ml.web.experiment_report import comparison_report
from cd4ml.web.parallel import parallel_runs
from tests.starter import ADMIN
from tests.web.test_pages import HOSTILE, Document, read


def curve(run: str, *values: float | None, every: int = 1) -> RunCurve:
    steps = tuple(range(0, every * len(values), every))
    seconds = tuple(step / 4 for step in steps)
    return RunCurve(run=run, steps=steps, seconds=seconds, values=values, n_points=len(values))


def test_runs_share_their_axes_and_keep_their_colours() -> None:
    both = Curves(metric="loss", runs=(curve("run/3", 1.0, 0.0), curve("run/2", 0.5, None, 0.25)))

    drawn = curves_chart(both, ["run/1", "run/2", "run/3"])

    assert drawn is not None
    assert [(line.run, line.colour) for line in drawn.lines] == [("run/3", 2), ("run/2", 1)]
    assert drawn.lines[0].points.split()[0] == f"{LEFT:.1f},{TOP:.1f}"
    assert drawn.lines[0].points.split()[1].endswith(f",{BOTTOM:.1f}")
    assert drawn.lines[1].points.split()[-1].startswith(f"{RIGHT:.1f},")
    assert drawn.lines[1].sentence == "run/2: 3 points, 0.25 at 2"
    assert json.loads(unescape(str(drawn.lines[1].told)))[-1][1:] == ["2", "0.25"]
    assert [tick.label for tick in drawn.across] == ["0", "1", "2"]


def test_curves_over_time_end_when_they_ended() -> None:
    slow = Curves(metric="loss", runs=(curve("run/1", 1.0, 0.5, every=8),))

    drawn = curves_chart(slow, ["run/1"], by="time")

    assert drawn is not None
    assert drawn.unit == "seconds"
    assert drawn.across[-1].label == "2"


def test_a_metric_without_a_finite_value_is_not_drawn() -> None:
    nothing = Curves(metric="loss", runs=(curve("run/1", None, None), curve("run/2")))

    assert curves_chart(nothing, ["run/1", "run/2"]) is None


def differing(*parameters: object, metric: tuple[float | None, ...]) -> Comparison:
    return Comparison(
        runs=tuple(f"run/{i}" for i in range(1, len(parameters) + 1)),
        differences=(
            Difference(kind="parameter", name="step.x", values=parameters),
            Difference(kind="metric", name="auc", values=metric),
        ),
    )


def test_runs_go_from_their_parameters_to_their_metrics() -> None:
    drawn = parallel_runs(differing(1, 3, 5, metric=(0.5, 0.6, 0.9)))

    assert drawn is not None
    assert [(axis.name, axis.low, axis.high) for axis in drawn.axes] == [
        ("x", "1", "5"), ("auc", "0.5", "0.9"),
    ]  # fmt: skip
    assert [line.kind for line in drawn.lines] == ["run run-0", "run run-1", "run run-2"]
    assert drawn.lines[2].sentence == "run/3: step.x = 5, auc = 0.9"
    assert drawn.lines[1].points == "60.0,120.0 660.0,168.0"


def test_names_are_places_too_and_what_is_missing_is_passed_over() -> None:
    drawn = parallel_runs(differing("a", 2, None, metric=(0.5, None, float("nan"))))

    assert drawn is not None
    assert (drawn.axes[0].low, drawn.axes[0].high) == ("a", "2")
    assert drawn.lines[1].points == "60.0,24.0"
    assert parallel_runs(differing(1, 2, metric=(0.5, 0.6))) is None


def test_a_file_with_curves_holds_no_script_and_everything_is_escaped() -> None:
    found = Comparison(
        runs=(HOSTILE, "run/2"),
        differences=(),
        curves=(Curves(metric=HOSTILE, runs=(curve(HOSTILE, 1.0, 0.5),)),),
    )

    page = comparison_report(found)

    assert "<script" not in page
    assert HOSTILE in Document(page).text
    assert "<form" not in page


@pytest.fixture
def logged(project: Project) -> list[str]:
    """Two runs that logged a loss."""
    refs = []
    for rate in (1, 2):
        with cd4ml.run("curves", project=project.folder, actor=ADMIN) as run:
            for step in range(30):
                run.log(loss=1 / (step * rate + 1))
            refs.append(run.ref)
    return refs


def test_the_console_draws_runs_beside_each_other_as_asked_for(
    client: httpx.Client, logged: list[str]
) -> None:
    asked = "&".join(f"run={ref}" for ref in logged)

    plain = read(client, f"/compare?{asked}")
    smooth = client.get(f"/compare?{asked}&by=time&smooth=0.9").text
    wrong = client.get(f"/compare?{asked}&by=weeks&smooth=nan")
    listed = read(client, "/runs")

    assert len(plain.all("polyline")) == 2
    assert f"{logged[1]}: 30 points" in plain.text
    assert 'data-unit="seconds"' in smooth
    assert 'value="0.9"' in smooth
    assert (wrong.status_code, 'data-unit="step"' in wrong.text) == (200, True)
    boxes = [each for each in listed.all("input") if each.get("type") == "checkbox"]
    assert {each.get("name") for each in boxes} == {"run"}
    assert client.get("/static/curves.js").status_code == 200


def test_the_command_prints_them_and_writes_them_down(
    project: Project, logged: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    page = project.folder / "page.html"
    home = ["--project", str(project.folder), "--as", ADMIN]

    assert main(["compare", *logged, "--curve", "loss", "--html", str(page), *home]) == 0
    said = capsys.readouterr().out
    assert main(["compare", *logged, "--curve", "los", *home]) == 1
    error = capsys.readouterr().err

    assert "loss from step 0 to 29\n" in said
    assert f"{logged[0]}      1  █" in said
    assert len(Document(page.read_text()).all("polyline")) == 2
    assert error.startswith("error: none of these runs has the metric 'los'\n")
