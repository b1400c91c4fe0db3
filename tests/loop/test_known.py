"""What was known at a moment can be had again: for a run, and for what production showed."""

from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from cd4ml.data.snapshot import snapshot_frame
from cd4ml.errors import NotFound
from cd4ml.feedback.curation import Curated
from cd4ml.loop import Project
from cd4ml.loop.compare import compare
from cd4ml.loop.ingest import show_dataset
from cd4ml.loop.known import input_at
from cd4ml.loop.label import curate, curated_at, label
from cd4ml.loop.search import search
from cd4ml.loop.train import RunReport, train
from cd4ml.loop.watch import collect
from cd4ml.loop.why import why
from cd4ml.records.contract import Contract, Field
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.settings import SearchSettings
from cd4ml.release.champion import move_champion
from cd4ml.store import rows
from tests.loop.test_evaluate import change
from tests.loop.test_ingest import traces
from tests.loop.test_read import add_rides, day, with_rides
from tests.loop.world import ANN, BEGIN, EVE, HOUR, live, move

RIDDEN = """

@step
def ridden(rides: pl.DataFrame) -> Metrics:
    return {"arrivals": rides.height, "km": rides["km"].sum()}
"""


@pytest.fixture
def riding(project: Project) -> Project:
    """A pipeline that takes rides: two files, the second with a correction and a late row."""
    pipeline: Path = project.folder / "pipeline.py"
    pipeline.write_text(pipeline.read_text() + RIDDEN)
    riding = with_rides(project)
    add_rides(riding, 3, (1, 2, 9.0), (2, 3, 2.0))
    return riding


def later(riding: Project) -> None:
    add_rides(riding, 5, (1, 4, 8.0), (3, 5, 3.0))


def measured(report: RunReport) -> tuple[float | None, float | None]:
    return report.metrics["arrivals"], report.metrics["km"]


def states(report: RunReport) -> set[str]:
    return {step.state for step in report.steps}


# --- runs -----------------------------------------------------------------------------------


def test_a_run_as_of_a_moment_is_the_run_of_then(riding: Project) -> None:
    then = train(riding, actor=ANN)
    later(riding)
    now = train(riding, actor=ANN)

    again = train(riding, as_of=day(4), actor=ANN)

    assert (measured(then), measured(now)) == ((2, 11.0), (4, 22.0))
    assert measured(again) == (2, 11.0)
    assert again.run.refs["rides"] == "rides@1"
    assert again.run.outputs == then.run.outputs
    assert states(again) == {"cached"}
    assert again.run.as_of == day(4)


def test_files_that_changed_since_are_left_as_they_are(riding: Project) -> None:
    train(riding, actor=ANN)
    (riding.folder / "data" / "rides" / "03.parquet").write_bytes(b"not Parquet any more")
    before = traces(riding)

    report = train(riding, as_of=day(4), actor=ANN)

    assert measured(report) == (2, 11.0)
    assert traces(riding)[1] == before[1]


@pytest.mark.parametrize(
    ("moment", "arrivals", "km"),
    [(day(2), 1, 9.0), (day(3), 2, 11.0), (day(4), 3, 19.0), (day(5), 4, 22.0)],
)
def test_of_a_version_with_a_number_the_rows_that_had_arrived_are_taken(
    riding: Project, moment: datetime, arrivals: int, km: float
) -> None:
    """Corrections beside what they correct: an as-of join wants the history."""
    train(riding, actor=ANN)
    later(riding)
    ingested = {"rides": "rides@2", "flights": "flights@1"}

    report = train(riding, as_of=moment, data=ingested, actor=ANN)

    assert measured(report) == (arrivals, km)


def test_moments_between_two_arrivals_are_one_and_computed_once(riding: Project) -> None:
    later(riding)
    pinned = {"rides": "rides@2"}
    train(riding, actor=ANN)

    first = train(riding, as_of=day(4), data={**pinned, "flights": "flights@1"}, actor=ANN)
    second = train(riding, as_of=day(4) + HOUR, data={**pinned, "flights": "flights@1"}, actor=ANN)
    third = train(riding, as_of=day(3), data={**pinned, "flights": "flights@1"}, actor=ANN)

    assert states(first) == {"computed", "cached"}
    assert states(second) == {"cached"}
    assert first.run.datasets == second.run.datasets != third.run.datasets


def test_the_lineage_leads_from_the_known_rows_to_their_version(riding: Project) -> None:
    train(riding, actor=ANN)
    later(riding)
    pinned = {"rides": "rides@2", "flights": "flights@1"}

    report = train(riding, as_of=day(4), data=pinned, actor=ANN)

    assert report.run.ref in show_dataset(riding, "rides@2").children
    assert "rides@2 as of 2013-02-04T00:00:00+00:00" in show_dataset(riding, "rides@2").children
    story = why(riding, report.run.ref)
    assert ("known", "what had arrived by 2013-02-04T00:00:00+00:00") in story.sentences


def test_a_comparison_says_that_runs_knew_different_things(riding: Project) -> None:
    train(riding, actor=ANN)
    train(riding, as_of=day(4), actor=ANN)

    differences = compare(riding, ["run/1", "run/2"]).differences

    assert [(each.kind, each.name, each.values) for each in differences] == [
        ("data", "as of", ("-", "2013-02-04T00:00:00+00:00"))
    ]


def test_a_search_tries_on_what_was_known(riding: Project) -> None:
    train(riding, actor=ANN)
    later(riding)

    report = search(
        riding,
        SearchSettings(space={"delay.strength": [0.5, 2.0]}, workers=1),
        as_of=day(4),
        actor=ANN,
    )

    assert {run.run.refs["rides"] for run in report.runs} == {"rides@1"}
    assert {measured(run) for run in report.runs} == {(2, 11.0)}


def test_what_was_not_there_yet_cannot_be_run_on(riding: Project) -> None:
    with pytest.raises(NotFound) as refused:
        train(riding, as_of=day(2), actor=ANN)

    assert str(refused.value) == ("no dataset 'flights'\n  hint: known: rides")


def test_production_had_shown_nothing_before_it_did(released: Project) -> None:
    before = train(released, actor=ANN)
    begun = released.clock.now()
    live(released, 5)
    collect(released)
    move(released, HOUR)
    curate(released, actor=ANN)
    with_rows = train(released, actor=ANN)

    again = train(released, as_of=begun, actor=ANN)

    assert with_rows.run.refs["labelled"] == "labelled@1"
    assert again.run.refs["labelled"] == "labelled@empty"
    assert again.run.outputs == before.run.outputs


# --- what production showed -----------------------------------------------------------------


def same_as(project: Project, version: DatasetVersion, rebuilt: Curated) -> bool:
    """Whether rows are, to the byte, those of a version."""
    return snapshot_frame(project.files, rebuilt.rows, source="a test").content == version.content


def test_a_curated_version_is_rebuilt_to_the_byte(released: Project) -> None:
    ids = live(released, 6, n_labelled=4)
    collect(released)
    first = curate(released, actor=ANN)
    then = released.clock.now()
    move(released, HOUR)
    flipped = [{"prediction_id": name, "value": 1.0} for name in ids]  # corrections, and late ones
    label(released, rows=flipped, actor=EVE)
    live(released, 3, seed=2)
    collect(released)
    second = curate(released, actor=ANN)

    assert (first.n_rows, second.n_rows) == (4, 9)
    assert same_as(released, first, curated_at(released, then))
    assert same_as(released, second, curated_at(released, released.clock.now()))
    assert not same_as(released, first, curated_at(released, released.clock.now()))


def crown_one_that_asks_for_rain(released: Project) -> None:
    """Put delay/2 in charge, whose requests have one field more."""
    at = released.clock.now()
    with released.database.write() as connection:
        version = rows.get(connection, ModelVersion, "delay", 1)
        contract = released.blobs.get_record(version.contract, Contract)
        fields = (*contract.fields, Field("rain", "number", nullable=True))
        wider = released.blobs.put_record(msgspec.structs.replace(contract, fields=fields))
        rows.insert(connection, msgspec.structs.replace(version, number=2, contract=wider))
        release = rows.find(connection, Release, environment="production")[0]
        move_champion(
            connection,
            msgspec.structs.replace(release, version=2),
            environments=released.settings.environments,
            by=ANN,
            at=at,
        )


def test_rows_are_rebuilt_under_the_contract_of_the_version_that_was_in_charge(
    released: Project,
) -> None:
    """A later champion may ask for more; the rows of then have the columns of then."""
    live(released, 4)
    collect(released)
    first = curate(released, actor=ANN)
    then = released.clock.now()
    move(released, HOUR)
    crown_one_that_asks_for_rain(released)

    assert same_as(released, first, curated_at(released, then))
    assert "rain" in curated_at(released, released.clock.now()).rows.columns


def test_before_anything_was_in_charge_production_had_shown_nothing(released: Project) -> None:
    with pytest.raises(NotFound) as refused:
        curated_at(released, BEGIN - HOUR)

    assert str(refused.value) == (
        "no version of delay was in charge on 2013-01-31 23:00:00+00:00,"
        " so production had shown nothing\n"
        "  hint: cd4ml release list shows since when one is"
    )


# --- looking --------------------------------------------------------------------------------


def test_a_dataset_is_shown_as_it_was(riding: Project) -> None:
    later(riding)

    then = show_dataset(riding, "rides", as_of=day(4))
    inside = show_dataset(riding, "rides@2", as_of=day(4))

    assert (then.version.ref, then.n_known) == ("rides@1", 2)
    assert (inside.version.ref, inside.n_known) == ("rides@2", 3)
    assert show_dataset(riding, "rides").n_known is None


def test_a_dataset_without_arrival_times_was_known_when_it_was_published(
    project: Project,
) -> None:
    train(project, actor=ANN)

    known = input_at(project, "flights", project.clock.now())

    assert (known.ref, known.scan().collect().height) == ("flights@1", 600)
    assert known.digest == show_dataset(project, "flights").version.digest
    assert show_dataset(project, "flights", as_of=project.clock.now()).n_known == 600


def test_a_dataset_without_a_contract_was_known_when_it_was_published(project: Project) -> None:
    plain = change(project, 'contract = "contracts:Flights"\n', "")
    train(plain, actor=ANN)

    assert input_at(plain, "flights", plain.clock.now()).scan().collect().height == 600
