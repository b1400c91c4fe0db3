"""One step, as whoever computes it gets it: in this process, in another, on another machine."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.errors import Cd4mlError, PipelineError
from cd4ml.pipeline.captured import captured
from cd4ml.pipeline.executors.memory import is_plain
from cd4ml.pipeline.executors.port import Tables
from cd4ml.pipeline.executors.worker import begin, loads_first
from cd4ml.pipeline.graph import StepDeclaration, declared_in, steps_in
from cd4ml.pipeline.module import compiled_below, imported, origin, traceback_below
from cd4ml.pipeline.seed import seed_everything
from cd4ml.pipeline.step_log import logging_step
from cd4ml.pipeline.storage import Output, load, store
from cd4ml.pipeline.usage import Usage, measured
from cd4ml.pipeline.watch import NOTHING, Seen, Watch, watching
from cd4ml.store.clock import open_clock
from cd4ml.store.segment_files import segments_in
from cd4ml.store.tracking.recorder import FOLDER

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.pipeline.step import Step
    from cd4ml.store.blobs import Blobs

_KEPT = 20_000  # characters of a traceback: its end


class Place(NamedTuple):
    """Where the project's code is; one `token` is one import of it, for as long as it lasts."""

    folder: Path
    module: str
    token: str


class Source(NamedTuple):
    """An input: an output that is stored, or a dataset version and how to scan it."""

    hint: str
    output: Output | None = None
    digest: str = ""
    frame: pl.LazyFrame | None = None
    holds: bool = False  # whether a dataset that was read is to be held ready


class StepTask(NamedTuple):
    """All that is needed to compute a step."""

    place: Place
    step: str
    where: str
    inputs: tuple[Source, ...]
    parameters: dict[str, Any]
    output: str  # last word of its return hint
    blobs: Blobs
    tables: Tables
    holds: bool  # whether its output is to be held ready
    last: tuple[str, ...]  # addresses that nobody needs after it
    log: Path | None
    chance: Chance
    logged: Logged
    remembers: bool  # whether it may use what others have read before it
    is_settled: bool  # whether its output is to be on disk when it ends
    is_debugged: bool  # an interrupt is then the user's, not the step's


class Chance(NamedTuple):
    """What the chance in a step begins with."""

    seed: int = 0
    needs_numpy: bool = False  # whether the step may import numpy itself, later


class Logged(NamedTuple):
    """Where what a step logs belongs: a run, and the folder that has its journals."""

    state: Path
    run: int


class Failure(NamedTuple):
    """Why there is no output: a sentence, what to do, and the traceback from the step on."""

    message: str
    hint: str = ""
    traceback: str = ""
    may_pass: bool = True  # whether another attempt could end otherwise


class Computed(NamedTuple):
    """What came of a step."""

    output: Output | None
    failure: Failure | None
    usage: Usage
    worker: str
    seen: Seen = NOTHING
    imported: Seen = NOTHING  # what importing the code read
    lines: bytes = b""  # that it logged, where the run's journals are on another machine


def declare(place: Place) -> tuple[tuple[StepDeclaration, ...], Seen]:
    """The steps that a project's module declares, imported here and kept for computing them.

    Returns:
        The steps, and what the import was seen to read.

    Raises:
        PipelineError: If it cannot be imported, or a step cannot be declared so.
    """
    return declared_in(_module(place), place.folder), _HERE.imported


def prepare(place: Place) -> None:
    """Import what a project's steps need, before it is needed; what fails is said when it is."""
    with suppress(Cd4mlError):
        _module(place)


def load_polars() -> None:
    """Import Polars, before it is needed."""
    import polars  # noqa: F401


@loads_first
def compute(task: StepTask) -> Computed:
    """Compute a step, and store its output. What goes wrong in the step is returned, not raised."""
    usage: list[Usage] = []
    output = failure = None
    seen = NOTHING
    lines: list[bytes] = []
    with captured(task.log):
        try:
            _module(task.place)
            begin()
            with measured() as usage, _logging(task) as lines:
                output, failure, seen = _attempted(task)
        except Cd4mlError as error:
            failure = Failure(error.message, error.hint, may_pass=False)
    return Computed(
        output=output,
        failure=failure,
        usage=usage[0] if usage else Usage(),
        worker=f"{socket.gethostname()}:{os.getpid()}",
        seen=seen,
        imported=_HERE.__dict__.get("imported", NOTHING),
        lines=b"".join(lines),
    )


@contextmanager
def _logging(task: StepTask) -> Iterator[list[bytes]]:
    """Let the step log; gives the lines that nobody can collect from where they are."""
    lines: list[bytes] = []
    with ExitStack() as stack:
        is_here = task.logged.state.is_dir()
        state = task.logged.state if is_here else Path(stack.enter_context(TemporaryDirectory()))
        now = open_clock(task.logged.state).now
        with logging_step(state, task.logged.run, task.step, now=now, blobs=lambda: task.blobs):
            yield lines
        if not is_here:
            lines += [path.read_bytes() for path in segments_in(state / FOLDER)]


def leave() -> None:
    """Forget the project's modules that this thread has imported."""
    imports = _HERE.__dict__.pop("imports", None)
    if imports is not None:
        imports.close()


@contextmanager
def leaving() -> Iterator[None]:
    """Forget at the end of the block, however it ends, what this thread has imported meanwhile."""
    try:
        yield
    finally:
        leave()


class _Imports(threading.local):
    """The project that this thread has imported; projects of several threads take turns."""

    imports: ExitStack
    token: str
    module: ModuleType
    steps: dict[str, Step[Any, Any]]
    imported: Seen  # what the import read
    everything: Seen  # and what steps read since


_HERE = _Imports()


def _module(place: Place) -> ModuleType:
    """The pipeline's module, imported unless it is."""
    if "imports" in _HERE.__dict__:
        if _HERE.token == place.token:
            return _HERE.module
        leave()
    with ExitStack() as stack:
        watch = Watch(place.folder)
        _HERE.module = stack.enter_context(imported(place.folder, place.module, watching(watch)))
        _HERE.steps = steps_in(_HERE.module)
        loaded = compiled_below(place.folder)
        _HERE.imported = watch.seen()._replace(loaded=loaded, fresh=frozenset(loaded))
        _HERE.everything = _HERE.imported
        _HERE.token = place.token
        _HERE.imports = stack.pop_all()
    return _HERE.module


def _attempted(task: StepTask) -> tuple[Output | None, Failure | None, Seen]:
    function = _HERE.steps[task.step].function
    arguments = [_input(task, source) for source in task.inputs]
    me, watch = os.getpid(), Watch(task.place.folder)
    seed_everything(task.chance.seed, task.step, needs_numpy=task.chance.needs_numpy)
    try:
        with watching(watch):
            value = _collected(function(*arguments, **task.parameters))
    except BaseException as error:  # also what is no Exception, such as a panic of Rust's
        if isinstance(error, KeyboardInterrupt) and task.is_debugged:
            raise
        return None, _failed(task, error), NOTHING
    finally:
        if os.getpid() != me:  # a process that the step forked, and forgot to end
            os._exit(0)
    try:
        output = store(
            task.blobs, value, hint=task.output, step=task.step, is_settled=task.is_settled
        )
    except PipelineError as error:
        msg = f"{task.where}: {error.message}"
        raise PipelineError(msg, hint=error.hint) from error.__cause__
    if output.kind == "table" and task.holds and is_plain(value):
        task.tables.put(output.address, value)
    task.tables.drop(task.last)
    return output, None, _all_seen(task, watch)


def _all_seen(task: StepTask, watch: Watch) -> Seen:
    """What a step read, and what it may have from steps before it."""
    loaded = compiled_below(task.place.folder)
    fresh = frozenset(loaded.keys() - _HERE.everything.loaded.keys())
    seen = watch.seen()._replace(loaded=loaded, fresh=fresh)
    _HERE.everything = _HERE.everything.and_also(seen)
    return _HERE.everything if task.remembers else seen


def _input(task: StepTask, source: Source) -> Any:
    address = source.output.address if source.output else source.digest
    held = task.tables.get(address)
    if held is not None:
        return held.lazy() if source.hint == "LazyFrame" else held
    if source.output is not None:
        return load(task.blobs, source.output, hint=source.hint)
    if source.hint == "LazyFrame" or source.frame is None:
        return source.frame
    table = source.frame.collect()
    if source.holds and is_plain(table):
        task.tables.put(address, table)
    return table


def _collected(value: Any) -> Any:
    """A table that was only described, computed: what fails in it is the step's failure."""
    is_lazy = type(value).__name__ == "LazyFrame" and type(value).__module__.startswith("polars.")
    return value.collect() if is_lazy else value


def _failed(task: StepTask, error: BaseException) -> Failure:
    where = origin(error, task.place.folder) or task.where
    return Failure(
        message=f"{where}: step {task.step!r} failed: {named(error)}",
        traceback=traceback_below(error, task.place.folder)[-_KEPT:],
    )


def named(error: BaseException) -> str:
    """An exception in one line; the traceback has the rest."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # its own words for itself fail
        lines = []
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
