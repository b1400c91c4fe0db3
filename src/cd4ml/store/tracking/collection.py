"""Journals taken into the database.

Who collects a journal writes down in the same transaction how far it was read, so that every
line counts exactly once, whoever dies and however many collect at once.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cd4ml.records.log_file import LogMark
from cd4ml.records.point import Point
from cd4ml.records.run import Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.records.run_input import RunInput
from cd4ml.store import rows
from cd4ml.store.segment_files import complete_lines, remove_if_abandoned, segments_in
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking.journal import Entry, encoded
from cd4ml.store.tracking.logged import log_artifacts, log_inputs, log_metrics, log_parameters
from cd4ml.store.tracking.runs import change_run
from cd4ml.store.tracking.times import moment_of

if TYPE_CHECKING:
    import sqlalchemy as sa

    from cd4ml.store.database import Database

_MARKS = TABLES[LogMark]
_LOG = "logged"  # under which the marks stand
_BATCH_BYTES = 8 * 2**20  # in one transaction
_WORDS = {"nan": nan, "inf": inf, "-inf": -inf}
_DECODER = msgspec.json.Decoder(Entry)


def collect(
    database: Database, folder: Path, *, prefix: str = "", only_abandoned: bool = False
) -> int:
    """Take the lines of journals into the database; returns how many there were.

    Any number of processes may collect at once. Journals whose writer is gone are removed when
    they are empty. A line of a run that is not there is set aside, in a file beside the journal.

    Args:
        database: Where to.
        folder: Where the journals are.
        prefix: Only those whose name begins so.
        only_abandoned: Leave alone what somebody is still writing to.
    """
    return sum(
        _drain(database, path)
        for path in segments_in(folder)
        if path.name.startswith(prefix) and not (only_abandoned and is_held(path))
    )


def _drain(database: Database, path: Path) -> int:
    with database.read() as connection:
        position = _mark(connection, path)
    n_lines = 0
    while data := _next(path, position):
        entries, bad = _decoded(data)
        with database.write() as connection:
            # who was faster has taken the lines, and may have removed the journal and its mark
            if not path.exists() or _mark(connection, path) != position:
                return n_lines
            homeless = _take(connection, entries)
            position += len(data)
            rows.put(connection, LogMark(log=_LOG, name=path.name, position=position))
        _set_aside(path, [*bad, *homeless])
        n_lines += len(entries) - len(homeless)
    if remove_if_abandoned(path, position):
        _forget(database, path, position)
    return n_lines


def _next(path: Path, position: int) -> bytes:
    data = complete_lines(path, position)
    if len(data) <= _BATCH_BYTES:
        return data
    end = data.rfind(b"\n", 0, _BATCH_BYTES) + 1
    return data[: end or data.find(b"\n") + 1]


def _decoded(data: bytes) -> tuple[list[Entry], list[bytes]]:
    try:
        return _DECODER.decode_lines(data), []
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass  # some line is damaged: read them one by one
    entries, bad = [], []
    for line in data.splitlines():
        try:
            entries.append(_DECODER.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            bad.append(line)
    return entries, bad


def _take(connection: sa.Connection, entries: list[Entry]) -> list[bytes]:
    """Write entries down; returns those of runs that are not there."""
    by_run: dict[int, list[Entry]] = {}
    for entry in entries:
        by_run.setdefault(entry.run, []).append(entry)
    homeless = []
    for number, mine in by_run.items():
        run = rows.find(connection, Run, number=number)
        if run:
            _log(connection, run[0], mine)
        else:
            homeless += [encoded(entry) for entry in mine]
    return homeless


def _log(connection: sa.Connection, run: Run, entries: list[Entry]) -> None:
    for by, points in _points(entries).items():
        log_metrics(connection, run.number, points, by=by)
    parameters = {name: value for entry in entries for name, value in entry.parameters.items()}
    if parameters:
        log_parameters(connection, run.number, parameters)
    tags = {name: value for entry in entries for name, value in entry.tags.items()}
    notes = [entry.note for entry in entries if entry.note is not None]
    if tags or notes:
        change_run(
            connection,
            run.number,
            tags=tags,
            note=notes[-1] if notes else None,
            at=moment_of(entries[-1].time_ms),
            actor=run.created_by,
        )
    log_artifacts(connection, _artifacts(entries))
    log_inputs(connection, _inputs(entries))


def _points(entries: list[Entry]) -> dict[str, list[Point]]:
    points: dict[str, list[Point]] = {}
    for entry in entries:
        if entry.metrics:
            points.setdefault(entry.by, []).extend(
                Point(
                    name,
                    _WORDS[value] if isinstance(value, str) else value,
                    entry.step,
                    entry.time_ms,
                )
                for name, value in entry.metrics.items()
            )
    return points


def _artifacts(entries: list[Entry]) -> Iterable[RunArtifact]:
    for entry in entries:
        for file in entry.files:
            yield RunArtifact(
                run=entry.run,
                path=file.path,
                address=file.address,
                n_bytes=file.n_bytes,
                logged_at=moment_of(entry.time_ms),
                by=entry.by,
            )


def _inputs(entries: list[Entry]) -> Iterable[RunInput]:
    for entry in entries:
        for each in entry.data:
            said = msgspec.structs.asdict(each)
            yield RunInput(run=entry.run, logged_at=moment_of(entry.time_ms), **said)


def is_held(path: Path) -> bool:
    """Whether a process still writes to a journal."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _mark(connection: sa.Connection, path: Path) -> int:
    found = rows.find(connection, LogMark, log=_LOG, name=path.name)
    return found[0].position if found else 0


def _forget(database: Database, path: Path, position: int) -> None:
    if position:
        with database.write() as connection:
            connection.execute(
                _MARKS.delete().where(_MARKS.c.log == _LOG, _MARKS.c.name == path.name)
            )


def _set_aside(path: Path, lines: list[bytes]) -> None:
    if lines:
        with path.with_suffix(".refused").open("ab") as file:
            file.write(b"\n".join(lines) + b"\n")
