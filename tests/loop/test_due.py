"""Sources that are read without anybody asking: once, by whoever is there."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cd4ml.loop import Project, open_project
from cd4ml.loop.due import ask_for_due, pulls
from cd4ml.loop.ingest import show_dataset
from cd4ml.loop.retrain import RETRAIN
from cd4ml.loop.status import status
from cd4ml.loop.work import WorkReport, work, work_until
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.job import Job
from cd4ml.store import jobs, rows
from tests.data.sources.website import Site, website
from tests.loop.shop import shop
from tests.loop.test_work import at_once
from tests.loop.world import DAY, HOUR, entries, move

CSV = b"ride,station,minutes,left_at\n1,Park,7.5,2013-02-01T08:00:00Z\n"
ROW = b"2,Harbour,,2013-02-01\n"
LONG_AGO = 1_000_000_000


@pytest.fixture
def site() -> Iterator[Site]:
    with website() as opened:
        opened.serve("/rides.csv", CSV)
        yield opened


@pytest.fixture
def hourly(tmp_path: Path, site: Site) -> Iterator[Project]:
    settings = (
        f'[data.rides]\nsource = "http"\nurl = "{site.url}/rides.csv"\nevery = "hour"\n'
        'contract = "contracts:Rides"\n'
    )
    with shop(tmp_path / "shop", settings) as opened:
        yield opened


@pytest.fixture
def watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project that watches a folder, and is content with a moment's quiet."""
    monkeypatch.setattr("cd4ml.data.sources.watched.QUIET_S", 0.0)
    settings = '[data.rides]\npath = "in/*.csv"\nwatch = true\ncontract = "contracts:Rides"\n'
    with shop(tmp_path / "shop", settings) as opened:
        (opened.folder / "in").mkdir()
        yield opened


def versions(project: Project, name: str = "rides") -> list[str]:
    with project.database.read() as connection:
        return [version.ref for version in rows.find(connection, DatasetVersion, dataset=name)]


def reasons(report: WorkReport) -> list[tuple[str, str]]:
    return [(job.state, job.reason) for job in report.jobs]


def test_it_is_read_once_an_hour(hourly: Project, site: Site) -> None:
    first = work(hourly, owner="worker")
    site.serve("/rides.csv", CSV + ROW)
    same_hour = work(hourly, owner="worker")
    move(hourly, HOUR)
    next_hour = work(hourly, owner="worker")

    assert reasons(first) == [("done", "rides@1")]
    assert reasons(same_hour) == []
    assert reasons(next_hour) == [("done", "rides@2")]
    assert len(site.asked) == 2
    made = show_dataset(hourly, "rides").version
    assert made.created_by == "system"
    assert [entry.action for entry in entries(hourly)][-2:] == [
        "dataset.versioned",
        "pull.finished",
    ]


def test_hours_that_nobody_was_there_for_are_not_made_up_for(hourly: Project, site: Site) -> None:
    work(hourly, owner="worker")
    move(hourly, 10 * DAY)

    assert len(work(hourly, owner="worker").jobs) == 1


def test_of_many_workers_one_reads(hourly: Project, site: Site) -> None:
    reports = at_once(hourly, 4)

    assert sum(len(report.jobs) for report in reports) == 1
    assert len(site.asked) == 1
    assert versions(hourly) == ["rides@1"]


def test_what_fails_is_kept_shown_and_tried_again(hourly: Project, site: Site) -> None:
    site.serve("/rides.csv", b"", status=404)

    (failed,) = work(hourly, owner="worker").jobs

    said = (
        f"http {site.url}/rides.csv: the server answers 404 Not Found\n"
        "  hint: correct `url`, or `headers` if it wants to know who asks"
    )
    assert (failed.state, failed.reason) == ("failed", said)
    assert entries(hourly)[-1].action == "pull.failed"
    assert entries(hourly)[-1].reason == said
    assert work(hourly, owner="worker").jobs == ()
    move(hourly, timedelta(minutes=1))
    site.serve("/rides.csv", CSV)
    assert reasons(work(hourly, owner="worker")) == [("done", "rides@1")]
    assert [(seen.dataset, seen.job.state) for seen in pulls(hourly)] == [
        ("rides", "done"),
        ("rides", "failed"),
    ]
    assert pulls(hourly, "rides", limit=1)[0].job.state == "done"
    assert pulls(hourly, "ride") == []


def test_a_source_that_cannot_be_read_asks_for_attention(
    hourly: Project, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    work(hourly, owner="worker")
    assert status(hourly).stages[0].state == "good"
    site.serve("/rides.csv", b"", status=403)
    move(hourly, HOUR)

    work(hourly, owner="worker")

    said = f"http {site.url}/rides.csv: the server answers 403 Forbidden"
    data = status(hourly).stages[0]
    assert data.state == "attention"
    assert data.facts == (("rides", f"not read: {said}"), ("rides@1", "1 row"))
    assert caplog.records[-1].getMessage().startswith(f"job/2 pull failed: {said}")


def test_broken_rows_fail_the_pull_and_make_no_version(hourly: Project, site: Site) -> None:
    site.serve("/rides.csv", CSV + b"2,Prak,1,2013-02-01\n")

    (failed,) = work(hourly, owner="worker").jobs

    assert failed.state == "failed"
    assert "station is one of Harbour, Market, Park: 1 of 2 rows" in failed.reason
    assert versions(hourly) == []


def test_a_worker_that_was_killed_in_the_middle_is_followed_by_another(
    hourly: Project, site: Site, tmp_path: Path
) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from cd4ml.loop import open_project, pull as module, work
from cd4ml.loop.work import work as turn
work._LEASE_S = 0.1
publish = module._publish
def die(*given):
    publish(*given)
    os.kill(os.getpid(), signal.SIGKILL)
module._publish = die
with open_project(Path(sys.argv[1])) as project:
    turn(project, owner="first")
"""
    done = subprocess.run([sys.executable, "-c", program, str(hourly.folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert versions(hourly) == ["rides@1"]

    for _ in range(50):
        report = work(hourly, owner="second")
        if report.jobs:
            break
        threading.Event().wait(0.05)

    (job,) = report.jobs
    assert (job.state, job.attempts, job.reason) == ("done", 2, "rides@1")
    assert versions(hourly) == ["rides@1"]


def test_files_that_came_are_a_version_and_then_left_alone(watching: Project) -> None:
    assert ask_for_due(watching) == []
    (watching.folder / "in" / "1.csv").write_bytes(CSV)

    first = work(watching, owner="worker")
    nothing = work(watching, owner="worker")
    (watching.folder / "in" / "2.csv").write_bytes(CSV.splitlines(keepends=True)[0] + ROW)
    second = work(watching, owner="worker")

    assert reasons(first) == [("done", "rides@1")]
    assert reasons(nothing) == []
    assert reasons(second) == [("done", "rides@2")]
    assert show_dataset(watching, "rides").version.n_rows == 2


def test_files_that_are_touched_and_not_changed_make_no_version(watching: Project) -> None:
    path = watching.folder / "in" / "1.csv"
    path.write_bytes(CSV)
    work(watching, owner="worker")
    os.utime(path)

    assert reasons(work(watching, owner="worker")) == [("done", "rides@1")]
    assert versions(watching) == ["rides@1"]


def test_files_that_are_being_written_are_waited_for(
    watching: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cd4ml.data.sources.watched.QUIET_S", 30.0)
    (watching.folder / "in" / "1.csv").write_bytes(CSV[:-5])

    assert work(watching, owner="worker").jobs == ()
    assert versions(watching) == []


def test_of_many_who_watch_one_makes_the_version(watching: Project) -> None:
    (watching.folder / "in" / "1.csv").write_bytes(CSV)

    reports = at_once(watching, 4)

    assert sum(len(report.jobs) for report in reports) == 1
    assert versions(watching) == ["rides@1"]


def test_broken_files_are_shown_and_mended_ones_read(watching: Project) -> None:
    path = watching.folder / "in" / "1.csv"
    path.write_bytes(CSV.replace(b"Park", b"Prak"))

    (failed,) = work(watching, owner="worker").jobs
    again = work(watching, owner="worker")
    path.write_bytes(CSV)
    mended = work(watching, owner="worker")

    assert failed.state == "failed"
    assert "first in row 1: 'Prak'" in failed.reason
    assert again.jobs == ()
    assert reasons(mended) == [("done", "rides@1")]


def test_a_dataset_that_is_gone_from_the_settings_fails_its_job(hourly: Project) -> None:
    ask_for_due(hourly)
    (hourly.folder / "cd4ml.toml").write_text('[project]\nname = "shop"\n')

    with open_project(hourly.folder) as changed:
        (job,) = work(changed, owner="worker").jobs

    assert (job.state, job.reason) == (
        "failed",
        "no dataset named 'rides' in cd4ml.toml\n  hint: known: none",
    )


def test_a_source_that_is_slow_holds_up_nothing_else(hourly: Project, site: Site) -> None:
    released = threading.Event()
    site.answers["/rides.csv"] = lambda _: released.wait(20)
    stop = threading.Event()
    worker = threading.Thread(
        target=work_until, args=(hourly, stop), kwargs={"owner": "w", "interval_s": 0.01}
    )
    worker.start()
    try:
        while not site.asked:
            stop.wait(0.01)
        with hourly.database.write() as connection:
            jobs.ask(
                connection,
                kind=RETRAIN,
                key="now",
                payload={"reason": "spring"},
                at=hourly.clock.now(),
                actor="ann",
            )
        for _ in range(1000):
            with hourly.database.read() as connection:
                retraining = rows.get(connection, Job, 2)
            if retraining.state == "failed":
                break
            stop.wait(0.01)
    finally:
        stop.set()
        released.set()
        worker.join()

    assert retraining.reason.startswith("no version is in charge yet")
