"""One turn of everything that happens without anybody asking, by any number of processes."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from cd4ml.loop import Project, open_project
from cd4ml.loop.releases import releases
from cd4ml.loop.retrain import RETRAIN, ask
from cd4ml.loop.work import WorkReport, work, work_until
from cd4ml.records.job import Job
from cd4ml.store import jobs, rows
from tests.loop.test_evaluate import change
from tests.loop.test_retrain import stand_in
from tests.loop.test_roll_out import begin
from tests.loop.world import DAY, EVE, actions, entries, live, move


def job_of(project: Project, number: int = 1) -> Job:
    with project.database.read() as connection:
        return rows.get(connection, Job, number)


def at_once(project: Project, n: int) -> list[WorkReport]:
    """`n` workers take a turn at the same time."""
    reports: list[WorkReport] = []

    def turn(owner: str) -> None:
        with open_project(project.folder) as own:
            reports.append(work(own, owner=owner))

    threads = [threading.Thread(target=turn, args=(f"worker-{i}",)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == n
    return reports


def test_a_quiet_project_needs_nothing(released: Project) -> None:
    before = actions(released)

    report = work(released, owner="worker")

    assert report == WorkReport(collected=0, releases=(), windows=(), alerts=(), jobs=())
    assert actions(released) == before


def test_a_turn_goes_from_answers_to_the_next_candidate(released: Project) -> None:
    stand_in(released)
    live(released, 30)

    report = work(released, owner="worker")

    assert released.log.predictions().collect().height == 30
    assert len(report.windows) == 1
    (job,) = report.jobs
    assert (job.state, job.attempts, job.owner) == ("done", 1, "")
    assert job.reason == "delay/2 passed; release/3 released, release/4 rolling_out"
    assert entries(released)[-1].action == "retraining.finished"
    assert entries(released)[-1].subject == "job/1"
    assert entries(released)[-1].reason == job.reason


def test_turn_by_turn_the_loop_closes(released: Project) -> None:
    stand_in(released)
    for seed in range(1, 6):
        live(released, 30, seed=seed)
        work(released, owner="worker")

    states = {(release.version, release.state) for release in releases(released)}
    assert (1, "superseded") in states
    assert (2, "released") in states or (2, "superseded") in states


def test_two_workers_at_once_do_everything_once(released: Project) -> None:
    stand_in(released)
    live(released, 30)

    reports = at_once(released, 3)

    assert released.log.predictions().collect().height == 30
    assert sum(len(report.windows) for report in reports) == 1
    assert sum(len(report.jobs) for report in reports) == 1
    done = actions(released)
    for action in ("window.measured", "retraining.triggered", "retraining.finished"):
        assert done.count(action) == 1, action
    assert done.count("release.requested") == 4


def test_a_job_that_fails_says_why(released: Project) -> None:
    ask(released, reason="too early", actor=EVE)

    (job,) = work(released, owner="worker").jobs

    assert job.state == "failed"
    assert job.reason == (
        "none of 0 predictions of delay has come true yet\n"
        "  hint: cd4ml label FILE brings the truth"
    )
    assert entries(released)[-1].action == "retraining.failed"
    assert work(released, owner="worker").jobs == ()


def test_other_kinds_of_job_are_left_alone(released: Project) -> None:
    ask(released, reason="later", actor=EVE)

    assert work(released, owner="worker", kinds=()).jobs == ()
    assert job_of(released).state == "queued"


def claimed(project: Project, owner: str, lease_s: float) -> Job:
    with project.database.write() as connection:
        job = jobs.claim(
            connection,
            owner=owner,
            machine_time=project.clock.machine_time(),
            lease_s=lease_s,
            kinds=(RETRAIN,),
        )
    assert job is not None
    return job


def test_a_job_in_other_hands_is_left_there(released: Project) -> None:
    live(released, 5)
    ask(released, reason="new winds", actor=EVE)
    claimed(released, "another", lease_s=30)

    assert work(released, owner="worker").jobs == ()


def test_a_job_whose_owner_fell_silent_is_taken_over(released: Project) -> None:
    live(released, 5)
    ask(released, reason="new winds", actor=EVE)
    claimed(released, "another", lease_s=-1)

    (job,) = work(released, owner="worker").jobs

    assert (job.state, job.attempts) == ("done", 2)


def test_who_was_silent_for_too_long_does_not_end_the_job_of_another(
    released: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(released, 5)
    ask(released, reason="new winds", actor=EVE)
    from cd4ml.loop import work as module

    done = module.retrain

    def slowly(project: Project, job: Job) -> Any:
        report = done(project, job)
        with project.database.write() as connection:  # meanwhile its lease ran out
            past = project.clock.machine_time() - timedelta(seconds=1)
            jobs.extend(connection, job, until=past)
        claimed(project, "another", lease_s=30)
        return report

    monkeypatch.setattr(module, "retrain", slowly)

    (job,) = work(released, owner="worker").jobs

    assert (job.state, job.owner, job.attempts) == ("running", "another", 2)
    assert "retraining.finished" not in actions(released)


def test_a_job_that_ends_its_processes_is_not_tried_for_ever(released: Project) -> None:
    live(released, 5)
    ask(released, reason="new winds", actor=EVE)
    for _ in range(10):
        claimed(released, "another", lease_s=-1)

    (job,) = work(released, owner="worker").jobs

    assert job.state == "failed"
    assert job.reason == "given up: 10 processes that tried it ended before it did"


def test_a_pipeline_that_is_broken_at_the_moment_holds_up_no_rollout(released: Project) -> None:
    begin(released)
    live(released, 30)
    move(released, DAY)
    with change(released, "import polars as pl", "import polers", "pipeline.py") as broken:
        report = work(broken, owner="worker")

        assert releases(broken)[-1].step == 2
    assert report.windows  # models bring the code with them that they need
    assert {(job.kind, job.state) for job in report.jobs} == {(RETRAIN, "failed")}
    assert all(job.reason.startswith("pipeline.py:3: importing 'pip") for job in report.jobs)


def test_it_goes_on_until_it_is_told_to_stop(released: Project) -> None:
    live(released, 3)
    stop = threading.Event()
    worker = threading.Thread(
        target=work_until,
        args=(released, stop),
        kwargs={"owner": "worker", "interval_s": 0.01},
    )
    worker.start()
    try:
        for _ in range(500):
            if not released.log.predictions().collect().is_empty():
                break
            stop.wait(0.01)
    finally:
        stop.set()
        worker.join()

    assert released.log.predictions().collect().height == 3


def test_a_turn_that_fails_is_followed_by_the_next(
    released: Project, caplog: pytest.LogCaptureFixture
) -> None:
    begin(released)
    stop = threading.Event()
    with change(released, "[environments.production]", "[environments.elsewhere]") as broken:
        worker = threading.Thread(
            target=work_until, args=(broken, stop), kwargs={"owner": "w", "interval_s": 0.01}
        )
        worker.start()
        try:
            for _ in range(1000):
                if len(caplog.records) > 1:
                    break
                stop.wait(0.01)
        finally:
            stop.set()
            worker.join()

    assert caplog.records[1].getMessage().startswith("background work: no environment named")
