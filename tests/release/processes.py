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

import msgspec
import sqlalchemy as sa

from cd4ml.errors import Conflict
from cd4ml.records.actor import Actor
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import ENDED, Release
from cd4ml.records.settings import EmergencySettings, EnvironmentSettings
from cd4ml.release import approvals, requests, reversals, reviews
from cd4ml.release.reconcile import reconcile
from cd4ml.store import rows
from cd4ml.store.database import Database, open_database
from tests.release.builders import (
    ALONE,
    ANA,
    ENOUGH,
    MACHINE,
    NOW,
    PRODUCTION,
    RUTH,
    person,
    tick,
)

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])

Act = Callable[[sa.Connection], object]
_PATIENCE_S = 60

LEA = person("lea", "incident-lead")
URGENT = msgspec.structs.replace(PRODUCTION, emergency=EmergencySettings(roles=("incident-lead",)))
URGENTLY = {"production": URGENT}


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


def send_back(connection: sa.Connection) -> None:
    approvals.request_changes(connection, 2, settings=URGENT, by=RUTH, reason="say more", at=NOW)


def ask_again(connection: sa.Connection) -> None:
    requests.ask_again(connection, 2, settings=URGENT, by=ANA, reason="said", at=NOW)


def withdraw(connection: sa.Connection) -> None:
    requests.withdraw(connection, 2, by=ANA, reason="in an emergency now", at=NOW)


def call_emergency(connection: sa.Connection) -> None:
    version = rows.get(connection, ModelVersion, "delay", 2)
    requests.request_release(
        connection,
        version,
        environment="production",
        environments=URGENTLY,
        by=LEA,
        at=NOW,
        reason="now",
        is_emergency=True,
    )


def request_urgently(connection: sa.Connection) -> None:
    version = rows.get(connection, ModelVersion, "delay", 2)
    requests.request_release(
        connection, version, environment="production", environments=URGENTLY, by=ANA, at=NOW
    )


def advance_newest(connection: sa.Connection) -> Release:
    release = rows.find(connection, Release, newest_first=True, limit=1)[0]
    return reconcile(
        connection, release, environments=URGENTLY, evidence=None, now=NOW, actor=MACHINE.name
    )


def review(connection: sa.Connection) -> None:
    reviews.review(connection, 3, settings=URGENT, by=RUTH, reason="it was one", at=NOW)


def undo_emergency(connection: sa.Connection) -> Release:
    return reversals.undo(connection, 3, environments=URGENTLY, by=RUTH, reason="", at=NOW)


# A request that is sent back, asked for again and withdrawn; an emergency, reviewed and undone.
OTHER_PATH: tuple[Act, ...] = (
    request_urgently,
    send_back,
    advance_newest,
    ask_again,
    withdraw,
    call_emergency,
    advance_newest,
    advance_newest,
    review,
    undo_emergency,
)


def die(url: str, act: Act, *, is_committed: bool) -> NoReturn:
    """Do it, and be killed: before the end of the transaction, or right after it."""
    with open_database(url).write() as connection:
        act(connection)
        if not is_committed:
            os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def settle(
    url: str, number: int, start: Any, environments: dict[str, EnvironmentSettings] = ALONE
) -> None:
    """Reconcile until the release has arrived or ended, as fast as it goes."""
    database = open_database(url)
    start.wait(_PATIENCE_S)
    while (release := _read(database, number)).state not in ("released", *ENDED):
        tick(database, release, environments=environments)


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
