"""Run again what has not changed since: without SQLAlchemy, Polars, or the project's own code.

`remember` has noted what a run depended on. If the same person types the same words, and all
of that is as it was, then the run that follows is known: every step from the cache, the
same metrics. It is recorded as any other. On the slightest doubt nothing is recorded, and
the run is worked out in the ordinary way.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cd4ml.errors import Cd4mlError
from cd4ml.pipeline import notes, signs
from cd4ml.pipeline.status import Asked
from cd4ml.store import bare
from cd4ml.store.bare_postgres import url_in
from cd4ml.store.clock import SystemClock, open_clock

FILE, STATE = "cd4ml.toml", ".cd4ml"


class Changed(Exception):
    """Something may not be as it was; the message says what. Nothing was recorded."""


class Again(NamedTuple):
    """A run that was recorded without working anything out.

    Attributes:
        ref: `run/number`.
        steps: Step and kind of its output, in order.
        metrics: As the run has them.
        report: All of it, as plain values of a `RunReport`.
    """

    ref: str
    steps: tuple[tuple[str, str], ...]
    metrics: dict[str, float | None]
    report: dict[str, Any]


def run_again(words: Sequence[str], *, folder: str = "", actor: str, version: str) -> Again:
    """The run that these words ask for, recorded without working anything out.

    Args:
        words: As typed, without what says who, where and in which form.
        folder: Where to look for the project; CD4ML_PROJECT or the working directory.
        actor: Who.
        version: Of cd4ml.

    Raises:
        Changed: If anything may not be as it was when `remember` noted such a run.
    """
    state = _state(folder)
    key = notes.key_of(state, words, actor, version)
    note = notes.read(state, key) if state else None
    if note is None:
        msg = "no such run was noted"
        raise Changed(msg)
    try:
        return _again(note, state, key)
    except (OSError, *bare.ERRORS, KeyError, ValueError, Cd4mlError) as error:
        raise Changed(str(error)) from error


def _again(note: notes.Note, state: str, key: str) -> Again:
    asked = Asked(os.path.dirname(state))
    try:
        begun_ns = signs.clock_ns(notes.folder_of(state))
        differs, fresh = signs.changed(note.signs, note.begun_ns)
    finally:
        status = asked.answer()
    _refuse(differs)
    _refuse(next((at for at, to in note.links.items() if os.path.realpath(at) != to), ""))
    _refuse(notes.unlike(note.variables))
    if f"{status.commit} {status.differs}" != note.status:
        _refuse("the commit, or what differs from it")
    if _is_any_running(state):
        _refuse("a run is on its way, or was interrupted")
    again = _recorded(note, note.database or url_in(os.path.dirname(state)), _now(state))
    if fresh:  # what was read need not be read the next time
        with suppress(OSError):
            kept = {**note.signs, **fresh}
            notes.write(state, key, note._replace(begun_ns=begun_ns, signs=kept))
    return again


def _now(state: str) -> datetime:
    if not os.path.exists(os.path.join(state, "clock")):
        return SystemClock().now()
    from pathlib import Path

    return open_clock(Path(state)).now()  # a rehearsal's time


def _refuse(what: str) -> None:
    if what:
        raise Changed(what)


def _is_any_running(state: str) -> bool:
    folder = os.path.join(state, "runs")
    return os.path.isdir(folder) and any(name.endswith(".lock") for name in os.listdir(folder))


def _recorded(note: notes.Note, database: str, at: datetime) -> Again:
    with bare.writing(database) as connection:
        for question in note.questions:
            answer = bare.answer_of(connection, question.statement, question.values)
            if answer != question.answer:
                _refuse(f"the answer to {question.statement} {question.values}")
        number = bare.next_number(connection, "runs")
        moment = f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
        own = _own(number, moment)
        for table, rows in note.rows.items():
            for row in rows:
                bare.insert(connection, table, {**own[table], **row})
        report = _report(note, own)
        bare.append(connection, _entry(report["run"], moment))
    return Again(
        ref=f"run/{number}",
        steps=tuple((step["step"], step["kind"]) for step in report["steps"]),
        metrics=report["metrics"],
        report=report,
    )


def _own(number: int, moment: str) -> dict[str, dict[str, Any]]:
    """By table, what is this run's own; everything else is as it was."""
    ref = f"run/{number}"
    return {
        "runs": {"number": number, "started_at": moment, "finished_at": moment},
        "step_runs": {"run": number},
        "metrics": {"run": number, "logged_at": moment},
        "run_artifacts": {"run": number},
        "nodes": {"address": ref, "name": ref, "seen_at": moment},
        "edges": {"child": ref},
    }


def _report(note: notes.Note, own: dict[str, dict[str, Any]]) -> dict[str, Any]:
    run = {**note.report["run"], **own["runs"]}
    steps = [{**step, **own["step_runs"]} for step in note.report["steps"]]
    return {**note.report, "run": run, "steps": steps}


def _entry(run: dict[str, Any], moment: str) -> dict[str, Any]:
    """What the ledger says, as `pipeline.execution` says it."""
    return {
        "at": moment,
        "actor": run["created_by"],
        "action": "run.finished",
        "subject": f"run/{run['number']}",
        "reason": "",
        "details": {"code": run["code"], "datasets": run["refs"], "outputs": run["outputs"]},
    }


def _state(folder: str) -> str:
    """The state of the project in a folder or above it; "" if there is none."""
    start = os.path.abspath(folder or os.environ.get("CD4ML_PROJECT", "."))
    while not os.path.isfile(os.path.join(start, FILE)):
        above = os.path.dirname(start)
        if above == start:
            return ""
        start = above
    return os.path.join(start, STATE)
