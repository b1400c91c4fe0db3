"""What a version looks like, and what is different between two: asked of a project."""

import msgspec
import polars as pl
import pytest

from cd4ml.data.profiles import profile_of
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.diff import diff, profile, profile_column
from cd4ml.loop.ingest import ingest
from cd4ml.records.dataset import DatasetVersion
from cd4ml.store import rows
from tests.loop.world import ANN, BEGIN, flights


def write(project: Project, table: pl.DataFrame) -> DatasetVersion:
    """Make these rows the newest version."""
    table.write_csv(project.folder / "data" / "flights.csv")
    return ingest(project, "flights", actor=ANN)


def test_a_version_is_profiled_when_it_is_made(project: Project) -> None:
    version = ingest(project, "flights", actor=ANN)

    table = profile(project, "flights")

    assert (table.ref, table.n_rows) == (version.ref, 600)
    assert [column.name for column in table.columns] == [c.name for c in version.columns]
    wind = profile_column(project, "flights@1", "wind")
    rows = pl.read_csv(project.folder / "data" / "flights.csv")["wind"]
    assert (wind.minimum, wind.maximum) == (rows.min(), rows.max())
    median = next(each for each in wind.quantiles if each.share == 0.5)
    assert median.value == pytest.approx(rows.median())


def test_the_next_version_is_counted_in_the_same_bins(project: Project) -> None:
    first = write(project, flights(500, start=BEGIN))
    second = write(project, flights(700, start=BEGIN, seed=1, stormy=True))

    old, new = (profile_of(project.blobs, version.profile) for version in (first, second))

    assert [column.bins for column in new.columns] == [column.bins for column in old.columns]


def test_a_diff_says_what_came_what_changed_and_what_moved(project: Project) -> None:
    before = flights(2000, start=BEGIN).with_columns(late=pl.lit(0.0))
    after = flights(2100, start=BEGIN, stormy=False)
    after = after.with_columns(
        before.extend(after[2000:])["carrier", "distance", "event_at"],
        wind=pl.col("wind") + 30.0,
        late=pl.lit(0.0),
    )
    write(project, before[:2000])
    write(project, after)

    found = diff(project, "flights@1", "flights@2", key=["event_at"], actor=ANN)

    assert (found.before, found.after) == ("flights@1", "flights@2")
    assert (found.files.n_changed, found.files.listed[0].path) == (1, "data/flights.csv")
    assert found.columns == ()
    assert found.rows is not None
    assert (found.rows.n_added, found.rows.n_removed, found.rows.n_changed) == (100, 0, 2000)
    assert found.rows.changed_in == (("wind", 2000),)
    assert {each.column: each.outcome for each in found.shifts} == {
        "carrier": "quiet",
        "distance": "quiet",
        "wind": "alarm",
        "event_at": "not judged",
        "late": "quiet",
    }
    msgspec.json.encode(found)


def test_a_version_does_not_differ_from_itself(project: Project) -> None:
    ingest(project, "flights", actor=ANN)

    found = diff(project, "flights", "flights@1", actor=ANN)

    assert found.is_empty
    assert found.rows is not None
    assert (found.rows.key, found.rows.n_same, found.rows.samples) == ((), 600, ())
    assert {each.stability for each in found.shifts if each.stability is not None} == {0.0}


def test_the_key_of_the_contract_is_the_default(project: Project) -> None:
    text = (project.folder / "contracts.py").read_text()
    keyed = text.replace('name="flights",', 'name="flights", key=("event_at",),')
    (project.folder / "keyed.py").write_text(keyed)
    settings = msgspec.structs.replace(project.settings.data["flights"], contract="keyed:Flights")
    project.settings.data["flights"] = settings
    ingest(project, "flights", actor=ANN)
    write(project, pl.read_csv(project.folder / "data" / "flights.csv")[:590])

    found = diff(project, "flights@1", "flights@2", actor=ANN)

    assert found.rows is not None
    assert (found.rows.key, found.rows.n_removed) == (("event_at",), 10)


def test_another_dataset_can_be_compared(project: Project) -> None:
    ingest(project, "flights", actor=ANN)
    flights(50, start=BEGIN).rename({"wind": "gust"}).write_parquet(
        project.folder / "data" / "other.parquet"
    )
    ingest(project, "other", path="data/other.parquet", actor=ANN)

    found = diff(project, "flights", "other", actor=ANN)

    assert found.rows is not None
    assert (found.files.n_added, found.files.n_removed) == (1, 1)
    changes = {(each.change, each.column) for each in found.columns}
    assert {("added", "gust"), ("removed", "wind")} <= changes
    assert found.rows.left_out == ("wind", "gust")


def test_a_version_without_a_profile_is_profiled_for_its_diff(project: Project) -> None:
    version = ingest(project, "flights", actor=ANN)
    write(project, flights(500, start=BEGIN, seed=3, stormy=True))
    with project.database.write() as connection:
        rows.replace(connection, msgspec.structs.replace(version, profile=""))

    found = diff(project, "flights@1", "flights@2", actor=ANN)

    assert next(each for each in found.shifts if each.column == "wind").outcome == "alarm"
    with pytest.raises(NotFound) as refused:
        profile(project, "flights@1")
    assert str(refused.value) == (
        "flights@1 has no profile\n  hint: profiles are made of tables: CSV, Parquet, NDJSON"
    )


def test_versions_that_are_no_tables_differ_in_their_files_alone(project: Project) -> None:
    version = ingest(project, "flights", actor=ANN)
    images = msgspec.structs.replace(version, number=7, columns=(), profile="")
    with project.database.write() as connection:
        rows.insert(connection, images)

    found = diff(project, "flights@1", "flights@7", actor=ANN)

    assert (found.files.n_same, found.rows, found.shifts) == (1, None, ())


def test_what_is_not_there_is_named(project: Project) -> None:
    ingest(project, "flights", actor=ANN)

    with pytest.raises(NotFound) as refused:
        diff(project, "flights@1", "flights@9", actor=ANN)
    assert refused.value.hint == "known: flights@1"
    with pytest.raises(InvalidInput) as invalid:
        diff(project, "flights@1", "flights@1", key=["ride"], actor=ANN)
    assert invalid.value.message == "the first version has no column 'ride' to be the key"
    with pytest.raises(NotFound) as refused:
        profile_column(project, "flights", "gust")
    assert str(refused.value) == (
        "flights@1 has no column 'gust'\n"
        "  hint: its columns: carrier, distance, wind, event_at, late"
    )


RIDES = """

from cd4ml import Contract

Rides = Contract(
    name="rides",
    fields=(Field("ride", "integer"), Field("seen_at", "datetime"), Field("km", "number")),
    key=("ride",),
    arrival_time="seen_at",
)
"""


def corrected(project: Project) -> Project:
    """Two versions of rides: the second corrects one of them, and brings another."""
    settings = project.folder / "cd4ml.toml"
    added = '[data.rides]\npath = "rides.csv"\ncontract = "contracts:Rides"\n\n[model]'
    settings.write_text(settings.read_text().replace("[model]", added, 1))
    contracts = project.folder / "contracts.py"
    contracts.write_text(contracts.read_text() + RIDES)
    first = "ride,seen_at,km\n1,2013-01-01,9\n2,2013-01-01,2\n"
    opened = open_project(project.folder)
    for text in (first, first + "1,2013-01-02,8\n3,2013-01-02,3\n"):
        (project.folder / "rides.csv").write_text(text)
        ingest(opened, "rides", actor=ANN)
    return opened


def test_a_corrected_row_is_a_changed_row(project: Project) -> None:
    with corrected(project) as opened:
        found = diff(opened, "rides@1", "rides@2", actor=ANN).rows

    assert found is not None
    assert (found.key, found.corrected_by) == (("ride",), "seen_at")
    assert (found.n_added, found.n_removed, found.n_changed, found.n_same) == (1, 0, 1, 1)
    assert found.n_unmatched_after == 0
    changed = next(row for row in found.samples if row.change == "changed")
    assert [(c.column, c.before, c.after) for c in changed.cells if c.column == "km"] == [
        ("km", 9.0, 8.0)
    ]


def test_every_arrival_is_compared_if_the_key_says_so(project: Project) -> None:
    with corrected(project) as opened:
        found = diff(opened, "rides@1", "rides@2", key=["ride", "seen_at"], actor=ANN).rows

    assert found is not None
    assert (found.n_added, found.n_changed, found.n_same) == (2, 0, 2)
    assert found.corrected_by == ""
