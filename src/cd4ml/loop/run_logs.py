"""What the steps of a run have printed, or print now."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cd4ml.errors import NotFound
from cd4ml.loop.access import require_reader
from cd4ml.loop.refs import number_in
from cd4ml.pipeline.logs import log_path, logs_folder
from cd4ml.records.run import Run, StepRun
from cd4ml.store import rows
from cd4ml.store.project import Project


class StepLog(msgspec.Struct, frozen=True, kw_only=True):
    """The output of one step as text; bytes that are no UTF-8 are shown as they are written."""

    step: str
    state: str
    text: str


def run_logs(project: Project, ref: str, step: str = "", *, actor: str) -> list[StepLog]:
    """What a run's steps have printed, in their order; those that were silent are left out.

    Of a run that is under way on this machine, or was killed here, it is what is there by now.

    Args:
        project: Whose run.
        ref: "run/3" or "3".
        step: Only this one; it is in the answer even if it was silent.
        actor: Who wants to read it: a step may print the rows that it was given.

    Raises:
        NotFound: If there is no such run, or it has no such step.
        NotAllowed: If the run took a restricted dataset and the actor has none of its roles.
    """
    with project.database.read() as connection:
        run = rows.get(connection, Run, number_in(ref, "run"))
        steps = rows.find(connection, StepRun, run=run.number)
    for taken in run.refs.values():
        require_reader(project, taken.partition("@")[0], actor=actor)
    logs = [_kept(project, each) for each in sorted(steps, key=lambda each: each.position)]
    logs += _unfinished(project, run, {each.step for each in steps})
    if step and step not in {log.step for log in logs}:
        known = ", ".join(log.step for log in logs) or "none has ended"
        raise NotFound(f"{run.ref} has no step named {step!r}", hint=f"known: {known}")
    return [log for log in logs if log.step == step or (log.text and not step)]


def _kept(project: Project, step: StepRun) -> StepLog:
    data = project.blobs.get(step.log) if step.log else b""
    return StepLog(step=step.step, state=step.state, text=as_text(data))


def _unfinished(project: Project, run: Run, ended: set[str]) -> list[StepLog]:
    """The logs of steps that have no record yet: they run, or their run was killed."""
    folder = logs_folder(project.state, run.number)
    names = sorted(path.stem for path in folder.glob("*.log")) if folder.is_dir() else []
    state = "running" if run.state == "running" else "interrupted"
    return [
        StepLog(step=name, state=state, text=as_text(_bytes(log_path(folder, name))))
        for name in names
        if name not in ended
    ]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # its step has ended meanwhile
        return b""


def as_text(data: bytes) -> str:
    r"""Output as text: what is no UTF-8 as `\x..`, and line ends as they are here.

    Examples:
        >>> as_text(b"caf\xc3\xa9 \xff\r\n")
        'café \\xff\n'
    """
    text = data.decode(errors="backslashreplace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
