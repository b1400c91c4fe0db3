"""Note what a run depended on, so that `rerun` need not work it out.

Only what can be checked from outside is noted: the files and folders that the run read, with
the content that it read; what it asked the database; environment variables; what git
says. Where something else decided (rows that are pulled for every run, a step that is never
cached, rows whose readers are written down) there is no note.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.data.remote import is_remote
from cd4ml.errors import Cd4mlError
from cd4ml.loop.noted_files import (
    Unclear,
    code_of,
    data_of,
    git_of,
    outputs_of,
    read_beside,
    tops_of,
)
from cd4ml.loop.noted_rows import answered, plain, questions_of, refuse_unless_same, rows_of
from cd4ml.pipeline import notes, signs
from cd4ml.pipeline.dependencies import variables_of
from cd4ml.pipeline.notes import Note
from cd4ml.records.settings import PriceSettings
from cd4ml.store import bare
from cd4ml.store.bare_postgres import url_in
from cd4ml.store.project import Project

if TYPE_CHECKING:
    from cd4ml.loop.run_report import RunReport
    from cd4ml.pipeline.run import Pipeline


class Beginning(NamedTuple):
    """When a run began, by the clock of the file system, and under which key it is noted.

    `database` is SQLite's file; "" for PostgreSQL.
    """

    key: str
    begun_ns: int
    database: str


def beginning(project: Project, words: Sequence[str], actor: str) -> Beginning | None:
    """Call it before anything is read; None where nothing can be noted."""
    from cd4ml import __version__

    with suppress(OSError):
        state = str(project.state)
        # opening it takes longer than the clock's tick, in which files may just have been written
        database = str(project.database.file or "")
        begun_ns = signs.clock_ns(notes.folder_of(state))
        return Beginning(notes.key_of(state, words, actor, __version__), begun_ns, database)
    return None


def remember(
    project: Project,
    pipeline: Pipeline,
    began: Beginning,
    report: RunReport,
    pinned: Mapping[str, str],
) -> bool:
    """Note a finished run; returns whether it could be.

    Args:
        project: Whose run.
        pipeline: As it was when the run began.
        began: What `beginning` said.
        report: The run.
        pinned: Dataset name -> version, where it was not the newest.
    """
    state = str(project.state)
    try:
        note = _note(project, pipeline, began, report, pinned)
        notes.write(state, began.key, note)
    except (Unclear, OSError, *bare.ERRORS, Cd4mlError):
        with suppress(OSError):
            notes.forget(state, began.key)
        return False
    return True


def _note(
    project: Project,
    pipeline: Pipeline,
    began: Beginning,
    report: RunReport,
    pinned: Mapping[str, str],
) -> Note:
    _refuse_unclear(project, pipeline, report)
    if report.run.name or report.run.note or report.run.tags:
        raise Unclear  # what was said of this run is not said of the next one
    found = {
        **code_of(project, pipeline, began.begun_ns),
        **data_of(project, report.run, pinned),
        **outputs_of(project, report),
    }
    read = [pipeline.declared.places, *(step.beside for step in report.steps)]
    found |= read_beside(project, read, found, began.begun_ns)
    status, differing = git_of(project, pipeline, report.run)
    found |= differing
    if len(found) > notes.MOST:
        raise Unclear
    with project.database.read() as connection:
        refuse_unless_same(project, connection, report.run, pinned)
    with bare.reading(began.database or url_in(str(project.folder))) as connection:
        return Note(
            begun_ns=began.begun_ns,
            database=began.database,
            links={path: os.path.realpath(path) for path in tops_of(project, pinned)},
            signs=found,
            variables=pipeline.variables() | variables_of(step.beside for step in report.steps),
            questions=answered(connection, questions_of(project, report)),
            status=status,
            rows=rows_of(connection, report),
            report=plain(report),
        )


def _refuse_unclear(project: Project, pipeline: Pipeline, report: RunReport) -> None:
    for data in project.settings.data.values():
        is_read_anew = data.source in ("sql", "delta", "http") and not data.every
        if is_read_anew or data.readers or (data.path and is_remote(data.path)):
            raise Unclear
    contracts = [data.contract for data in project.settings.data.values()]
    for contract in (*contracts, project.settings.model.contract):
        module, colon, _ = contract.partition(":")
        if colon and not pipeline.sources.has(module.partition(".")[0]):
            raise Unclear  # code that nobody looks after
    if not all(step.is_cached for step in pipeline.graph.steps):
        raise Unclear
    if not all(step.fingerprint for step in report.steps):
        raise Unclear  # something was edited meanwhile
    if project.settings.prices != PriceSettings():
        raise Unclear  # what it costs is its own
    if project.settings.lineage.openlineage or os.environ.get("OPENLINEAGE_URL"):
        raise Unclear
