"""What a run asked the database, and the rows that it wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.data.manifest import manifest_of
from cd4ml.data.refs import find_version
from cd4ml.data.versions import newest_version
from cd4ml.loop.noted_files import Unclear
from cd4ml.pipeline.notes import Question
from cd4ml.records.run import Run, StepRun
from cd4ml.store import bare
from cd4ml.store.project import Project

if TYPE_CHECKING:
    from cd4ml.loop.run_report import RunReport


_ASKED = 500  # digests in one question
_OF_THE_STEP = ("step", "position", "fingerprint", "kind", "output", "beside")


def refuse_unless_same(
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
            raise Unclear


def questions_of(project: Project, report: RunReport) -> Iterator[tuple[str, tuple[Any, ...]]]:
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


def answered(
    connection: bare.Connection, asked: Iterator[tuple[str, tuple[Any, ...]]]
) -> list[Question]:
    """Questions with the answers that the database gives now."""
    return [
        Question(statement, values, bare.answer_of(connection, statement, values))
        for statement, values in asked
    ]


def rows_of(connection: bare.Connection, report: RunReport) -> dict[str, list[dict[str, Any]]]:
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


def plain(report: RunReport) -> dict[str, Any]:
    """The report of a run in which every step was taken from the cache, as plain values."""
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
