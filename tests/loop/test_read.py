"""A dataset is read from anywhere, by whatever reads Parquet or Arrow."""

import os
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

import cd4ml
from cd4ml.errors import Corrupted, InvalidInput, NotFound, ProjectNotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.ingest import ingest
from cd4ml.loop.read import OpenDataset
from cd4ml.loop.refs import moment_in
from tests.loop.world import ANN, BEGIN, DAY, move, move_to

RIDES = """

from cd4ml import Contract

Rides = Contract(
    name="rides",
    fields=(
        Field("ride", "integer"),
        Field("left_at", "datetime"),
        Field("seen_at", "datetime"),
        Field("km", "number"),
    ),
    key=("ride",),
    event_time="left_at",
    arrival_time="seen_at",
)
"""


def day(number: int) -> datetime:
    """Midnight in February; the project's clock begins on the first."""
    return datetime(2013, 2, number, tzinfo=UTC)


def rides(*given: tuple[int, int, float]) -> pl.DataFrame:
    """Rows of (ride, day it was seen, km)."""
    return pl.DataFrame(
        [(ride, BEGIN, day(seen), km) for ride, seen, km in given],
        schema={
            "ride": pl.Int64,
            "left_at": pl.Datetime("us", "UTC"),
            "seen_at": pl.Datetime("us", "UTC"),
            "km": pl.Float64,
        },
        orient="row",
    )


def with_rides(project: Project) -> Project:
    """The project with a dataset `rides` that has a file a day it was added on."""
    settings = project.folder / "cd4ml.toml"
    added = '[data.rides]\npath = "data/rides/*.parquet"\ncontract = "contracts:Rides"\n\n[model]'
    settings.write_text(settings.read_text().replace("[model]", added, 1))
    contracts = project.folder / "contracts.py"
    contracts.write_text(contracts.read_text() + RIDES)
    (project.folder / "data" / "rides").mkdir()
    return open_project(project.folder)


def add_rides(project: Project, number: int, *given: tuple[int, int, float]) -> None:
    """On a day of February: another file, and a version with it."""
    move_to(project, day(number))
    rides(*given).write_parquet(project.folder / "data" / "rides" / f"{number:02}.parquet")
    ingest(project, "rides", actor=ANN)


@pytest.fixture
def riding(project: Project) -> Project:
    """Two versions: on the 3rd two rides, on the 5th a correction, a late and a new one."""
    riding = with_rides(project)
    add_rides(riding, 3, (1, 2, 9.0), (2, 3, 2.0))
    add_rides(riding, 5, (1, 4, 8.0), (3, 5, 3.0))
    return riding


def km(opened: OpenDataset, *, history: bool = False) -> list[float]:
    found: list[float] = opened.scan(history=history).collect()["km"].to_list()
    return found


def test_the_newest_version_is_read_without_its_number(riding: Project) -> None:
    rides = cd4ml.dataset("rides", project=riding.folder)

    assert rides.version.ref == "rides@2"
    assert km(rides) == [9.0, 2.0, 8.0, 3.0]
    assert repr(rides) == "<rides@2: 4 rows, 2 files, 2013-02-05 00:00 UTC>"


@pytest.mark.parametrize("ref", ["rides@1", "rides@v1"])
def test_a_version_is_read_by_its_number(riding: Project, ref: str) -> None:
    assert km(cd4ml.dataset(ref, project=str(riding.folder))) == [9.0, 2.0]


@pytest.mark.parametrize(
    ("as_of", "ref", "known"),
    [
        (day(3), "rides@1", [9.0, 2.0]),
        (day(5) - timedelta(seconds=1), "rides@1", [9.0, 2.0]),
        (day(5), "rides@2", [2.0, 8.0, 3.0]),
        ("2013-02-04", "rides@1", [9.0, 2.0]),
        ("2013-02-05T00:00:00Z", "rides@2", [2.0, 8.0, 3.0]),
        (date(2013, 2, 9), "rides@2", [2.0, 8.0, 3.0]),
    ],
)
def test_a_moment_gives_the_version_and_the_rows_of_then(
    riding: Project, as_of: datetime | date | str, ref: str, known: list[float]
) -> None:
    rides = cd4ml.dataset("rides", as_of=as_of, project=riding.folder)

    assert (rides.version.ref, km(rides)) == (ref, known)


def test_a_version_with_a_number_is_read_as_its_rows_had_arrived(riding: Project) -> None:
    """Also before it was published: its own arrival times say what was known."""
    opened = [
        cd4ml.dataset("rides@2", as_of=day(n), project=riding.folder) for n in (1, 2, 3, 4, 5)
    ]

    assert [km(each) for each in opened] == [[], [9.0], [9.0, 2.0], [2.0, 8.0], [2.0, 8.0, 3.0]]
    assert km(opened[3], history=True) == [9.0, 2.0, 8.0]
    assert repr(opened[0]) == (
        "<rides@2: 4 rows, 2 files, 2013-02-05 00:00 UTC as of 2013-02-01T00:00:00+00:00>"
    )


def test_it_finds_the_project_above(riding: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    below = riding.folder / "notebooks" / "ann"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)

    assert cd4ml.dataset("rides").version.ref == "rides@2"


def test_it_finds_the_project_that_the_environment_names(
    riding: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(ProjectNotFound):
        cd4ml.dataset("rides")

    monkeypatch.setenv("CD4ML_PROJECT", str(riding.folder))

    assert cd4ml.dataset("rides").version.ref == "rides@2"


def test_duckdb_reads_the_files_without_us(riding: Project) -> None:
    paths = cd4ml.dataset("rides@2", project=riding.folder).paths()

    with duckdb.connect() as connection:
        query = "SELECT count(*), sum(km) FROM read_parquet(?)"
        found = connection.execute(query, [[str(path) for path in paths]]).fetchall()

    assert found == [(4, 22.0)]


def test_duckdb_reads_what_was_known_through_arrow(riding: Project) -> None:
    known = cd4ml.dataset("rides", as_of=day(5), project=riding.folder).scan().collect()

    with duckdb.connect() as connection:
        found = connection.execute("SELECT ride, km FROM known ORDER BY ride").fetchall()

    assert known.to_arrow().num_rows == 3
    assert found == [(1, 8.0), (2, 2.0), (3, 3.0)]


def test_files_are_found_by_their_own_names(riding: Project) -> None:
    files = cd4ml.dataset("rides@2", project=riding.folder).files()

    assert list(files) == ["data/rides/03.parquet", "data/rides/05.parquet"]
    assert pl.read_parquet(files["data/rides/05.parquet"])["ride"].to_list() == [1, 3]


def test_files_are_not_given_out_for_a_moment_whose_future_they_hold(riding: Project) -> None:
    rides = cd4ml.dataset("rides@2", as_of=day(4), project=riding.folder)

    with pytest.raises(InvalidInput) as refused:
        rides.paths()

    assert str(refused.value) == (
        "the files of rides@2 hold whatever arrived, not only what was known on"
        " 2013-02-04T00:00:00+00:00\n"
        "  hint: scan() reads what was known; .sink_parquet(...) writes it"
    )


def test_files_without_arrival_times_are_given_out_for_a_moment(project: Project) -> None:
    ingest(project, "flights", actor=ANN)

    flights = cd4ml.dataset("flights", as_of=BEGIN, project=project.folder)

    assert [path.read_bytes()[:7] for path in flights.paths()] == [b"carrier"]
    assert flights.scan().collect().height == 600
    assert flights.contract is not None
    assert flights.contract.name == "flights"


def test_a_dataset_without_a_contract_is_read_as_it_is(project: Project) -> None:
    ingest(project, "plain", path="data/flights.csv", actor=ANN)
    move(project, DAY)

    plain = cd4ml.dataset("plain", as_of=project.clock.now(), project=project.folder)

    assert plain.contract is None
    assert plain.scan().collect().height == 600


def test_files_come_from_s3_into_the_cache(
    project: Project, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CD4ML_BLOBS", s3_url)
    with open_project(project.folder) as remote:
        ingest(remote, "flights", actor=ANN)

    flights = cd4ml.dataset("flights", project=project.folder)

    assert flights.scan().collect().height == 600
    (path,) = flights.paths()
    assert path.is_relative_to(project.folder / ".cd4ml" / "cache")


def test_a_changed_byte_is_found_before_anything_is_read(riding: Project) -> None:
    rides = cd4ml.dataset("rides@1", project=riding.folder)
    (path,) = rides.paths()
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"PAR1", b"PAR2", 1))

    for read in (rides.paths, rides.scan):
        with pytest.raises(Corrupted):
            read()


@pytest.mark.parametrize(
    ("ref", "as_of", "error", "message"),
    [
        ("rides@9", None, NotFound, "no dataset version 'rides@9'"),
        ("rides@latest", None, NotFound, "no version of 'rides' has the tag 'latest'"),
        ("walks", None, NotFound, "no dataset 'walks'"),
        ("rides", "2013-02-02", NotFound, "the dataset 'rides' had no version on 2013-02-02T00:00"),
        ("rides", "last week", InvalidInput, "expected a date or time, got 'last week'"),
    ],
)
def test_what_is_not_there_is_said(
    riding: Project, ref: str, as_of: str | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as refused:
        cd4ml.dataset(ref, as_of=as_of, project=riding.folder)

    assert str(refused.value).startswith(message)


def test_a_moment_is_in_utc_unless_it_says_otherwise() -> None:
    assert moment_in(datetime(2013, 2, 3, 4)) == datetime(2013, 2, 3, 4, tzinfo=UTC)  # noqa: DTZ001
    assert moment_in(date(2013, 2, 3)) == day(3)
    assert moment_in("2013-02-03T01:00+01:00") == day(3)
    with pytest.raises(InvalidInput, match="expected a date or time, got 5"):
        moment_in(5)  # type: ignore[arg-type]


def test_a_script_reads_it_in_a_fresh_process(riding: Project) -> None:
    """As a notebook would: nothing imported but cd4ml."""
    program = textwrap.dedent("""
        import cd4ml
        rides = cd4ml.dataset("rides", as_of="2013-02-05")
        print(rides)
        print(rides.scan().select("ride", "km").collect().rows())
    """)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=riding.folder / "data",
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == [
        "<rides@2: 4 rows, 2 files, 2013-02-05 00:00 UTC as of 2013-02-05T00:00:00+00:00>",
        "[(2, 2.0), (1, 8.0), (3, 3.0)]",
    ]
