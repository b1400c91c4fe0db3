"""What other processes do in the tests of races and crashes.

They are forked from one server that has imported everything, so that starting one takes
milliseconds.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

import sqlalchemy as sa

from cd4ml.errors import Conflict
from cd4ml.records.actor import Actor
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import ENDED, Release
from cd4ml.release import approvals, requests, reversals
from cd4ml.release.reconcile import reconcile
from cd4ml.store import rows
from cd4ml.store.database import Database, open_database
from tests.release.builders import ALONE, ANA, ENOUGH, MACHINE, NOW, PRODUCTION, RUTH, tick

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])

Act = Callable[[sa.Connection], object]
_PATIENCE_S = 60


def request(connection: sa.Connection) -> Release:
    version = rows.get(connection, ModelVersion, "delay", 2)
    return requests.request_release(
        connection, version, environment="production", environments=ALONE, by=ANA, at=NOW
    )


def approve(connection: sa.Connection, by: Actor = RUTH) -> None:
    release = rows.get(connection, Release, 2)
    approvals.approve(
        connection, 2, subject=release.content, settings=PRODUCTION, by=by, reason="", at=NOW
    )


def advance(connection: sa.Connection) -> Release:
    release = rows.get(connection, Release, 2)
    return reconcile(
        connection, release, environments=ALONE, evidence=ENOUGH, now=NOW, actor=MACHINE.name
    )


def undo(connection: sa.Connection) -> Release:
    return reversals.undo(connection, 2, environments=ALONE, by=RUTH, reason="", at=NOW)


# From the request to the undo, one transaction after the other.
PATH: tuple[Act, ...] = (request, approve, advance, advance, advance, advance, advance, undo)


def die(url: str, act: Act, *, is_committed: bool) -> NoReturn:
    """Do it, and be killed: before the end of the transaction, or right after it."""
    with open_database(url).write() as connection:
        act(connection)
        if not is_committed:
            os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def settle(url: str, number: int, start: Any) -> None:
    """Reconcile until the release has arrived or ended, as fast as it goes."""
    database = open_database(url)
    start.wait(_PATIENCE_S)
    while (release := _read(database, number)).state not in ("released", *ENDED):
        tick(database, release)


def act_at_once(url: str, act: Act, start: Any) -> None:
    """Do it together with others; coming too late is fine."""
    database = open_database(url)
    start.wait(_PATIENCE_S)
    try:
        with database.write() as connection:
            act(connection)
    except Conflict:
        return


def run(target: Callable[..., object], calls: Iterable[tuple[Any, ...]], **named: Any) -> list[int]:
    """Processes that do all calls at once; their exit codes."""
    started = [CONTEXT.Process(target=target, args=call, kwargs=named) for call in calls]
    for process in started:
        process.start()
    return [_ended(process) for process in started]


def _ended(process: BaseProcess) -> int:
    process.join(_PATIENCE_S)
    code = process.exitcode
    assert code is not None, "a process hangs"
    process.close()
    return code


def _read(database: Database, number: int) -> Release:
    with database.read() as connection:
        return rows.get(connection, Release, number)
