"""A search at work: whatever ends its process, no trial is lost and none that ended is repeated."""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from cd4ml.errors import Conflict
from cd4ml.experiments import ownership, search, trials
from cd4ml.experiments.search import SearchAtWork
from cd4ml.experiments.trials import DIED, new_search, settle, unfinished
from cd4ml.experiments.workers import Outcome
from cd4ml.records.run import Run
from cd4ml.records.search import Search, SearchPlan, Trial
from cd4ml.store import ledger, rows
from cd4ml.store.clock import SimulatedClock
from cd4ml.store.database import Database, open_database
from tests.experiments.attempts import NOW, attempt, recorded
from tests.experiments.plans import plan
from tests.experiments.runs import run as a_run
from tests.killing import apart, kill_at_every_step


def begin(database: Database, which: SearchPlan) -> Search:
    with database.write() as connection:
        return unfinished(connection, "key") or new_search(
            connection, which, key="key", name="", at=NOW, actor="ada"
        )


def at_work(database: Database, begun: Search, folder: Path) -> SearchAtWork:
    clock = SimulatedClock(NOW)
    return SearchAtWork(begun, database=database, clock=clock, state=folder / "state")


def at_work_after(
    first: SearchAtWork, database: Database, begun: Search, folder: Path
) -> SearchAtWork:
    first._held.end()
    return at_work(database, begun, folder)


def trials_of(database: Database) -> list[Trial]:
    with database.read() as connection:
        return rows.find(connection, Trial, search=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_a_search_tries_everything_and_says_how_it_ended(database: Database, folder: Path) -> None:
    which = plan({"step.x": [0.5, 0.9, 0.1]}, sampler="grid", n_trials=3)
    told: list[tuple[int, int]] = []

    ended = at_work(database, begin(database, which), folder).run(
        partial(attempt, folder / "notes"), progress=lambda _, n, total: told.append((n, total))
    )

    assert (ended.state, ended.reason, ended.owner) == ("finished", "all trials have ended", "")
    assert ended.spent_s > 0
    found = trials_of(database)
    assert [(t.position, t.state, t.run, t.value) for t in found] == [
        (0, "finished", 100, 0.0), (1, "finished", 101, 0.1), (2, "finished", 102, 0.2),
    ]  # fmt: skip
    assert sorted(told) == [(1, 3), (2, 3), (3, 3)] or told[-1] == (3, 3)
    with database.read() as connection:
        done, started = ledger.entries(connection, "search/1")
        assert unfinished(connection, "key") is None
    assert (started.action, started.reason) == ("search.started", "3 trials")
    assert (done.action, done.details) == ("search.finished", {"best": "run/102", "value": 0.2})


def test_a_bad_trial_is_written_down_and_the_others_go_on(database: Database, folder: Path) -> None:
    """Two raise; one kills its process, and with it those beside it, which are tried again."""
    todo = ["wait", "fail", "break", "die", "a", "b"]
    which = plan({"step.do": todo}, sampler="grid", n_trials=6)

    at_work(database, begin(database, which), folder).run(partial(attempt, folder / "notes"))

    found = trials_of(database)
    assert [(trial.state, trial.run, trial.reason) for trial in found[:4]] == [
        ("finished", 100, ""),
        ("failed", 0, "pipeline.py:7: step 'delay' failed"),
        ("failed", 0, "ValueError: unexpected"),
        ("failed", 0, DIED),
    ]
    assert [trial.state for trial in found[4:]] == ["finished", "finished"]
    assert found[3].attempts == 2


def test_a_trial_without_the_metric_has_failed() -> None:
    trial = Trial(search=1, position=0, parameters={})

    found = trials.ended_trial(plan(), trial, Outcome(run=3))

    assert (found.state, found.reason) == ("failed", "its run has no metric 'auc'")
    assert trials.ended_trial(plan(metric=""), trial, Outcome(run=3)).state == "finished"


def test_two_processes_are_not_at_work_on_one_search(database: Database, folder: Path) -> None:
    begun = begin(database, plan())
    first = at_work(database, begun, folder)
    name = first._held.name

    with pytest.raises(Conflict) as caught:
        at_work(database, begun, folder)
    with pytest.raises(Conflict):  # of another machine: no lock is seen there, but the lease
        at_work(database, begun, folder / "elsewhere")

    assert str(caught.value) == (f"{name} is at work on search/1\n  hint: cd4ml search show 1")
    for process in (first, at_work_after(first, database, begun, folder)):
        process._held.end()


def test_a_lease_that_has_run_out_lets_another_machine_go_on(
    database: Database, folder: Path
) -> None:
    begun = begin(database, plan())
    silent = at_work(database, begun, folder)
    clock = SimulatedClock(NOW)
    later = clock.machine_time() + 2 * ownership.timedelta(seconds=ownership.LEASE_S)
    with database.write() as connection:
        current = rows.get(connection, Search, 1)
        taken, held = ownership.take(
            connection, current, state=folder / "elsewhere", machine_time=later
        )
        held.end()

    with database.write() as connection:
        assert ownership.require_own(connection, taken) == taken
        rows.replace(connection, _owned_by(taken, "elsewhere:7"))
    with pytest.raises(Conflict, match=r"is not .* any more: elsewhere:7 has taken it over"):
        silent.run(partial(attempt, folder / "notes"))


def _owned_by(found: Search, owner: str) -> Search:
    return Search(**{**{n: getattr(found, n) for n in found.__struct_fields__}, "owner": owner})


@pytest.mark.parametrize(
    ("run_state", "expected"),
    [("finished", "finished"), ("running", "waiting"), ("failed", "waiting"), (None, "waiting")],
)
def test_what_was_underway_finished_if_its_run_did_else_it_waits(
    database: Database, run_state: str | None, expected: str
) -> None:
    begun = begin(database, plan(metric=""))
    with database.write() as connection:
        if run_state:
            rows.insert(connection, a_run(7, state=run_state, finished_at=NOW))
        underway = Trial(search=1, position=0, parameters={}, run=7 if run_state else 0)
        rows.insert(connection, underway)
        (found,) = settle(connection, begun)

    assert (found.state, found.run) == (expected, underway.run)
    assert trials_of(database) == [found]


def test_a_trial_that_was_taken_from_a_process_begins_no_run(database: Database) -> None:
    begin(database, plan())
    trial = Trial(search=1, position=0, parameters={}, attempts=1)
    with database.write() as connection:
        rows.insert(connection, Trial(search=1, position=0, parameters={}, attempts=2))

    def attempted() -> None:
        with database.write() as connection:
            rows.insert(connection, a_run(1, state="running"))
            trials.begin_run(connection, trial, a_run(1))

    with pytest.raises(Conflict) as caught:
        attempted()

    assert caught.value.message == "trial 0 of search/1 was taken from this process"
    with database.read() as connection:
        assert rows.find(connection, Run) == []


WATCHED = {search.__file__, ownership.__file__, trials.__file__}


def _is_watched(code: CodeType) -> bool:
    return code.co_filename in WATCHED


def kill_searches(folder: str, template: str) -> None:
    """Threads try them, so that a kill ends all at once, whatever each is at; prints how many."""
    tmp_path, sqlite_template = Path(folder), Path(template)
    n_trials = 3
    which = plan({"step.x": list(range(n_trials))}, sampler="grid", n_trials=n_trials)

    def url(n: int) -> str:
        return f"sqlite:///{tmp_path / str(n) / 'cd4ml.db'}"

    def prepare(n: int) -> Any:
        (tmp_path / str(n)).mkdir()
        (tmp_path / str(n) / "cd4ml.db").write_bytes(sqlite_template.read_bytes())
        return partial(work, n)

    def work(n: int) -> None:
        database = open_database(url(n))
        begun = begin(database, which)
        at_work(database, begun, tmp_path / str(n)).run(
            partial(recorded, url(n)), executor=ThreadPoolExecutor
        )

    def afterwards(n: int) -> None:
        work(n)
        database = open_database(url(n))
        with database.read() as connection:
            ended = rows.get(connection, Search, 1)
            found = rows.find(connection, Trial, search=1)
            runs = rows.find(connection, Run, search=1)
        finished = Counter(run.number for run in runs if run.state == "finished")
        assert ended.state == "finished", ended
        assert [trial.position for trial in found] == list(range(n_trials))
        assert {trial.state for trial in found} == {"finished"}
        assert [trial.value for trial in found] == [float(i) for i in range(n_trials)]
        # each finished run belongs to one trial, and each trial has one
        assert sorted(finished) == sorted(trial.run for trial in found)

    sys.stdout.write(
        str(kill_at_every_step(prepare, _is_watched, afterwards=afterwards, is_apart=True))
    )


@pytest.mark.crash
@pytest.mark.timeout(600)
def test_a_search_killed_at_any_step_loses_no_trial_and_repeats_none_that_ended(
    tmp_path: Path, sqlite_template: Path
) -> None:
    killed = apart(kill_searches, str(tmp_path), str(sqlite_template))

    assert int(killed) > 60
