"""Sources are read, checked, and published like any other data."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from cd4ml.errors import ConfigurationError, ContractViolated, InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.pull import newest_or_pulled, pull
from cd4ml.loop.train import train
from cd4ml.records.source_mark import SourceMark
from cd4ml.store import rows
from tests.data.sources.website import Site, website
from tests.loop.shop import ride, shop, table
from tests.loop.test_ingest import traces
from tests.loop.world import ANN, actions, entries, lay_out

SETTINGS = """\
[data.rides]
source = "sql"
connection = "sqlite:///shop.db"
query = "SELECT * FROM rides ORDER BY ride"
contract = "contracts:Rides"

[data.web]
source = "http"
url = "URL/rides.csv"
contract = "contracts:Rides"

[data.lake]
source = "delta"
path = "lake"

[data.daily]
source = "sql"
connection = "sqlite:///shop.db"
query = "SELECT * FROM rides ORDER BY ride"
every = "day"

[data.pushed]
source = "pushed"

[data.files]
path = "rides.csv"

[data.labelled]
source = "production"
"""
CSV = "ride,station,minutes,left_at\n1,Park,7.5,2013-02-01T08:00:00Z\n"


@pytest.fixture
def site() -> Iterator[Site]:
    with website() as opened:
        yield opened


@pytest.fixture
def project(tmp_path: Path, site: Site) -> Iterator[Project]:
    with shop(tmp_path / "shop", SETTINGS.replace("URL", site.url)) as opened:
        do(
            opened,
            "CREATE TABLE rides (ride INTEGER, station TEXT, minutes REAL, left_at TEXT)",
            "INSERT INTO rides VALUES (1, 'Park', 7.5, '2013-02-01T08:00:00Z')",
        )
        yield opened


def do(project: Project, *statements: str) -> None:
    with closing(sqlite3.connect(project.folder / "shop.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_query_is_a_version_until_its_rows_change(project: Project) -> None:
    first = pull(project, "rides", note="the first", actor=ANN)
    before = len(entries(project))
    again = pull(project, "rides", actor=ANN)
    do(project, "INSERT INTO rides VALUES (2, 'Harbour', NULL, '2013-02-01T09:00:00Z')")
    second = pull(project, "rides", actor=ANN)

    assert (first.ref, first.outcome, first.note, first.n_rows) == (
        "rides@1", "pass", "the first", 1
    )  # fmt: skip
    assert first.source == "sql sqlite shop.db: SELECT * FROM rides ORDER BY ride"
    assert again == first
    assert len(entries(project)) == before + 1
    assert (second.ref, second.n_rows) == ("rides@2", 2)
    assert table(project, "rides@1").height == 1
    assert actions(project)[-2:] == ["dataset.registered", "dataset.versioned"][1:] * 2


def test_adding_a_dataset_with_a_source_reads_it(project: Project) -> None:
    assert ingest(project, "rides", actor=ANN) == pull(project, "rides", actor=ANN)


def test_files_are_pulled_as_they_are_added(project: Project) -> None:
    (project.folder / "rides.csv").write_text(CSV)

    assert pull(project, "files", actor=ANN).source == "rides.csv"


def test_broken_rows_are_refused_whole_and_leave_no_trace(project: Project) -> None:
    pull(project, "rides", actor=ANN)
    do(project, "INSERT INTO rides VALUES (2, 'Prak', 2000, '2013-02-01T09:00:00Z')")
    before = traces(project)

    with pytest.raises(ContractViolated) as refused:
        pull(project, "rides", actor=ANN)

    assert str(refused.value) == (
        "sql sqlite shop.db: SELECT * FROM rides ORDER BY ride: part-*.parquet breaks 2 of 14"
        " rules of the contract Rides 1.0.0\n"
        "  - station is one of Harbour, Market, Park: 1 of 2 rows, first in row 2: 'Prak'\n"
        "  - minutes at most 1440: 1 of 2 rows, first in row 2: 2000.0\n"
        "  hint: correct the rows; or change the contract, as a new version"
    )
    assert traces(project) == before
    assert list((project.state / "arrivals").glob("*/")) == []


def test_a_column_that_is_not_there_is_refused_and_leaves_no_rows(project: Project) -> None:
    file = project.folder / "cd4ml.toml"
    file.write_text(
        file.read_text().replace("[data.rides]\n", '[data.rides]\npersonal = ["statoin"]\n')
    )
    with open_project(project.folder) as opened:
        before = entries(opened), list(opened.files.objects.list())

        with pytest.raises(ConfigurationError, match="rides has no column 'statoin'"):
            pull(opened, "rides", actor=ANN)

        assert (entries(opened), list(opened.files.objects.list())) == before


def test_an_address_is_asked_whether_it_changed(project: Project, site: Site) -> None:
    site.serve("/rides.csv", CSV.encode(), etag='"1"')
    first = pull(project, "web", actor=ANN)

    again = pull(project, "web", actor=ANN)

    assert again == first
    assert [headers.get("if-none-match") for _, headers in site.asked] == [None, '"1"']
    site.serve("/rides.csv", (CSV + "2,Park,1,2013-02-01\n").encode(), etag='"2"')
    assert pull(project, "web", actor=ANN).ref == "web@2"


def test_under_another_contract_it_is_read_again(project: Project, site: Site) -> None:
    site.serve("/rides.csv", CSV.encode(), etag='"1"')
    pull(project, "web", actor=ANN)
    contracts = project.folder / "contracts.py"
    contracts.write_text(contracts.read_text().replace("1440", "600"))

    with open_project(project.folder) as changed:
        version = pull(changed, "web", actor=ANN)

    assert version.ref == "web@2"
    assert site.asked[-1][1].get("if-none-match") is None


def test_bytes_that_were_lost_are_fetched_again(project: Project, site: Site) -> None:
    site.serve("/rides.csv", CSV.encode(), etag='"1"')
    first = pull(project, "web", actor=ANN)
    shutil.rmtree(project.state / "blobs")
    (project.state / "blobs").mkdir()

    assert pull(project, "web", actor=ANN) == first
    assert table(project, "web").height == 1


def test_a_server_that_has_nothing_new_to_who_has_nothing_is_wrong(
    project: Project, site: Site
) -> None:
    site.answers["/rides.csv"] = lambda handler: (handler.send_response(304), handler.end_headers())  # type: ignore[func-returns-value]

    with pytest.raises(InvalidInput) as refused:
        pull(project, "web", actor=ANN)

    assert str(refused.value) == (
        "the source says that nothing changed, and nobody asked it that\n"
        "  hint: it answers requests wrongly (HTTP 304)"
    )


def test_a_delta_table_is_a_version_that_says_which(project: Project) -> None:
    place = str(project.folder / "lake")
    write_deltalake(place, pl.DataFrame([ride(1)]).to_arrow())
    write_deltalake(place, pl.DataFrame([ride(2)]).to_arrow(), mode="append")

    version = pull(project, "lake", actor=ANN)

    assert version.source == "delta lake@1"
    assert version.note == "version 1 of the Delta table"
    with project.database.read() as connection:
        mark = rows.get(connection, SourceMark, "lake")
    assert (mark.state["version"], mark.version) == ("1", 1)
    assert pull(project, "lake", actor=ANN) == version


def test_a_run_takes_the_newest_of_what_is_read_by_itself(project: Project) -> None:
    first = newest_or_pulled(project, "daily", actor=ANN)
    unscheduled = newest_or_pulled(project, "rides", actor=ANN)
    do(project, "INSERT INTO rides VALUES (2, 'Park', 1, '2013-02-01')")

    assert newest_or_pulled(project, "daily", actor=ANN) == first
    assert newest_or_pulled(project, "rides", actor=ANN).number == unscheduled.number + 1
    with pytest.raises(NotFound) as refused:
        newest_or_pulled(project, "pushed", actor=ANN)
    assert str(refused.value) == (
        "the dataset 'pushed' has no version yet\n"
        "  hint: POST /api/data/pushed/rows brings the first rows"
    )


def test_what_has_no_source_says_so(project: Project) -> None:
    for name, message in {
        "nothing": "no dataset named 'nothing' in cd4ml.toml",
        "pushed": "the rows of 'pushed' are pushed to the API, not read",
        "labelled": "the rows of 'labelled' come from production, not from files",
    }.items():
        with pytest.raises(InvalidInput) as refused:
            pull(project, name, actor=ANN)
        assert refused.value.message == message


def test_nobody_unknown_reads_a_source(project: Project, site: Site) -> None:
    with pytest.raises(NotFound, match=r"^nobody named 'mallory'"):
        pull(project, "web", actor="mallory")

    assert site.asked == []


DIES = """
import os, signal, sys
from pathlib import Path
from cd4ml.loop import open_project, pull as module
module._sifted = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with open_project(Path(sys.argv[1])) as project:
    module.pull(project, "rides", actor="ann")
"""


def test_what_a_killed_pull_left_behind_is_removed_by_the_next(project: Project) -> None:
    done = subprocess.run([sys.executable, "-c", DIES, str(project.folder)], check=False)
    assert done.returncode == -9
    place = project.state / "arrivals"
    assert len([path for path in place.iterdir() if path.is_dir()]) == 1

    version = pull(project, "rides", actor=ANN)

    assert version.ref == "rides@1"
    assert [path for path in place.iterdir() if path.is_dir()] == []
    assert len(show_dataset(project, "rides").versions) == 1


FULL = """
import resource, signal, sys
from pathlib import Path
from cd4ml.cli import main
from cd4ml.loop import open_project
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.exit(main(["data", "pull", "big", "--project", sys.argv[1], "--as", "ann"]))
"""


def test_a_full_disk_is_said_and_leaves_no_trace(project: Project) -> None:
    settings = project.folder / "cd4ml.toml"
    query = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
        " SELECT i, i * i AS j FROM n"
    )
    settings.write_text(
        f'{settings.read_text()}\n[data.big]\nsource = "sql"\nconnection = "sqlite:///shop.db"\n'
        f'query = "{query}"\n'
    )
    before = traces(project)

    done = subprocess.run(
        [sys.executable, "-c", FULL, str(project.folder)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (
        1,
        "error: 'big' cannot be read: File too large\n"
        "  hint: is there room, and may this user write here?\n",
    )
    assert traces(project) == before
    assert [path for path in (project.state / "arrivals").iterdir() if path.is_dir()] == []


def test_a_model_is_trained_on_rows_of_a_database(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    lay_out(folder)
    flights = pl.read_csv(folder / "data" / "flights.csv")
    with closing(sqlite3.connect(folder / "flights.db")) as connection, connection:
        connection.execute(f"CREATE TABLE flights ({', '.join(flights.columns)})")
        connection.executemany("INSERT INTO flights VALUES (?, ?, ?, ?, ?)", flights.rows())
    settings = folder / "cd4ml.toml"
    source = (
        'source = "sql"\nconnection = "sqlite:///flights.db"\n'
        'query = "SELECT * FROM flights ORDER BY event_at"'
    )
    settings.write_text(settings.read_text().replace('path = "data/flights.csv"', source))

    with open_project(folder) as project:
        first = train(project, actor=ANN)
        again = train(project, actor=ANN)
        version = show_dataset(project, "flights").version

    assert (version.ref, version.n_rows, version.outcome) == ("flights@1", 600, "pass")
    assert first.run.refs["flights"] == again.run.refs["flights"] == "flights@1"
    assert {step.state for step in again.steps} == {"cached"}
    assert first.metrics == again.metrics


@pytest.fixture
def sifting(project: Project) -> Iterator[Project]:
    """The project that sets the bad rows of its query and its address aside."""
    path = project.folder / "cd4ml.toml"
    more = 'contract = "contracts:Rides"\non_violation = "quarantine"'
    path.write_text(path.read_text().replace('contract = "contracts:Rides"', more))
    with open_project(project.folder) as opened:
        yield opened


def test_bad_rows_of_a_query_are_set_aside(sifting: Project) -> None:
    do(sifting, "INSERT INTO rides VALUES (2, 'Prak', 2000, '2013-02-01T09:00:00Z')")

    version = pull(sifting, "rides", actor=ANN)
    again = pull(sifting, "rides", actor=ANN)

    assert (version.ref, version.n_rows) == ("rides@1", 1)
    assert (version.quarantine, version.n_quarantined) == ("rides_quarantine@1", 1)
    assert again == version
    assert table(sifting, "rides")["ride"].to_list() == [1]
    bad = table(sifting, "rides_quarantine@1")
    assert bad.select("broken_row", "broken_rules", "station").rows() == [
        (2, ["station is one of Harbour, Market, Park", "minutes at most 1440"], "Prak")
    ]
    details = show_dataset(sifting, "rides_quarantine", actor=ANN)
    assert details.version.source == version.source
    assert details.version.digest != version.digest


def test_bad_rows_behind_an_address_are_set_aside_as_they_are_written(
    sifting: Project, site: Site
) -> None:
    body = CSV + "two,Park,7.5,2013-02-01T08:00:00Z\n"
    site.serve("/rides.csv", body.encode())

    version = pull(sifting, "web", actor=ANN)

    assert (version.n_rows, version.quarantine) == (1, "web_quarantine@1")
    assert table(sifting, "web_quarantine")["ride"].to_list() == ["two"]


def test_where_every_row_is_bad_nothing_is_stored(sifting: Project) -> None:
    do(sifting, "UPDATE rides SET minutes = 2000")
    before = traces(sifting)

    with pytest.raises(ContractViolated, match="every row of part-"):
        pull(sifting, "rides", actor=ANN)

    assert traces(sifting) == before
