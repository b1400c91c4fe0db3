"""Make a run again from what it recorded, and say whether the result is the same."""

from __future__ import annotations

import json
import math
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from cd4ml.errors import (
    AlreadyExists,
    Corrupted,
    InvalidInput,
    NotFound,
    PipelineError,
    Unavailable,
)
from cd4ml.loop.access import admit
from cd4ml.loop.rebuild_plan import Packaged, RebuildPlan, Rebuilt, Recorded
from cd4ml.loop.recorded_data import datasets_of, versions_of
from cd4ml.loop.refs import number_in, version_in
from cd4ml.models.manifest import Manifest
from cd4ml.pipeline.apart import Told, run_apart
from cd4ml.pipeline.environment import Environment, differences, present_environment
from cd4ml.pipeline.environments import locked_environment
from cd4ml.pipeline.tree import lay_out_tree
from cd4ml.records.contract import Contract
from cd4ml.records.model_version import Alias, ModelVersion
from cd4ml.records.reproduction import RebuiltStep, Reproduction
from cd4ml.records.run import Run, StepRun
from cd4ml.store import ledger, people, rows

if TYPE_CHECKING:
    from cd4ml.store.project import Project

Progress = Callable[[str, str, float], None]  # step, state, seconds
Where = Literal["recorded", "rebuilt", "this"]

TOLERANCE = 1e-6
_NAMED = 5  # differences of environments in a hint


class _Chosen(NamedTuple):
    """The Python that makes the run again (None for the present one), and what was recorded."""

    where: Where
    python: Path | None
    recorded: Environment


def reproduce(
    project: Project,
    ref: str,
    *,
    tolerance: float = TOLERANCE,
    this_environment: bool = False,
    to: Path | None = None,
    actor: str,
    progress: Progress | None = None,
) -> Reproduction:
    """Make a run, or the run of a model version, again in a clean folder, and compare the two.

    Its code comes from the git revision with the changes that were recorded, or from the files
    that were kept; its data are the versions that it took; its environment is the recorded
    one, which is made from the run's lock where it is not the present one. Every step is
    computed; the project's own files, database and blobs are only read. What was found stands
    in the ledger.

    Args:
        project: Whose run.
        ref: `run/12`, `delay/3` or `delay@champion`.
        tolerance: The largest difference between numbers that counts as none.
        this_environment: Use the present environment whatever the recorded one was.
        to: A new folder for the code, which is kept then.
        actor: Who.
        progress: Is told when a step begins and ends.

    Raises:
        NotFound: If there is no such run or version, or its code or data are no longer there.
        InvalidInput: If the run did not finish or was made outside the pipeline.
        NotAllowed: If it took a restricted dataset and the actor has none of its roles.
        Unavailable: If its environment cannot be made here.
        PipelineError: If the process that makes it ends without a result.
    """
    began = perf_counter()
    run, version = _asked(project, ref, actor)
    steps = _steps_of(project, run)
    if not (math.isfinite(tolerance) and tolerance >= 0):
        msg = f"expected a tolerance of 0 or more, got {tolerance}"
        raise InvalidInput(msg, hint="0 asks for the same numbers, 1e-6 is usual")
    if to is not None and (
        to.is_symlink() or (to.exists() and (to.is_file() or any(to.iterdir())))
    ):
        raise AlreadyExists(f"{to} exists and is not empty", hint="choose a new folder")
    admit(project, *versions_of(project, run), actor=actor, why=f"cd4ml reproduce {run.ref}")
    chosen = _environment(project, run, this_environment=this_environment)
    with tempfile.TemporaryDirectory(prefix="cd4ml-reproduce-") as scratch:
        target = to if to is not None else Path(scratch) / "tree"
        folder = lay_out_tree(run, target, near=project.folder, blobs=project.blobs)
        plan = _plan(project, run, version, steps, folder, Path(scratch), tolerance)
        rebuilt = _made(plan, run, chosen, Path(scratch), progress)
    found = _reproduction(run, version, rebuilt, chosen, tolerance)
    found = msgspec.structs.replace(
        found, folder=str(to) if to is not None else "", seconds=perf_counter() - began
    )
    _write_down(project, found, run, actor)
    return found


def _asked(project: Project, ref: str, actor: str) -> tuple[Run, ModelVersion | None]:
    with project.database.read() as connection:
        people.actor(connection, actor)
        if ref.startswith("run/") or ref.isdigit():
            return rows.get(connection, Run, number_in(ref, "run")), None
        if "@" in ref:
            model, _, name = ref.partition("@")
            number = rows.get(connection, Alias, model, name).number
        else:
            model, number = version_in(ref)
        version = rows.get(connection, ModelVersion, model, number)
        return rows.get(connection, Run, version.run), version


def _steps_of(project: Project, run: Run) -> list[StepRun]:
    if run.state != "finished":
        state = "failed" if run.state == "failed" else f"is {run.state}"
        msg = f"{run.ref} {state}, so there is no result to make again"
        raise InvalidInput(msg, hint="cd4ml compare lists the runs that finished")
    with project.database.read() as connection:
        steps = rows.find(connection, StepRun, run=run.number)
    if not steps:
        msg = f"{run.ref} was made outside the pipeline: nothing says how to make it again"
        raise InvalidInput(msg, hint="what steps of a pipeline compute can be made again")
    return sorted(steps, key=lambda step: step.position)


def _environment(project: Project, run: Run, *, this_environment: bool) -> _Chosen:
    present = present_environment()
    recorded = project.blobs.get_record(run.environment, Environment)
    unlike = differences(recorded, present)
    if not unlike:
        return _Chosen("recorded", None, recorded)
    if this_environment:
        return _Chosen("this", None, recorded)
    listed = "; ".join(unlike[:_NAMED])
    more = f"; and {len(unlike) - _NAMED} more" if len(unlike) > _NAMED else ""
    hint = f"--this-environment takes the present one, which differs: {listed}{more}"
    if not run.lock:
        msg = f"{run.ref} recorded no lock of its environment"
        raise Unavailable(msg, hint=hint)
    lock = project.blobs.get(run.lock).decode()
    try:
        python = locked_environment(recorded, lock, cache=project.state / "environments")
    except Unavailable as error:
        msg = f"the environment of {run.ref} cannot be made here: {error.message}"
        raise Unavailable(msg, hint=hint) from None
    return _Chosen("rebuilt", python, recorded)


def _plan(
    project: Project,
    run: Run,
    version: ModelVersion | None,
    steps: list[StepRun],
    folder: Path,
    scratch: Path,
    tolerance: float,
) -> RebuildPlan:
    store = scratch / "store"
    store.mkdir()
    return RebuildPlan(
        folder=str(folder.absolute()),
        store=str(store),
        result=str(scratch / "result.json"),
        experiment=run.experiment,
        parameters=run.parameters,
        as_of=run.as_of,
        datasets=datasets_of(project, run),
        recorded=tuple(
            Recorded(
                step=step.step,
                kind=step.kind,
                address=step.output,
                path=_kept(project, step.output),
            )
            for step in steps
        ),
        package=_packaged(project, run, version, steps) if version else None,
        tolerance=tolerance,
    )


def _packaged(
    project: Project, run: Run, version: ModelVersion, steps: list[StepRun]
) -> Packaged | None:
    manifest = project.blobs.get_record(version.artifact, Manifest)
    files = manifest.files
    estimator = next((each.step for each in steps if each.output == manifest.estimator), "")
    holdout = project.settings.model.holdout
    if not estimator or holdout not in run.outputs:
        return None  # packaged from something else than this run's steps
    return Packaged(
        estimator=estimator,
        holdout=holdout,
        contract=project.blobs.get_record(version.contract, Contract),
        files=files,
        paths={name: path for name in files if (path := _kept(project, files[name]))},
    )


def _kept(project: Project, address: str) -> str:
    """Where the bytes at an address are; "" if they are gone or damaged."""
    try:
        return str(project.blobs.path(address).absolute())
    except (NotFound, Corrupted):
        return ""


def _made(
    plan: RebuildPlan, run: Run, chosen: _Chosen, scratch: Path, progress: Progress | None
) -> Rebuilt:
    told = scratch / "plan.json"
    told.write_bytes(msgspec.json.encode(plan))
    last: deque[str] = deque(maxlen=10)

    def tell(line: str) -> None:
        if progress is not None:
            step, state, seconds = json.loads(line)
            progress(step, state, seconds)

    code = run_apart(
        "cd4ml.loop.rebuild",
        str(told),
        python=chosen.python,
        folder=Path(plan.folder),
        variables=run.variables,
        told=Told(line=tell, aside=last.append),
    )
    result = Path(plan.result)
    if not result.exists():
        said = "".join(f"\n  | {line}" for line in last)
        msg = f"making {run.ref} again ended without a result (exit code {code}){said}"
        raise PipelineError(msg, hint="--to FOLDER keeps its code, to try it there")
    return msgspec.json.decode(result.read_bytes(), type=Rebuilt)


def _reproduction(
    run: Run,
    version: ModelVersion | None,
    rebuilt: Rebuilt,
    chosen: _Chosen,
    tolerance: float,
) -> Reproduction:
    outcomes = [step.outcome for step in rebuilt.steps]
    order = ("failed", "different", "within_tolerance")
    return Reproduction(
        run=run.ref,
        version=version.ref if version else "",
        outcome=next((each for each in order if each in outcomes), "identical"),
        first=_first(rebuilt.steps),
        steps=rebuilt.steps,
        tolerance=tolerance,
        revision=run.revision,
        is_dirty=run.is_dirty,
        environment=chosen.where,
        environment_differences=differences(chosen.recorded, rebuilt.environment),
        is_same_code=rebuilt.code == run.code if rebuilt.code else None,
    )


def _first(steps: tuple[RebuiltStep, ...]) -> str:
    return next((each.step for each in steps if each.outcome in ("different", "failed")), "")


def _write_down(project: Project, found: Reproduction, run: Run, actor: str) -> None:
    details = {
        "outcome": found.outcome,
        "first": found.first,
        "tolerance": found.tolerance,
        "environment": found.environment,
        "environment_differences": list(found.environment_differences),
        "is_same_code": found.is_same_code,
        "steps": {step.step: step.outcome for step in found.steps},
        "outputs": {step.step: step.rebuilt for step in found.steps},
    }
    with project.database.write() as connection:
        ledger.append(
            connection,
            at=project.clock.now(),
            actor=actor,
            action="run.reproduced",
            subject=found.version or run.ref,
            reason=f"{found.outcome}: {found.first}" if found.first else found.outcome,
            details=details,
        )
