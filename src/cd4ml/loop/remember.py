"""Note what a run depended on, so that `rerun` need not work it out.

Only what can be checked from outside is noted: the files and folders that the run read, with
the content that it read; what it asked the database; environment variables; what git
says. Where something else decided (rows that are pulled for every run, a step that is never
cached, rows whose readers are written down) there is no note.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cd4ml.data.files import files_of
from cd4ml.data.manifest import Manifest, manifest_of
from cd4ml.data.refs import find_version
from cd4ml.data.remote import is_remote
from cd4ml.data.versions import newest_version
from cd4ml.errors import Cd4mlError
from cd4ml.pipeline import notes, signs
from cd4ml.pipeline.dependencies import digest_of_place, places_of, variables_of
from cd4ml.pipeline.notes import Note, Question
from cd4ml.pipeline.origin import revision_for
from cd4ml.pipeline.signs import Sign
from cd4ml.pipeline.status import Asked
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.run import Run, StepRun
from cd4ml.records.settings import PriceSettings
from cd4ml.store import bare
from cd4ml.store.address import address_of
from cd4ml.store.bare_postgres import url_in
from cd4ml.store.project import FILE, Project
from cd4ml.store.settings import read_settings

if TYPE_CHECKING:
    from cd4ml.loop.run_report import RunReport
    from cd4ml.pipeline.run import Pipeline

_LOCKS = ("uv.lock", "pylock.toml", "requirements*.txt")
_ASKED = 500  # digests in one question
_OF_THE_STEP = ("step", "position", "fingerprint", "kind", "output", "beside")


class Beginning(NamedTuple):
    """When a run began, by the clock of the file system, and under which key it is noted.

    `database` is SQLite's file; "" for PostgreSQL.
    """

    key: str
    begun_ns: int
    database: str


class _Unclear(Exception):
    """Something that decides cannot be checked from outside."""


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
    except (_Unclear, OSError, *bare.ERRORS, Cd4mlError):
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
        raise _Unclear  # what was said of this run is not said of the next one
    found = {
        **_code(project, pipeline, began.begun_ns),
        **_data(project, report.run, pinned),
        **_outputs(project, report),
    }
    found |= _read_beside(project, report, found, began.begun_ns)
    status, differing = _git(project, pipeline, report.run)
    found |= differing
    if len(found) > notes.MOST:
        raise _Unclear
    with project.database.read() as connection:
        _refuse_unless_same(project, connection, report.run, pinned)
    with bare.reading(began.database or url_in(str(project.folder))) as connection:
        return Note(
            begun_ns=began.begun_ns,
            database=began.database,
            links={path: os.path.realpath(path) for path in _tops(project, pinned)},
            signs=found,
            variables=pipeline.variables() | variables_of(step.beside for step in report.steps),
            questions=_answered(connection, _questions(project, report)),
            status=status,
            rows=_rows(connection, report),
            report=_plain(report),
        )


def _refuse_unclear(project: Project, pipeline: Pipeline, report: RunReport) -> None:
    for data in project.settings.data.values():
        is_read_anew = data.source in ("sql", "delta", "http") and not data.every
        if is_read_anew or data.readers or (data.path and is_remote(data.path)):
            raise _Unclear
    contracts = [data.contract for data in project.settings.data.values()]
    for contract in (*contracts, project.settings.model.contract):
        module, colon, _ = contract.partition(":")
        if colon and not pipeline.sources.has(module.partition(".")[0]):
            raise _Unclear  # code that nobody looks after
    if not all(step.is_cached for step in pipeline.graph.steps):
        raise _Unclear
    if not all(step.fingerprint for step in report.steps):
        raise _Unclear  # something was edited meanwhile
    if project.settings.prices != PriceSettings():
        raise _Unclear  # what it costs is its own
    if project.settings.lineage.openlineage or os.environ.get("OPENLINEAGE_URL"):
        raise _Unclear


def _code(project: Project, pipeline: Pipeline, begun_ns: int) -> dict[str, Sign]:
    """The files that the pipeline was read from, and the folders that they were found in."""
    settings = project.folder / FILE
    now, before = pipeline.sources, pipeline.sources.seen
    if now.state() != before or read_settings(settings) != project.settings:
        raise _Unclear  # edited meanwhile
    found = {path: signs.sign(path, "file", digest) for path, digest in now.seen.items()}
    found[str(settings)] = signs.sign(str(settings), "file")
    for path in (*_contract_files(project), *_lock_files(project.folder)):
        found[path] = signs.sign(path, "file")
    for path in pipeline.code_files():
        if path not in found:
            found[path] = signs.sign(path, "file")
    for path, each in found.items():
        if not each.stamp or max(each.stamp[1:3]) >= begun_ns:
            raise _Unclear(path)  # written to since: what was read is not known
    is_any_file = now.may_appear() or any(step.is_command for step in pipeline.graph.steps)
    found |= signs.signed(map(str, now.folders()), "folder" if is_any_file else "code")
    found |= signs.signed(map(str, now.absent()), "absent")
    for place in dict.fromkeys(os.path.abspath(each) for each in sys.path):
        kind: signs.Kind = "code" if os.path.isdir(place) else "file"
        found[place] = signs.sign(place, kind if os.path.exists(place) else "absent")
    return found


def _read_beside(
    project: Project, report: RunReport, known: Mapping[str, Sign], begun_ns: int
) -> dict[str, Sign]:
    """What the steps were seen to read, beside what their code tells."""
    found = {}
    for name, (kind, digest) in places_of(step.beside for step in report.steps).items():
        path = str(project.folder / name)
        if kind == "folder":
            found[path] = signs.sign(path, "folder")
        elif path not in known:
            found[path] = signs.sign(path, "file" if digest else "absent")
        if digest_of_place(kind, path) != digest:
            raise _Unclear(path)
        if digest and max(signs.stamp_of(path)[1:3], default=begun_ns) >= begun_ns:
            raise _Unclear(path)  # written to since
    return found


def _contract_files(project: Project) -> Iterator[str]:
    named = [data.contract for data in project.settings.data.values()]
    for contract in (*named, project.settings.model.contract):
        path = contract.partition("#")[0]
        if Path(path).suffix.lower() in (".toml", ".yaml", ".yml"):
            yield str(project.folder / path)


def _lock_files(folder: Path) -> Iterator[str]:
    """What says which distributions belong together: a run keeps that."""
    for place in (folder, *folder.parents):
        yield from (str(path) for name in _LOCKS for path in sorted(place.glob(name)))
        if (place / ".git").exists():
            return


def _data(project: Project, run: Run, pinned: Mapping[str, str]) -> dict[str, Sign]:
    """The files of the datasets, with the bytes that the run's versions have."""
    found: dict[str, Sign] = {}
    for name, data in project.settings.data.items():
        if data.source == "files" and name not in pinned:
            version, manifest = _version(project, name, run)
            found |= _files(project, data.path, manifest)
            if not version.place:
                found |= _objects(project, manifest)
    return found


def _version(project: Project, name: str, run: Run) -> tuple[DatasetVersion, Manifest]:
    with project.database.read() as connection:
        ref = run.refs.get(name)
        version = find_version(connection, ref) if ref else newest_version(connection, name)
    if version is None:
        raise _Unclear
    return version, manifest_of(project.blobs, version)


def _files(project: Project, pattern: str, manifest: Manifest) -> dict[str, Sign]:
    known = {file.path: (file.size, file.digest) for file in manifest.files}
    listing = files_of(project.folder, pattern)
    if {file.name: file.stamp.size for file in listing.files} != {
        name: size for name, (size, _) in known.items()
    }:
        raise _Unclear
    found = {
        str(file.path): Sign("file", known[file.name][1], msgspec.structs.astuple(file.stamp))
        for file in listing.files
    }
    top = _fixed(project.folder, pattern)
    for folder, _, _ in os.walk(top if os.path.isdir(top) else os.path.dirname(top)):
        found[folder] = signs.sign(folder, "folder")
        if len(found) > notes.MOST:
            raise _Unclear
    return found


def _tops(project: Project, pinned: Mapping[str, str]) -> list[str]:
    """Where the files of datasets are looked for."""
    return [
        _fixed(project.folder, data.path)
        for name, data in project.settings.data.items()
        if data.source == "files" and name not in pinned
    ]


def _fixed(folder: Path, pattern: str) -> str:
    """The part of a path before its first pattern."""
    parts = Path(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    return str(folder.joinpath(*parts[:fixed]))


def _objects(project: Project, manifest: Manifest) -> dict[str, Sign]:
    """Where a version's bytes are kept; that they still are is asked of the database."""
    folder = project.files.objects.folder
    if folder is None:
        return {}
    held = project.files.held(file.digest for file in manifest.files).values()
    return signs.signed({str(folder / each.object) for each in held}, "size")


def _outputs(project: Project, report: RunReport) -> dict[str, Sign]:
    """The stored outputs, where they lie on this machine."""
    run = report.run
    found = {}
    for address in {*run.outputs.values(), run.environment, *([run.patch] if run.patch else [])}:
        path = str(project.blobs.path(address))
        found[path] = signs.sign(path, "file", address)
    return found


def _git(project: Project, pipeline: Pipeline, run: Run) -> tuple[str, dict[str, Sign]]:
    """What git said, and the files that differ from the commit."""
    status = Asked(str(project.folder)).answer()
    revision = revision_for(project.folder, also=pipeline.also, data=pipeline.data)
    patch = address_of(revision.patch) if revision.is_dirty else ""
    if (revision.commit, patch) != (run.revision, run.patch):
        raise _Unclear
    above = (project.folder, *project.folder.parents)
    top = next((each for each in above if (each / ".git").exists()), project.folder)
    paths = [str(top / path) for path in status.paths]
    found = {
        path: signs.sign(path, "file" if os.path.isfile(path) else "absent")
        for path in paths
        if not os.path.isdir(path)
    }
    return f"{status.commit} {status.differs}", found


def _refuse_unless_same(
    project: Project, connection: Any, run: Run, pinned: Mapping[str, str]
) -> None:
    """Refuse if a dataset would be another version by now."""
    for name, data in project.settings.data.items():
        if name in pinned:
            ref = find_version(connection, pinned[name]).ref
        elif data.source == "files":
            continue  # its files decide
        else:
            newest = newest_version(connection, name)
            ref = newest.ref if newest else f"{name}@empty"
        if name in run.refs and ref != run.refs[name]:
            raise _Unclear


def _questions(project: Project, report: RunReport) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What a run asks the database, told apart by what the answers can change."""
    run = report.run
    yield "SELECT version_num FROM cd4ml_migrations", ()
    yield "SELECT * FROM actors WHERE name = ?", (run.created_by,)
    yield "SELECT deleted_at FROM experiments WHERE name = ?", (run.experiment,)
    for name in sorted({*project.settings.data, *(r.partition("@")[0] for r in run.refs.values())}):
        yield "SELECT * FROM datasets WHERE name = ?", (name,)
        yield "SELECT count(*), max(number) FROM dataset_versions WHERE dataset = ?", (name,)
        yield "SELECT * FROM removed_versions WHERE dataset = ? ORDER BY number", (name,)
        yield "SELECT * FROM tags WHERE dataset = ? ORDER BY name", (name,)
    for step in report.steps:
        yield (
            "SELECT run, output FROM step_runs WHERE fingerprint = ? AND state = 'computed'"
            " ORDER BY run DESC LIMIT 1",
            (step.fingerprint,),
        )
        yield "SELECT * FROM column_edges WHERE child = ? ORDER BY 1, 2, 3, 4", (step.output,)
    digests = sorted(_stored(project, run))
    for start in range(0, len(digests), _ASKED):
        part = tuple(digests[start : start + _ASKED])
        marks = ", ".join("?" for _ in part)
        yield f"SELECT * FROM stored_files WHERE digest IN ({marks}) ORDER BY digest", part


def _stored(project: Project, run: Run) -> set[str]:
    """The digests of the files that the run's versions keep in the store."""
    digests: set[str] = set()
    for ref in run.refs.values():
        if ref.partition("@")[2].isdigit():
            with project.database.read() as connection:
                version = find_version(connection, ref)
            if not version.place:
                digests.update(file.digest for file in manifest_of(project.blobs, version).files)
    return digests


def _answered(
    connection: bare.Connection, asked: Iterator[tuple[str, tuple[Any, ...]]]
) -> list[Question]:
    return [
        Question(statement, values, bare.answer_of(connection, statement, values))
        for statement, values in asked
    ]


def _rows(connection: bare.Connection, report: RunReport) -> dict[str, list[dict[str, Any]]]:
    """The rows that such a run writes, as they are stored, without what is its own."""
    run = report.run
    steps = bare.rows_of(connection, "step_runs", "run", run.number)
    blank = _blank_step()
    return {
        "runs": _without(
            bare.rows_of(connection, "runs", "number", run.number),
            "number",
            "started_at",
            "finished_at",
        ),
        "step_runs": [
            {**blank, **{name: step[name] for name in _OF_THE_STEP}}
            for step in sorted(steps, key=lambda step: int(step["position"]))
        ],
        "metrics": _metrics(bare.rows_of(connection, "metrics", "run", run.number)),
        "run_artifacts": _without(
            bare.rows_of(connection, "run_artifacts", "run", run.number), "run"
        ),
        "nodes": [{"kind": "run"}],
        "edges": [{"parent": d, "role": "input"} for d in sorted(set(run.datasets.values()))],
    }


def _without(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in names} for row in rows]


def _metrics(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Metrics of outputs are measured anew; those that steps logged stay what they were."""
    outputs = _without([row for row in rows if not row["by"]], "run", "logged_at")
    logged = [{**row, "history_of": row["history_of"] or row["run"]} for row in rows if row["by"]]
    return [*outputs, *_without(logged, "run")]


def _blank_step() -> dict[str, Any]:
    """What a step that was taken from the cache says where it has nothing of its own to say."""
    blank: dict[str, Any] = {}
    for field in msgspec.structs.fields(StepRun):
        if field.name != "run" and field.name not in _OF_THE_STEP:
            default = field.default
            blank[field.name] = None if default is msgspec.NODEFAULT else default
    return {**blank, "state": "cached"}


def _plain(report: RunReport) -> dict[str, Any]:
    steps = [msgspec.structs.replace(_cached(step), run=report.run.number) for step in report.steps]
    plain: dict[str, Any] = msgspec.to_builtins(
        msgspec.structs.replace(report, steps=tuple(steps), seconds=0.0)
    )
    return plain


def _cached(step: StepRun) -> StepRun:
    return StepRun(
        run=step.run,
        step=step.step,
        position=step.position,
        fingerprint=step.fingerprint,
        state="cached",
        kind=step.kind,
        output=step.output,
        beside=step.beside,
    )
