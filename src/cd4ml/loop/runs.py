"""Runs: found, looked at, described, deleted and restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.errors import AlreadyExists, InvalidInput, NotFound
from cd4ml.experiments.tracking import orders
from cd4ml.loop.compare import runs
from cd4ml.loop.interrupted import settle_interrupted
from cd4ml.loop.names import require_name
from cd4ml.loop.refs import number_in
from cd4ml.loop.train import RunReport
from cd4ml.records.point import Point
from cd4ml.records.run import Metric, Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.records.run_input import RunInput
from cd4ml.store import people, rows
from cd4ml.store.project import Project
from cd4ml.store.tracking import experiments as kept
from cd4ml.store.tracking.history import columns_from, history
from cd4ml.store.tracking.runs import change_run, delete_run, restore_run
from cd4ml.store.tracking.search import Group, count_runs, group_runs
from cd4ml.store.tracking.where import field_of, metrics_in, parse

if TYPE_CHECKING:
    import sqlalchemy as sa


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the runs that a filter lets through, and how many there are."""

    runs: tuple[RunReport, ...]
    total: int
    offset: int = 0


class RunDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was logged in a run; of metrics the latest values."""

    run: Run
    metrics: tuple[Metric, ...]
    files: tuple[RunArtifact, ...]
    data: tuple[RunInput, ...]


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over its steps, thinned out to what a screen can show.

    Where points were left out, the lowest and the highest of each stretch are there.
    """

    metric: str
    steps: tuple[int, ...]
    values: tuple[float | None, ...]
    n_points: int


def find_runs(
    project: Project,
    *,
    where: str = "",
    sort: str = "",
    experiment: str = "",
    limit: int = 20,
    offset: int = 0,
    deleted: bool = False,
) -> RunPage:
    """A page of the runs that a filter lets through, and how many there are in all.

    Raises:
        InvalidInput: If the filter or the order is none; the message points at the place.
        NotFound: If no run belongs to the experiment, or nothing was found because no run has a
            metric of the filter.
    """
    found = runs(
        project,
        where=where,
        sort=sort,
        experiment=experiment,
        limit=limit,
        offset=offset,
        deleted=deleted,
    )
    equal: dict[str, Any] = {"experiment": experiment} if experiment else {}
    with project.database.read() as connection:
        if experiment:
            kept.experiment_named(connection, experiment)
        total = count_runs(connection, where=where, deleted=deleted, **equal)
        if not total and where:
            _refuse_unknown_metrics(connection, where)
        for field, _ in orders(sort):
            if field.kind == "metrics":
                _require_metric(connection, field.name)
    return RunPage(runs=tuple(found), total=total, offset=offset)


def grouped_runs(
    project: Project,
    by: Sequence[str],
    *,
    metrics: Sequence[str] = (),
    where: str = "",
    experiment: str = "",
) -> list[Group]:
    """Runs put together by parameters, tags or attributes.

    Raises:
        InvalidInput: If a field or the filter is none, or there are too many groups.
        NotFound: If no run belongs to the experiment.
    """
    settle_interrupted(project)
    equal: dict[str, Any] = {"experiment": experiment} if experiment else {}
    with project.database.read() as connection:
        if experiment:
            kept.experiment_named(connection, experiment)
        fields = [field_of(each) for each in by]
        return group_runs(connection, fields, metrics=metrics, where=where, **equal)


def run_details(project: Project, ref: str) -> RunDetails:
    """Everything that was logged in a run.

    Raises:
        NotFound: If there is none.
    """
    settle_interrupted(project)
    number = number_in(ref, "run")
    with project.database.read() as connection:
        return RunDetails(
            run=rows.get(connection, Run, number),
            metrics=tuple(rows.find(connection, Metric, run=number)),
            files=tuple(rows.find(connection, RunArtifact, run=number)),
            data=tuple(rows.find(connection, RunInput, run=number)),
        )


def points(
    project: Project, ref: str, metric: str, *, offset: int = 0, limit: int = 1000
) -> list[Point]:
    """What a metric of a run was at each step, in the order in which it was logged.

    Raises:
        NotFound: If there is no such run, or it has no such metric.
    """
    settle_interrupted(project)
    number = number_in(ref, "run")
    with project.database.read() as connection:
        rows.get(connection, Run, number)
        return history(connection, number, metric, start=offset, limit=limit)


def curve(project: Project, ref: str, metric: str, *, width: int = 500) -> Curve:
    """A metric over its steps, for a drawing that is so many points wide.

    Raises:
        NotFound: If there is no such run, or it has no such metric.
    """
    with project.database.read() as connection:
        columns = columns_from(connection, number_in(ref, "run"), metric)
    from cd4ml.measures.thinning import thinned

    steps, values = thinned(columns.steps, columns.values, width)
    return Curve(
        metric=metric,
        steps=tuple(steps.tolist()),
        values=tuple(None if value != value else value for value in values.tolist()),
        n_points=len(columns.steps),
    )


def describe_run(
    project: Project,
    ref: str,
    *,
    name: str | None = None,
    note: str | None = None,
    tags: Mapping[str, str] | None = None,
    untag: Sequence[str] = (),
    actor: str,
) -> Run:
    """Name, describe or tag a run.

    Raises:
        NotFound: If there is no such run, or nobody of the actor's name.
        InvalidInput: If a tag to take away is not there, or a text cannot be stored.
    """
    number = number_in(ref, "run")
    if name:
        require_name(name, "a run")
    with project.database.write() as connection:
        people.actor(connection, actor)
        there = rows.get(connection, Run, number).tags
        for key in untag:
            if key not in there:
                hint = f"it has: {', '.join(sorted(there)) or 'none'}"
                raise InvalidInput(f"run/{number} has no tag {key!r}", hint=hint)
        at = project.clock.now()
        return change_run(
            connection, number, name=name, note=note, tags=tags, untag=untag, at=at, actor=actor
        )


def delete_runs(project: Project, refs: Sequence[str], *, actor: str) -> list[Run]:
    """Take runs out of every list, until they are restored; nothing of them is lost.

    Raises:
        NotFound: If one is not there; then none is deleted.
        InvalidInput: If one is still running.
    """
    with project.database.write() as connection:
        people.actor(connection, actor)
        found = [rows.get(connection, Run, number_in(ref, "run")) for ref in refs]
        for run in found:
            if run.state == "running":
                msg = f"{run.ref} is running, so it cannot be deleted"
                raise InvalidInput(msg, hint="stop it first")
        at = project.clock.now()
        return [delete_run(connection, run.number, at=at, actor=actor) for run in found]


def restore_runs(project: Project, refs: Sequence[str], *, actor: str) -> list[Run]:
    """Bring deleted runs back.

    Raises:
        NotFound: If one was never there; then none is restored.
        Conflict: If the experiment of one is deleted.
    """
    with project.database.write() as connection:
        people.actor(connection, actor)
        numbers = [number_in(ref, "run") for ref in refs]
        at = project.clock.now()
        return [restore_run(connection, number, at=at, actor=actor) for number in numbers]


def file_of(project: Project, ref: str, path: str) -> bytes:
    """The bytes of a file that a run logged.

    Raises:
        NotFound: If there is no such run, or it logged no such file; the hint lists those it did.
        Corrupted: If they are not what was logged.
    """
    number = number_in(ref, "run")
    with project.database.read() as connection:
        rows.get(connection, Run, number)
        found = rows.get(connection, RunArtifact, number, path)
    return project.blobs.get(found.address)


def save_files(project: Project, ref: str, folder: Path) -> list[Path]:
    """Write the files that a run logged into a folder; returns where they are.

    A file that has the name of a folder of the run is written as `NAME (file)`.

    Raises:
        NotFound: If there is no such run, or a file's bytes are gone.
        AlreadyExists: If a file is there already; then nothing is written.
    """
    details = run_details(project, ref)
    within = {parent for file in details.files for parent in PurePosixPath(file.path).parents}
    wanted = {
        folder / (f"{file.path} (file)" if PurePosixPath(file.path) in within else file.path): file
        for file in details.files
    }
    for path in wanted:
        if path.exists():
            msg = f"{path} exists already, and is left as it is"
            raise AlreadyExists(msg, hint="name another folder")
    for path, file in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(project.blobs.get(file.address))
    return list(wanted)


def _refuse_unknown_metrics(connection: sa.Connection, where: str) -> None:
    for name in metrics_in(parse(where)):
        _require_metric(connection, name)


def _require_metric(connection: sa.Connection, name: str) -> None:
    if not rows.find(connection, Metric, name=name, limit=1):
        from cd4ml.experiments.tracking import metric_names

        known = ", ".join(metric_names(connection)[:_SHOWN]) or "none"
        raise NotFound(f"no run has the metric {name!r}", hint=f"known: {known}")


_SHOWN = 20  # names in a hint
