"""Score files of any size with a registered model, each row exactly once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import lru_cache
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cd4ml.data.formats import refuse_differences
from cd4ml.data.remote import is_remote, remote_objects
from cd4ml.errors import InvalidInput, NotFound, Refused
from cd4ml.loop.candidate import project_modules
from cd4ml.loop.executors import Where, open_executor
from cd4ml.loop.ingest import ingest
from cd4ml.models import registry
from cd4ml.models.runtime import load
from cd4ml.models.trust import trusted_in
from cd4ml.records.dataset import NAME_RULE, is_dataset_name
from cd4ml.records.resources import Resources
from cd4ml.serving.batch.place import Place
from cd4ml.serving.batch.plan import (
    Done,
    Piece,
    Plan,
    Policy,
    Source,
    begun,
    done,
    forget_unless_written,
    note_finished,
)
from cd4ml.serving.batch.scoring import reading, scan, score_piece
from cd4ml.store import ledger, lineage, people
from cd4ml.store.project import STATE, Project, open_project

if TYPE_CHECKING:
    from cd4ml.models.runtime import Runtime
    from cd4ml.records.model_version import ModelVersion

PIECE_ROWS = 250_000
IN_PROCESS = Where(executor="in-process")

_COLUMN = "call it otherwise: --column NAME"
_ONE_TABLE = (
    "the output becomes one dataset: keep what all of them have, --keep COLUMN, or write it to"
    " a folder outside of the project"
)

Tell = Callable[[int, int], None]  # pieces done, of how many


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that has ended; `n_before` pieces were done when it was begun again."""

    ref: str
    output: str
    n_files: int
    n_pieces: int
    n_before: int
    n_scored: int
    n_aside: int
    forgiven: dict[str, dict[str, int]] = {}  # field -> in what way -> how many values
    dataset: str = ""  # the dataset version that the output is, "" for none


class _Batch(msgspec.Struct, frozen=True):
    """What a worker needs besides its piece."""

    folder: str
    plan: Plan
    output: str
    policy: Policy


def predict(
    project: Project,
    ref: str,
    *,
    input: str,
    output: str,
    policy: Policy = "refuse",
    columns: tuple[str, ...] = (),
    column: str = "score",
    piece_rows: int = PIECE_ROWS,
    dataset: str = "",
    where: Where = IN_PROCESS,
    tell: Tell = lambda n, of: None,
    actor: str,
) -> Scored:
    """Score the rows of Parquet files; begun again after whatever ended it, it goes on.

    Memory is bounded by a piece (on each worker), however large the files are. Each piece is
    one file of the output, which is there whole or not at all, under a name that only
    depends on the piece. A batch that ends before anything was written leaves no trace.

    Args:
        project: Whose model.
        ref: `delay@champion`, `delay/3`, or `delay` (the newest).
        input: A file, folder or glob, here or in S3 (`s3://...`).
        output: An empty folder or prefix, or one in which this batch was begun.
        policy: What becomes of rows that break the contract: the batch is refused, or they
            are set aside with their violations.
        columns: Of the input, that the output has; none: all.
        column: Of the answers.
        piece_rows: How many rows at a time.
        dataset: The name of the dataset of which the output becomes a version, linked to the
            model; by default the folder's name, if it lies in the project.
        where: Who scores: this process, worker processes, or a Ray cluster.
        tell: Is told how far it is.
        actor: Who.

    Raises:
        NotFound: If there is no such version, or no such file.
        Refused: If the version cannot answer.
        ContractViolated: If rows break the contract, and are to be refused.
        Conflict: If another batch was begun there, or the files have changed since.
        InvalidInput: If a file is no Parquet, or lacks a column.
        Unavailable: If a store does not answer.
    """
    with project.database.read() as connection:
        people.actor(connection, actor)
        version = registry.find_version(connection, ref)
    if not version.artifact:
        msg = f"{version.ref} is not packaged yet, so it cannot answer"
        raise Refused(msg, hint=f"cd4ml model package {version.ref}")
    named = _dataset(project, dataset, output)
    wanted = Plan(
        asked=ref,
        version=version,
        sources=_sources(input),
        piece_rows=piece_rows,
        columns=columns,
        score=column,
    )
    _refuse_unknown(wanted, is_dataset=bool(named))
    place = Place(output if is_remote(output) else os.path.abspath(output))
    plan = begun(place, wanted)
    batch = _Batch(str(project.folder), plan, place.url, policy)
    before = done(place)
    try:
        ended = before | _score(project, batch, before, where, tell)
    except BaseException:  # whatever ended it: nobody works on a piece any more
        forget_unless_written(place)
        raise
    note_finished(place, [ended[piece.name] for piece in plan.pieces])
    scored = Scored(
        ref=plan.version.ref,
        output=place.url,
        n_files=len(plan.sources),
        n_pieces=len(plan.pieces),
        n_before=len(before),
        n_scored=sum(each.n_scored for each in ended.values()),
        n_aside=sum(each.n_aside for each in ended.values()),
        forgiven=_together(ended.values()),
    )
    return _noted(project, scored, plan.version, named if scored.n_scored else "", actor=actor)


def _together(every: Iterable[Done]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for piece in every:
        for name, kinds in piece.forgiven.items():
            counted = found.setdefault(name, {})
            for kind, n in kinds.items():
                counted[kind] = counted.get(kind, 0) + n
    return found


def work_on(batch: _Batch, piece: Piece) -> Done:
    """Score one piece, in a process that may be anywhere."""
    runtime = _runtime(batch.folder, batch.plan.version.artifact)
    return score_piece(batch.plan, piece, runtime, Place(batch.output), policy=batch.policy)


@lru_cache(maxsize=1)
def _runtime(folder: str, artifact: str) -> Runtime:
    with open_project(Path(folder)) as project, project_modules(project):
        return load(project.blobs, artifact, is_trusted=trusted_in(project.database))


def _score(
    project: Project, batch: _Batch, before: dict[str, Done], where: Where, tell: Tell
) -> dict[str, Done]:
    pieces = batch.plan.pieces
    left = [piece for piece in pieces if piece.name not in before]
    ended: dict[str, Done] = {}
    tell(len(pieces) - len(left), len(pieces))
    if not left:
        return ended
    _runtime(batch.folder, batch.plan.version.artifact)  # what cannot answer is said once, and here
    with open_executor(project, where) as executor:
        asked: deque[Future[Done]] = deque()
        for piece in left:
            asked.append(executor.submit(work_on, batch, piece, resources=Resources(cpus=1)))
            # no more than can be worked on: a million pieces would be a million futures
            if len(asked) >= 2 * executor.workers:
                _take(asked, ended)
                tell(len(pieces) - len(left) + len(ended), len(pieces))
        while asked:
            _take(asked, ended)
            tell(len(pieces) - len(left) + len(ended), len(pieces))
    return ended


def _take(asked: deque[Future[Done]], ended: dict[str, Done]) -> None:
    found = asked.popleft().result()
    ended[found.name] = found


def _sources(pattern: str) -> tuple[Source, ...]:
    if is_remote(pattern):
        found = [each for each in remote_objects(pattern) if each[0].endswith(".parquet")]
    else:
        found = [(path, _stamp(path)) for path in _files(pattern)]
    if not found:
        msg = f"no Parquet file matches {pattern!r}"
        raise NotFound(msg, hint="name a file, a folder or a glob such as 'data/*.parquet'")
    return tuple(Source(url, stamp, _n_rows(url)) for url, stamp in found)


def _files(pattern: str) -> list[str]:
    path = Path(os.path.abspath(pattern))
    if path.is_dir():
        return sorted(str(each) for each in path.glob("*.parquet"))
    if has_magic(pattern) and not path.exists():
        return sorted(each for each in glob(str(path), recursive=True) if os.path.isfile(each))
    if not path.exists():
        raise NotFound(f"there is no file {pattern}")
    return [str(path)]


def _stamp(path: str) -> str:
    found = os.stat(path)
    return f"{found.st_mtime_ns} {found.st_size}"


def _n_rows(url: str) -> int:
    import polars as pl

    return int(reading(url, lambda: scan(url).select(pl.len()).collect().item()))


def _refuse_unknown(plan: Plan, *, is_dataset: bool) -> None:
    """Let no batch begin whose output could not have its columns, or not be the dataset it is to be."""
    if not plan.score:
        raise InvalidInput("expected a name for the column of the answers, got none", hint=_COLUMN)
    found = []
    for source in plan.sources:
        known = reading(source.url, scan(source.url).collect_schema)
        if missing := [name for name in plan.columns if name not in known]:
            msg = f"{source.url} has no column {missing[0]!r}"
            raise InvalidInput(msg, hint=f"it has: {', '.join(known)}")
        found.append({name: str(known[name]) for name in plan.columns or known})
    if is_dataset:
        refuse_differences([source.url for source in plan.sources], found, hint=_ONE_TABLE)


def _dataset(project: Project, asked: str, output: str) -> str:
    """The name of the dataset that the output becomes a version of; "" for none.

    Raises:
        InvalidInput: If it can be none of that name.
    """
    path, folder = Path(output).resolve(), project.folder.resolve()
    is_ours = not is_remote(output) and path.is_relative_to(folder)
    name = asked or (path.name if is_ours and not path.is_relative_to(folder / STATE) else "")
    if not asked and not is_dataset_name(name):
        return ""
    if not is_dataset_name(name):
        msg = f"expected a name that a step's parameter can have, got {name!r}"
        raise InvalidInput(msg, hint=NAME_RULE)
    known = project.settings.data.get(name)
    if known is not None and known.source != "files":
        msg = f"the rows of the dataset {name!r} come from elsewhere: its source is {known.source}"
        raise InvalidInput(msg, hint="name another: --dataset NAME")
    return name


def _noted(
    project: Project, scored: Scored, version: ModelVersion, dataset: str, *, actor: str
) -> Scored:
    made, digest = "", ""
    if dataset:
        found = ingest(
            project,
            dataset,
            path=f"{scored.output}/*.parquet",
            note=f"scored by {scored.ref}",
            actor=actor,
        )
        made, digest = found.ref, found.digest
    with project.database.write() as connection:
        if digest:
            lineage.link(connection, digest, version.ref, "scored by")
        ledger.append(
            connection,
            at=project.clock.now(),
            actor=people.actor(connection, actor).name,
            action="model.scored files",
            subject=version.ref,
            details={
                "output": scored.output,
                "n_scored": scored.n_scored,
                "n_aside": scored.n_aside,
                "dataset": made,
            },
        )
    return msgspec.structs.replace(scored, dataset=made)
