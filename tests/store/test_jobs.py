import multiprocessing
import os
import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from cd4ml.errors import Conflict
from cd4ml.records.job import Job
from cd4ml.store import database as module
from cd4ml.store import jobs, rows
from cd4ml.store.clock import SystemClock
from cd4ml.store.database import Database, open_database
from tests.store.processes import at_once
from tests.store.records import NOW

LEASE_S = 30.0


def ask(database: Database, key: str = "retrain-1", **changes: Any) -> Job:
    given = {"kind": "retrain", "payload": {"reason": "drift"}, "at": NOW, "actor": "ann"}
    with database.write() as connection:
        return jobs.ask(connection, key=key, **{**given, **changes})


def claim(database: Database, owner: str, at: datetime = NOW, **changes: Any) -> Job | None:
    with database.write() as connection:
        return jobs.claim(connection, owner=owner, machine_time=at, lease_s=LEASE_S, **changes)


def claimed(database: Database, owner: str, at: datetime = NOW) -> Job:
    job = claim(database, owner, at)
    assert job is not None
    return job


def stored(database: Database, number: int = 1) -> Job:
    with database.read() as connection:
        return rows.get(connection, Job, number)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_job_waits_until_somebody_claims_it(database: Database) -> None:
    job = ask(database)

    assert job == stored(database)
    assert (job.number, job.state, job.attempts, job.payload) == (
        1,
        "queued",
        0,
        {"reason": "drift"},
    )
    taken = claimed(database, "worker-1")
    assert taken == stored(database)
    assert (taken.state, taken.owner, taken.attempts) == ("running", "worker-1", 1)
    assert taken.lease_until == after(LEASE_S)


def test_asking_twice_is_asking_once(database: Database) -> None:
    first = ask(database)

    again = ask(database, payload={"reason": "another"}, actor="bob")

    assert again == first
    assert ask(database, "retrain-2").number == 2


def ask_for_three(url: str) -> list[Job]:
    database = open_database(url)
    asked = [ask(database, f"retrain-{i}") for i in range(3)]
    database.close()
    return asked


def test_processes_that_ask_for_the_same_at_once_get_the_same_job(database_url: str) -> None:
    answers = at_once(ask_for_three, [(database_url,)] * 4)

    assert answers == [answers[0]] * 4
    assert sorted(job.number for job in answers[0]) == [1, 2, 3]


def claim_all(url: str, owner: str) -> list[int]:
    database = open_database(url)
    numbers = []
    while job := claim(database, owner):
        assert job.owner == owner
        numbers.append(job.number)
    database.close()
    return numbers


def test_processes_that_claim_at_once_get_each_job_once(database_url: str) -> None:
    database = open_database(database_url)
    for i in range(40):
        ask(database, f"retrain-{i}")
    database.close()

    taken = at_once(claim_all, [(database_url, f"worker-{i}") for i in range(4)])

    assert sorted(number for some in taken for number in some) == list(range(1, 41))


def test_the_oldest_job_of_the_wanted_kinds_is_taken_first(database: Database) -> None:
    for key, kind in (("a", "train"), ("b", "retrain"), ("c", "watch"), ("d", "retrain")):
        ask(database, key, kind=kind)

    order = [claim(database, "worker", kinds=("retrain", "watch")) for _ in range(4)]

    assert [job.key if job else None for job in order] == ["b", "c", "d", None]
    assert claimed(database, "worker").key == "a"


def test_nothing_to_do_is_none(database: Database) -> None:
    assert claim(database, "worker") is None


def test_a_job_is_taken_over_only_when_its_lease_has_run_out(database: Database) -> None:
    ask(database)
    claimed(database, "silent")

    assert claim(database, "other", after(LEASE_S)) is None
    taken = claimed(database, "other", after(LEASE_S + 0.001))

    assert (taken.owner, taken.attempts) == ("other", 2)
    assert taken.lease_until == after(2 * LEASE_S + 0.001)


def test_a_lease_can_be_extended_by_its_owner(database: Database) -> None:
    ask(database)
    job = claimed(database, "worker")

    with database.write() as connection:
        jobs.extend(connection, job, until=after(100))

    assert claim(database, "other", after(99)) is None
    assert claimed(database, "other", after(101)).owner == "other"


@pytest.mark.parametrize("end", ["extend", "finish", "fail"])
def test_an_owner_that_was_taken_over_may_not_touch_the_job(database: Database, end: str) -> None:
    ask(database)
    late = claimed(database, "late")
    claimed(database, "quick", after(60))
    before = stored(database)

    with database.write() as connection, pytest.raises(Conflict) as refused:
        touch(connection, end, late)

    assert stored(database) == before
    assert str(refused.value) == (
        "job/1 is not late's any more: quick has taken it over\n"
        "  hint: the lease had run out; what the other process does counts"
    )


def touch(connection: Any, how: str, job: Job) -> None:
    if how == "extend":
        jobs.extend(connection, job, until=after(1000))
    elif how == "finish":
        jobs.finish(connection, job, at=NOW)
    else:
        jobs.fail(connection, job, at=NOW, reason="out of memory")


def test_a_process_that_takes_over_from_its_own_past_is_another_owner(database: Database) -> None:
    """A worker that hung and came back must not end what it began anew."""
    ask(database)
    before = claimed(database, "worker")
    claimed(database, "worker", after(60))

    with database.write() as connection, pytest.raises(Conflict, match="worker has taken it over"):
        jobs.finish(connection, before, at=NOW)


def test_a_finished_job_is_done_for_good(database: Database) -> None:
    ask(database)
    job = claimed(database, "worker")

    with database.write() as connection:
        ended = jobs.finish(connection, job, at=after(5), reason="champion is delay/2")

    assert ended == stored(database)
    assert (ended.state, ended.finished_at, ended.reason) == (
        "done",
        after(5),
        "champion is delay/2",
    )
    assert (ended.owner, ended.lease_until) == ("", None)
    assert claim(database, "other", after(1000)) is None
    assert ask(database).state == "done"
    with (
        database.write() as connection,
        pytest.raises(Conflict, match="worker's any more: it is done"),
    ):
        jobs.finish(connection, job, at=after(6))


def test_a_job_that_failed_is_queued_again_unless_that_is_final(database: Database) -> None:
    ask(database)
    with database.write() as connection:
        job = jobs.claim(connection, owner="worker", machine_time=NOW)
        assert job is not None
        queued = jobs.fail(connection, job, at=NOW, reason="no rows yet", is_final=False)
    assert (queued.state, queued.reason, queued.finished_at) == ("queued", "no rows yet", None)

    again = claimed(database, "worker")
    assert again.attempts == 2
    with database.write() as connection:
        failed = jobs.fail(connection, again, at=after(9), reason="lost: \0\udcff")

    assert (failed.state, failed.reason, failed.finished_at) == ("failed", "lost: ��", after(9))
    assert claim(database, "other", after(1000)) is None


def test_the_heartbeat_of_a_long_job_keeps_others_off_until_the_work_ends(
    database: Database,
) -> None:
    ask(database)
    clock = SystemClock()
    job = claimed(database, "worker", clock.machine_time() - timedelta(seconds=LEASE_S - 1))

    with jobs.heartbeat(database, job, clock, lease_s=1.5):
        time.sleep(1.2)
        assert claim(database, "other", clock.machine_time()) is None
    until = stored(database).lease_until

    time.sleep(0.6)
    assert stored(database).lease_until == until
    assert claimed(database, "other", after(10**9)).owner == "other"


def test_the_heartbeat_does_not_steal_a_job_back(database: Database) -> None:
    ask(database)
    clock = SystemClock()
    job = claimed(database, "late", clock.machine_time() - timedelta(minutes=5))
    claimed(database, "quick", clock.machine_time())
    before = stored(database)

    with jobs.heartbeat(database, job, clock, lease_s=0.06):
        time.sleep(0.1)

    assert stored(database) == before


def test_the_heartbeat_outlasts_a_database_that_does_not_answer_for_a_while(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.05)
    database, clock = open_database(database_url), SystemClock()
    ask(database)
    job = claimed(database, "worker", clock.machine_time())

    with jobs.heartbeat(database, job, clock, lease_s=0.06):
        with database.write():  # as long as somebody else writes, it cannot
            time.sleep(0.3)
        deadline = time.monotonic() + 10
        while stored(database).lease_until == job.lease_until:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    database.close()


def claim_and_hang(url: str) -> None:
    database = open_database(url)
    claimed(database, "killed", SystemClock().machine_time() - timedelta(seconds=LEASE_S - 0.3))
    os.kill(os.getpid(), 9)


@pytest.mark.crash
def test_a_job_that_a_killed_process_held_is_free_again_when_its_lease_runs_out(
    database_url: str,
) -> None:
    database, clock = open_database(database_url), SystemClock()
    ask(database)
    killed = multiprocessing.get_context("forkserver").Process(
        target=claim_and_hang, args=(database_url,)
    )
    killed.start()
    killed.join()

    assert killed.exitcode == -9
    deadline = time.monotonic() + 10
    while (job := claim(database, "next", clock.machine_time())) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (job.owner, job.attempts) == ("next", 2)
    database.close()
