"""Trials as rows: begun, ended, and found again after an interruption."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from cd4ml.errors import Conflict
from cd4ml.experiments.workers import Outcome
from cd4ml.records.run import Metric, Run
from cd4ml.records.search import Search, SearchPlan, Trial, TrialValue
from cd4ml.store import ledger, rows
from cd4ml.store.storable import printable
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection

_VALUES = TABLES[TrialValue]

DIED = "its process died: killed, out of memory, or crashed"


def unfinished(connection: Connection, key: str) -> Search | None:
    """The newest search that was asked for in these words and is not finished."""
    found = rows.find(connection, Search, key=key, newest_first=True, limit=1)
    return found[0] if found and found[0].state != "finished" else None


def new_search(
    connection: Connection, plan: SearchPlan, *, key: str, name: str, at: datetime, actor: str
) -> Search:
    """A new search, with a ledger entry that says what it tries.

    Args:
        connection: Of a write transaction.
        plan: What it tries.
        key: The digest of what was asked for.
        name: Of `[search.NAME]`; "" for none.
        at: When.
        actor: Who.
    """
    search = Search(
        number=rows.next_number(connection, Search),
        key=key,
        name=name,
        plan=plan,
        started_at=at,
        created_by=actor,
    )
    rows.insert(connection, search)
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action="search.started",
        subject=search.ref,
        reason=f"{plan.n_trials} trials",
        details={
            "space": msgspec.to_builtins(plan.space),
            "sampler": plan.sampler,
            "seed": plan.seed,
        },
    )
    return search


def end_search(
    connection: Connection, search: Search, *, reason: str, best: Trial | None, at: datetime
) -> Search:
    """Finish a search: no trial of it begins any more."""
    ended = msgspec.structs.replace(
        search, state="finished", reason=reason, owner="", lease_until=None, finished_at=at
    )
    rows.replace(connection, ended)
    ledger.append(
        connection,
        at=at,
        actor=search.created_by,
        action="search.finished",
        subject=search.ref,
        reason=reason,
        details={"best": f"run/{best.run}", "value": best.value} if best else {},
    )
    return ended


def interrupt_search(connection: Connection, search: Search, *, spent_s: float) -> Search:
    """Let go of a search; its trials that were underway will be tried when it goes on."""
    settle(connection, search)
    let_go = msgspec.structs.replace(
        search, state="interrupted", owner="", lease_until=None, spent_s=spent_s
    )
    rows.replace(connection, let_go)
    return let_go


def settle(connection: Connection, search: Search) -> list[Trial]:
    """All trials of a search of which no process is underway any more, by position.

    Whose run finished before its end was written down has finished. What else was underway
    waits to be tried again.
    """
    settled = []
    for trial in rows.find(connection, Trial, search=search.number):
        found = _settled(connection, search, trial) if trial.state == "running" else trial
        if found is not trial:
            rows.replace(connection, found)
        settled.append(found)
    return settled


def _settled(connection: Connection, search: Search, trial: Trial) -> Trial:
    run = rows.get(connection, Run, trial.run) if trial.run else None
    if run is None or run.state != "finished":
        return msgspec.structs.replace(trial, state="waiting")
    measured = rows.find(connection, Metric, run=run.number, name=search.plan.metric)
    value = measured[0].value if measured else None
    seconds = (run.finished_at - run.started_at).total_seconds() if run.finished_at else 0.0
    outcome = Outcome(run=run.number, value=value, seconds=seconds)
    return ended_trial(search.plan, trial, outcome, cost=run.cost)


def begin_run(connection: Connection, trial: Trial, run: Run) -> None:
    """Say that a run is the trial's, in the transaction that begins the run.

    Raises:
        Conflict: If the trial is not this attempt's any more: no run begins then.
    """
    current = rows.get(connection, Trial, trial.search, trial.position, lock=True)
    if (current.state, current.attempts) != ("running", trial.attempts):
        msg = f"trial {trial.position} of search/{trial.search} was taken from this process"
        raise Conflict(msg, hint="another process goes on with the search")
    rows.replace(connection, msgspec.structs.replace(current, run=run.number))
    # of an attempt that was interrupted: they would count as this one's
    connection.execute(
        _VALUES.delete().where(_VALUES.c.search == trial.search, _VALUES.c.trial == trial.position)
    )


def ended_trial(
    plan: SearchPlan, trial: Trial, outcome: Outcome, *, cost: float | None = None
) -> Trial:
    """A trial with its outcome: finished, failed, or pruned if it was that meanwhile."""
    run = outcome.run or trial.run
    changed = {"seconds": outcome.seconds, "run": run, "cost": cost}
    if outcome.reason:
        if trial.state == "pruned":
            return msgspec.structs.replace(trial, **changed)
        reason = printable(outcome.reason)
        return msgspec.structs.replace(trial, state="failed", reason=reason, **changed)
    if plan.metric and outcome.value is None:
        reason = f"its run has no metric {plan.metric!r}"
        return msgspec.structs.replace(trial, state="failed", reason=reason, **changed)
    return msgspec.structs.replace(
        trial, state="finished", value=outcome.value, reason="", **changed
    )
