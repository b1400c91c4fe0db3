"""Log from a step, a notebook or a script."""

from __future__ import annotations

import atexit
import getpass
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cd4ml.errors import Cd4mlError, Conflict, InvalidInput
from cd4ml.experiments.run_log import RunLog
from cd4ml.experiments.values import plain
from cd4ml.loop.inputs import named_data
from cd4ml.loop.interrupted import settle_interrupted
from cd4ml.loop.names import require_name
from cd4ml.loop.refs import number_in
from cd4ml.pipeline.alive import LifeSign
from cd4ml.records.run import Run
from cd4ml.store import people, rows
from cd4ml.store.project import Project, open_project
from cd4ml.store.storable import printable
from cd4ml.store.tracking.history import metrics_of
from cd4ml.store.tracking.recorder import FOLDER, Recorder, current, recording
from cd4ml.store.tracking.runs import Ending, end_run, resume_run, start_run


class ActiveRun(RunLog):
    """A run that is being made here, outside the pipeline; ended by its `with` block.

    A block that is left by an exception ends it as failed, by Ctrl-C as killed; a process that
    dies leaves it as failed, with all that was logged. Without a block, `end` ends it, or the
    end of the program.
    """

    def __init__(self, project: Project, run: Run, actor: str) -> None:
        self._project = project
        self._actor = actor
        self._is_over = False
        self._life = LifeSign(project.state, run.number)
        super().__init__(
            Recorder(
                project.state / FOLDER,
                run.number,
                now=project.clock.now,
                database=lambda: project.database,
                blobs=lambda: project.blobs,
            )
        )
        self._open = ExitStack()
        self._process = os.getpid()
        atexit.register(self._at_exit)

    def log_dataset(
        self, data: Any, *, name: str = "", context: str = "", source: str = ""
    ) -> None:
        """Say which data the run uses, by what they hold.

        Args:
            data: What `cd4ml.dataset` opened, a table of Polars or pandas, an array, or the
                path of a file or folder.
            name: What to call it; not needed for a dataset and a path.
            context: What for: "training", "validation".
            source: Where it came from, if it does not say so itself.

        Raises:
            InvalidInput: If it is nothing of the kind, or has no name.
        """
        self.log_data(named_data(data, name=name, context=context, source=source))

    def end(self, state: Ending = "finished", reason: str = "") -> None:
        """The run has ended: finished, failed or killed. What was logged is in the database.

        Raises:
            Unavailable: If the database does not answer.
        """
        if self._is_over:
            return
        self._is_over = True
        atexit.unregister(self._at_exit)
        self._stop()
        self._recorder.close()
        with self._project.database.write() as connection:
            at = self._project.clock.now()
            end_run(connection, self.number, state, reason=reason, at=at, actor=self._actor)
        self._life.end()
        self._project.close()

    def _at_exit(self) -> None:
        if self._process == os.getpid():  # a fork is not the one that began it
            self.end()

    def __enter__(self) -> Self:
        self._open.enter_context(recording(self._recorder))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()
        if error is None:
            self.end()
            return
        state: Ending = "killed" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(Cd4mlError):  # what went wrong first is what is said
            self.end(state, printable(f"{type(error).__name__}: {error}"[:_KEPT]))

    def __repr__(self) -> str:
        return f"<{self.ref}{' (ended)' if self._is_over else ''}>"


_KEPT = 20_000  # characters of a reason


def run(
    experiment: str = "default",
    *,
    name: str = "",
    note: str = "",
    tags: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    system: bool = False,
    resume: str | int = "",
    project: Path | str | None = None,
    actor: str = "",
) -> ActiveRun:
    """Begin a run outside the pipeline: in a notebook, a script, another tool.

    Args:
        experiment: The question that it belongs to, made if it is new.
        name: What to call it.
        note: What to say about it, in Markdown.
        tags: Words to find it by.
        parameters: Its first parameters.
        system: Log what the machine does as well.
        resume: The run to go on with, in place of a new one.
        project: Its folder or one below; else CD4ML_PROJECT, else where you are.
        actor: Who; else CD4ML_ACTOR, else your login name.

    Raises:
        ProjectNotFound: If there is no project.
        InvalidInput: If the experiment cannot have this name.
        NotFound: If there is nobody of the actor's name, or no run to go on with.
        Conflict: If the experiment was deleted, or the run to go on with is still going.
    """
    require_name(experiment, "an experiment")
    opened = open_project(Path(project) if project else None)
    try:
        who = actor or _oneself()
        settle_interrupted(opened)
        if resume:
            begun = _resumed(opened, number_in(str(resume), "run"), who)
        else:
            begun = _started(opened, experiment, name, note, tags, parameters, who)
        active = ActiveRun(opened, begun, who)
    except BaseException:
        opened.close()
        raise
    if resume:
        with opened.database.read() as connection:
            known = metrics_of(connection, [begun.number])
        active._recorder.continue_from({each.name: each.last_step for each in known})
    if system:
        active.log_system()
    return active


def current_run() -> RunLog:
    """The run that this code is part of: of its step, or of the `with cd4ml.run(...)` around it.

    Raises:
        InvalidInput: If there is none.
    """
    recorder = current()
    if recorder is None:
        msg = "nothing is logged here: this code runs neither in a step nor in a run"
        raise InvalidInput(msg, hint="with cd4ml.run('EXPERIMENT') as run: ...")
    return RunLog(recorder)


def log(
    values: Mapping[str, Any] | None = None,
    /,
    *,
    step: int | None = None,
    at: datetime | None = None,
    **metrics: Any,
) -> None:
    """Log values of metrics in the run that this code is part of; see `RunLog.log`.

    Where code is called outside a run, as in a test, nothing is logged.
    """
    recorder = current()
    if recorder is not None:
        RunLog(recorder).log(values, step=step, at=at, **metrics)


def _started(
    project: Project,
    experiment: str,
    name: str,
    note: str,
    tags: Mapping[str, str] | None,
    parameters: Mapping[str, Any] | None,
    actor: str,
) -> Run:
    with project.database.write() as connection:
        people.actor(connection, actor)
        return start_run(
            connection,
            experiment=experiment,
            name=name,
            note=note,
            tags=tags,
            parameters=plain(parameters or {}),
            at=project.clock.now(),
            actor=actor,
        )


def _resumed(project: Project, number: int, actor: str) -> Run:
    with project.database.write() as connection:
        people.actor(connection, actor)
        before = rows.get(connection, Run, number)
        if before.state == "running":
            msg = f"{before.ref} is still running, so nobody can go on with it"
            raise Conflict(msg, hint="log in it from where it runs")
        return resume_run(connection, number, at=project.clock.now(), actor=actor)


def _oneself() -> str:
    named = os.environ.get("CD4ML_ACTOR", "")
    try:
        return named or getpass.getuser()
    except (KeyError, OSError):
        msg = "this user has no login name"
        raise InvalidInput(msg, hint="say who acts: actor='NAME', or CD4ML_ACTOR") from None
