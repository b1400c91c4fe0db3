"""Any number of processes may move a release, and any of them may die at any moment."""

import functools
import signal
from collections.abc import Iterator

import pytest

from cd4ml.records.approval import Approval
from cd4ml.records.release import Release
from cd4ml.store import ledger, rows
from cd4ml.store.database import Database, open_database
from tests.release.builders import (
    OMAR,
    RUTH,
    UNJUDGED,
    add_version,
    approved,
    everything,
    in_charge,
    plans,
    read,
    requested,
)
from tests.release.processes import (
    CONTEXT,
    OTHER_PATH,
    PATH,
    Act,
    act_at_once,
    approve,
    die,
    request,
    run,
    settle,
)

FIVE = 5


def prepare(database: Database) -> None:
    """The first version in charge, the second there to be released."""
    in_charge(database, 1)
    with database.write() as connection:
        add_version(connection, 2)


@pytest.fixture
def undisturbed(
    sqlite_template: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Another database, for the same path with nobody disturbing it."""
    path = tmp_path_factory.mktemp("undisturbed") / "cd4ml.db"
    database = open_database(f"sqlite:///{path}")
    prepare(database)
    yield database
    database.close()


@pytest.mark.crash
@pytest.mark.parametrize(
    ("path", "states"),
    [
        (PATH, ["released", "undone"]),
        (OTHER_PATH, ["released", "withdrawn", "undone"]),
    ],
    ids=["released", "emergency"],
)
def test_killed_at_every_step_it_goes_on_and_ends_the_same(
    database: Database,
    database_url: str,
    undisturbed: Database,
    path: tuple[Act, ...],
    states: list[str],
) -> None:
    prepare(database)

    for act in path:
        before = everything(database)
        assert run(die, [(database_url, act)], is_committed=False) == [-signal.SIGKILL]
        assert everything(database) == before
        assert run(die, [(database_url, act)], is_committed=True) == [-signal.SIGKILL]
        assert everything(database) != before

    for act in path:
        with undisturbed.write() as connection:
            act(connection)
    assert everything(database) == everything(undisturbed)
    assert [read(database, number + 1).state for number in range(len(states))] == states


def test_five_processes_reconcile_one_release_and_each_transition_happens_once(
    database: Database, database_url: str, undisturbed: Database
) -> None:
    prepare(database)
    for act in PATH[:2]:
        for each in (database, undisturbed):
            with each.write() as connection:
                act(connection)
    start = CONTEXT.Barrier(FIVE)

    codes = run(settle, [(database_url, 2, start)] * FIVE)

    for act in PATH[2:-1]:
        with undisturbed.write() as connection:
            act(connection)
    assert codes == [0] * FIVE
    assert everything(database) == everything(undisturbed)
    with database.read() as connection:
        assert ledger.verify(connection) == len(ledger.entries(connection))


def test_of_releases_approved_at_once_one_rolls_out_after_the_other(
    database: Database, database_url: str
) -> None:
    in_charge(database, 1)
    for number in (2, 3, 4):
        release = requested(database, number, environments=UNJUDGED)
        approved(database, release, settings=UNJUDGED["production"])
    start = CONTEXT.Barrier(6)

    calls = [(database_url, number, start) for number in (2, 3, 4) for _ in range(2)]
    codes = run(settle, calls, environments=UNJUDGED)

    assert codes == [0] * 6
    assert sorted(read(database, number).state for number in (2, 3, 4)) == [
        "released",
        "superseded",
        "superseded",
    ]
    runs = [plan.release for plan in plans(database)[1:]]
    assert len(runs) == 12
    assert [set(runs[i : i + 4]) for i in (0, 4, 8)] == [{runs[0]}, {runs[4]}, {runs[8]}]


def test_five_who_request_the_same_at_once_make_one_release(
    database: Database, database_url: str
) -> None:
    prepare(database)
    start = CONTEXT.Barrier(FIVE)

    codes = run(act_at_once, [(database_url, request, start)] * FIVE)

    assert codes == [0] * FIVE
    with database.read() as connection:
        assert rows.count(connection, Release) == 2
    assert requested(database, 3).number == 3


def test_two_people_who_approve_at_once_are_both_heard(
    database: Database, database_url: str
) -> None:
    prepare(database)
    with database.write() as connection:
        request(connection)
    start = CONTEXT.Barrier(4)
    people = [functools.partial(approve, by=person) for person in (RUTH, OMAR)] * 2

    codes = run(act_at_once, [(database_url, act, start) for act in people])

    assert codes == [0] * 4
    with database.read() as connection:
        given = rows.find(connection, Approval, release=2)
    assert sorted(approval.decided_by for approval in given) == ["omar", "ruth"]
