"""From anything to what it came from, what was made from it, and whom it concerns."""

import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.impact import Contact, impact
from cd4ml.loop.ingest import ingest
from cd4ml.loop.lineage import Lineage, Link, Thing, lineage
from cd4ml.loop.picture import lineage_path, mermaid, svg
from cd4ml.loop.train import train
from cd4ml.loop.work import work
from tests.loop import world
from tests.loop.world import ANN

WINDOW = "window/production/delay/2013-02-01"
COLUMNS = '@step(columns={"carrier": ["flights.carrier"], "wind": ["flights.wind", "labelled.wind"], "late": ["flights.late"]})'


@pytest.fixture(scope="module")
def folder(laid_out_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """delay/1 was released, asked, measured, and made delay/2 from what came true."""
    folder = tmp_path_factory.mktemp("lineage") / "small"
    shutil.copytree(laid_out_folder, folder)
    pipeline = folder / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text().replace("@step\ndef examples", f"{COLUMNS}\ndef examples")
    )
    with open_project(folder) as project:
        world.release_first(project)
        (first, *_) = world.live(project, 30)
        (folder / "prediction").write_text(first)
        work(project, owner="test")
    return folder


@pytest.fixture
def project(folder: Path) -> Iterator[Project]:
    with open_project(folder) as opened:
        yield opened


def names(found: Lineage, sign: int = 0) -> set[str]:
    return {thing.label for thing in found.things if thing.depth * sign > 0 or not sign}


def test_a_retrained_version_comes_from_production_and_everything_before(
    project: Project,
) -> None:
    found = lineage(project, "delay/2", down=False)

    assert {
        "run/2",
        "job/1",
        "trigger/1",
        WINDOW,
        "plan/2",
        "release/2",
        "delay/1",
        "labelled@1",
        "flights@1",
        "approval/1 by max",
    } <= names(found)
    assert any(thing.kind == "labels" for thing in found.things)
    assert all(thing.depth < 0 for thing in found.things)
    depths = [abs(thing.depth) for thing in found.things]
    assert depths == sorted(depths)


def test_a_prediction_comes_from_its_plan_version_and_data(project: Project) -> None:
    prediction = (project.folder / "prediction").read_text()

    found = lineage(project, prediction)

    assert (found.of.kind, found.of.name) == ("prediction", f"prediction {prediction[:8]}")
    nearest = {(thing.name, thing.depth) for thing in found.things if thing.depth == -1}
    assert nearest == {("delay/1", -1), ("plan/2", -1)}
    assert {"flights@1", "run/1", "release/2"} <= names(found)
    assert lineage(project, prediction, up=False).things == ()


@pytest.mark.parametrize(
    ("ref", "kind"),
    [
        ("flights", "dataset version"),
        ("flights@1", "dataset version"),
        (" run/1 ", "run"),
        ("run/1/examples", "step output"),
        ("delay/1", "model version"),
        ("verdict/1", "verdict"),
        ("release/2", "release"),
        ("approval/1", "approval"),
        ("plan/1", "plan"),
        (WINDOW, "window"),
        ("trigger/1", "trigger"),
        ("job/1", "job"),
    ],
)
def test_everything_has_a_place_in_the_graph(project: Project, ref: str, kind: str) -> None:
    found = lineage(project, ref)

    assert found.of.kind == kind
    assert found.things
    ids = {found.of.id, *(thing.id for thing in found.things)}
    assert all({link.child, link.parent} <= ids for link in found.links)
    assert lineage(project, found.of.address).of == found.of


@pytest.mark.parametrize("ref", ["run/99", "planes", "delay/9", "blake3:0", "window/x", "run/1/no"])
def test_what_is_not_there_is_not_found(project: Project, ref: str) -> None:
    with pytest.raises(NotFound):
        lineage(project, ref)


def test_what_is_no_reference_is_explained(project: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        lineage(project, "my flights")

    assert str(refused.value) == (
        "expected a name like flights@1, run/3, delay/1 or release/2, got 'my flights'\n"
        "  hint: a prediction id has 32 hex digits"
    )


def test_an_unknown_prediction_is_not_found(project: Project) -> None:
    with pytest.raises(NotFound, match=r"no prediction '0000.* in the log"):
        lineage(project, "0" * 32)


def test_the_nearest_things_stay_where_there_are_too_many(project: Project) -> None:
    every, few = lineage(project, "delay/1"), lineage(project, "delay/1", limit=4)

    assert few.things == every.things[:4]
    assert few.n_left_out == len(every.things) - 4
    assert {link.child for link in few.links} <= {few.of.id, *(t.id for t in few.things)}


def test_a_column_leads_only_where_it_is_declared_to(project: Project) -> None:
    wind = lineage(project, "flights@1", column="wind", up=False)
    distance = lineage(project, "flights@1", column="distance", up=False)

    assert {"examples of run/1.wind", "training of run/1", "delay/1", WINDOW} <= names(wind)
    assert not any("late" in name for name in names(wind))
    assert distance.things == ()
    up = lineage(project, "run/1/examples", column="wind", down=False)
    assert names(up) == {"flights@1.wind"}


def test_a_column_that_is_not_there_is_refused(project: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        lineage(project, "flights@1", column="wnd")

    assert str(refused.value) == (
        "flights@1 has no column 'wnd'\n  hint: known: carrier, distance, event_at, late, wind"
    )


def test_who_is_concerned_if_data_is_wrong(project: Project) -> None:
    found = impact(project, "flights@1")

    assert found.in_charge == ("delay/1",)
    assert {(each.environment, each.version, each.role) for each in found.endpoints} >= {
        ("production", "delay/1", "champion")
    }
    assert (found.datasets, found.windows) == (("labelled@1",), (WINDOW,))
    assert found.n_predictions == 23
    assert {"run/1", "run/2"} == set(found.runs)
    assert Contact(who="operations", why=("owns flights",)) in found.tell
    assert ("max", ("approved release/2",)) in [(each.who, each.why) for each in found.tell]
    assert "system" not in {each.who for each in found.tell}


def test_what_a_column_that_nobody_uses_affects_is_nothing(project: Project) -> None:
    found = impact(project, "flights@1", column="distance")

    assert (found.models, found.in_charge, found.n_things) == ((), (), 0)
    assert [each.who for each in found.tell] == ["operations"]


def test_a_version_in_charge_concerns_its_own_endpoint(project: Project) -> None:
    found = impact(project, "delay/1")

    assert found.in_charge == ("delay/1",)
    assert "production" in {each.environment for each in found.endpoints}


def test_a_step_from_the_cache_is_declared_anew(laid_out_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(laid_out_folder, tmp_path / "small"))
    pipeline = folder / "pipeline.py"
    with open_project(folder) as project:
        train(project, actor=ANN)
        pipeline.write_text(
            pipeline.read_text().replace("@step\ndef examples", f"{COLUMNS}\ndef examples")
        )
        again = train(project, actor=ANN)
        found = lineage(project, "run/1/examples", column="late", down=False)

    assert {step.state for step in again.steps} == {"cached"}
    assert names(found) == {"flights@1.late"}


def test_the_picture_shows_every_thing_and_leads_to_it(project: Project) -> None:
    found = lineage(project, "delay/1")

    root = ET.fromstring(svg(found, lineage_path))
    space = {"s": "http://www.w3.org/2000/svg"}
    boxes = root.findall(".//s:rect", space)
    links = [each.get("href", "") for each in root.findall(".//s:a", space)]
    assert len(boxes) == len(links) == len(found.things) + 1
    assert "/lineage?of=delay%2F1" in links
    assert root.get("aria-label", "").startswith("Lineage of delay/1: it comes from ")
    assert all(each.get("style") is None for each in root.iter())
    assert len(root.findall(".//s:title", space)) >= len(boxes)
    without = ET.fromstring(svg(found))
    assert without.findall(".//s:a", space) == []


def test_mermaid_shows_the_same(project: Project) -> None:
    found = lineage(project, "flights@1", up=False)

    lines = mermaid(found).splitlines()

    assert lines[0] == "flowchart LR"
    assert '  n0["flights@1<br/>dataset version"]' in lines
    assert sum("-->|" in line for line in lines) == len(found.links)


def test_hostile_names_are_only_names() -> None:
    at = datetime(2013, 1, 1, tzinfo=UTC)
    hostile = '"]; click n0 "javascript:x" <script>alert(1)</script>\x00\u202e&'
    thing = Thing(id="a", address="a", kind="run", name=hostile, depth=0, seen_at=at)
    other = Thing(id="b", address="b", kind="run", name="b", depth=1, seen_at=at)
    link = Link(child="b", parent="a", role='x|"<b>')
    found = Lineage(of=thing, things=(other,), links=(link,))

    drawn, written = svg(found, lineage_path), mermaid(found)

    ET.fromstring(drawn)
    assert "<script" not in drawn
    assert "<script" not in written
    assert '"]; click' not in written
    assert "\u202e" not in drawn


def test_data_alone_has_a_lineage_of_nothing(laid_out_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(laid_out_folder, tmp_path / "small"))
    with open_project(folder) as project:
        ingest(project, "flights", actor=ANN)
        found = lineage(project, "flights")

    assert (found.things, found.links, found.n_left_out) == ((), (), 0)
    assert ET.fromstring(svg(found)).tag.endswith("svg")
