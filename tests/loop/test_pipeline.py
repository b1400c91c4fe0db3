"""The pipeline is shown as its files are now: in words, as Mermaid, as SVG."""

import xml.etree.ElementTree as ET

from cd4ml.cli.output import as_json
from cd4ml.loop import Project
from cd4ml.loop.pipeline import show_pipeline
from cd4ml.loop.pipeline_picture import mermaid, svg
from tests.pipeline.projects import edit

SVG = "{http://www.w3.org/2000/svg}"


def test_it_says_what_needs_what_and_where(project: Project) -> None:
    shown = show_pipeline(project)

    assert shown.datasets == ("flights", "labelled")
    assert [step.name for step in shown.steps] == [
        "examples", "training", "holdout", "delay", "evaluation",
    ]  # fmt: skip
    training = shown.steps[1]
    assert training.inputs == ("examples",)
    assert training.parameters == {"upside_down": False}
    assert training.where.startswith("pipeline.py:")
    assert (training.output, training.unseen, training.is_cached) == ("DataFrame", "", True)


def test_it_says_why_a_step_depends_on_every_file(project: Project) -> None:
    edit(project.folder, "pipeline.py", "examples.tail(", "getattr(examples, 'tail')(")

    assert show_pipeline(project).steps[2].unseen == "getattr"


def test_it_says_which_files_and_variables_count(project: Project) -> None:
    edit(project.folder, "pipeline.py", "import polars as pl", "import os\nimport polars as pl")
    edit(project.folder, "pipeline.py", "examples.tail(",
         "os.environ['REGION'] and open('limits.json') and examples.tail(")  # fmt: skip
    (project.folder / "limits.json").write_text("{}")

    holdout = show_pipeline(project).steps[2]

    assert (holdout.files, holdout.variables) == (("limits.json",), ("REGION",))


def test_mermaid_has_every_box_and_arrow(project: Project) -> None:
    lines = mermaid(show_pipeline(project)).splitlines()

    assert lines[0] == "flowchart LR"
    assert '  n0[("flights")]' in lines
    assert '  n5["delay<br/>Model"]' in lines
    assert "  n3 --> n5" in lines  # training to delay


def test_the_picture_can_be_read_without_being_seen(project: Project) -> None:
    drawn = ET.fromstring(svg(show_pipeline(project)))

    assert drawn.attrib["aria-label"] == "Pipeline pipeline: 5 steps from 2 datasets"
    titles = [each.text for each in drawn.iter(f"{SVG}title")]
    assert "training to delay" in titles
    assert "dataset flights" in titles
    assert any(str(t).startswith("step delay(strength=1.0), pipeline.py:") for t in titles)
    assert len(drawn.findall(f"{SVG}g")) == 7


def test_boxes_do_not_overlap(project: Project) -> None:
    drawn = ET.fromstring(svg(show_pipeline(project)))
    corners = [(r.attrib["x"], r.attrib["y"]) for r in drawn.iter(f"{SVG}rect")]

    assert len(set(corners)) == len(corners)


def test_a_step_that_is_never_cached_is_drawn_so(project: Project) -> None:
    edit(project.folder, "pipeline.py", "@step\ndef holdout", "@step(cache=False)\ndef holdout")

    picture = svg(show_pipeline(project))

    assert picture.count("stroke-dasharray") == 1
    assert "never cached" in picture


def test_a_command_is_drawn_as_one(project: Project) -> None:
    path = project.folder / "pipeline.py"
    made = 'from cd4ml import command\nmade = command("true {flights}", inputs=["flights"], output="a.csv", code=[])\n'
    path.write_text(path.read_text() + made)

    shown = show_pipeline(project)

    assert [step.name for step in shown.steps if step.is_command] == ["made"]
    assert "made<br/>command" in mermaid(shown)


def test_machines_get_all_of_it(project: Project) -> None:
    assert '"name": "delay"' in as_json(show_pipeline(project))
