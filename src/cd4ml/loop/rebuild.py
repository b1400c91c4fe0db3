"""Make a run again, in a process and a folder of its own: `python -m cd4ml.loop.rebuild PLAN`.

Nothing here opens the project: what is needed of it stands in the plan, and the data are
read where they lie. The run goes into a database and blobs that are empty, so nothing of it
is taken from the cache.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cd4ml.data.formats import scan
from cd4ml.data.known import arrived_by
from cd4ml.data.partition import rows_of_key
from cd4ml.errors import Cd4mlError
from cd4ml.loop.label import empty_production
from cd4ml.loop.rebuild_plan import Packaged, RebuildPlan, Rebuilt, Recorded, Rows
from cd4ml.loop.train import pipeline_of
from cd4ml.pipeline.agreement import Agreement, agreement, answers_agree, judged
from cd4ml.pipeline.environment import present_environment
from cd4ml.pipeline.graph import StepDeclaration
from cd4ml.pipeline.module import imported
from cd4ml.pipeline.run import DatasetInput, Pipeline, run_pipeline
from cd4ml.pipeline.storage import Kind
from cd4ml.records.reproduction import Part, RebuiltStep
from cd4ml.records.run import Run, StepRun
from cd4ml.store import rows
from cd4ml.store.blobs import Blobs, open_blobs
from cd4ml.store.clock import SystemClock
from cd4ml.store.database import Database, open_database
from cd4ml.store.project import FILE, Project
from cd4ml.store.settings import read_settings

if TYPE_CHECKING:
    import polars as pl

PACKAGE = "package"
_MOST_ROWS = 100_000  # for which two models' answers are compared


def main(path: str) -> None:
    """Carry a plan out, tell of each step on standard output, and write the result down."""
    plan = msgspec.json.decode(Path(path).read_bytes(), type=RebuildPlan)
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what steps print, and what they start, is no answer

    def tell(step: str, state: str, seconds: float) -> None:
        print(json.dumps([step, state, seconds]), file=told, flush=True)

    Path(plan.result).write_bytes(msgspec.json.encode(rebuild(plan, tell)))


def rebuild(plan: RebuildPlan, tell: Callable[[str, str, float], None]) -> Rebuilt:
    """Run the steps of a plan and compare what they give with what was recorded."""
    store = Path(plan.store)
    project = Project(Path(plan.folder), read_settings(Path(plan.folder) / FILE))
    project.state = store / "state"  # nothing but its code is in the folder
    database = open_database(f"sqlite:///{store / 'cd4ml.db'}", folder=store)
    blobs = open_blobs(str(store / "blobs"))
    try:
        return _Rebuilding(plan, project, database, blobs).done(tell)
    finally:
        database.close()


class _Rebuilding:
    def __init__(
        self, plan: RebuildPlan, project: Project, database: Database, blobs: Blobs
    ) -> None:
        self._plan = plan
        self._project = project
        self._database = database
        self._blobs = blobs
        self._steps: dict[str, StepRun] = {}
        self._declared: dict[str, StepDeclaration] = {}

    def done(self, tell: Callable[[str, str, float], None]) -> Rebuilt:
        failure = ""
        try:
            self._run(self._pipeline(), tell)
        except Cd4mlError as error:
            failure = error.message
        if not self._declared:  # there is no pipeline that could have run
            return self._rebuilt([self._compared(each, failure) for each in self._plan.recorded])
        with self._database.read() as connection:
            self._steps = {each.step: each for each in rows.find(connection, StepRun, run=1)}
            code = next((run.code for run in rows.find(connection, Run)), "")
        with imported(self._project.folder, self._project.settings.project.pipeline):
            compared = [self._compared(each, failure) for each in self._plan.recorded]
            if self._plan.package is not None:
                compared.append(self._package(self._plan.package))
        return self._rebuilt(compared, code)

    def _rebuilt(self, steps: list[RebuiltStep], code: str = "") -> Rebuilt:
        return Rebuilt(steps=tuple(steps), code=code, environment=present_environment())

    def _pipeline(self) -> Pipeline:
        pipeline = pipeline_of(self._project)
        self._declared = {step.name: step for step in pipeline.graph.steps}
        return pipeline

    def _run(self, pipeline: Pipeline, tell: Callable[[str, str, float], None]) -> None:
        known = {f"{step.name}.{p.name}" for step in pipeline.graph.steps for p in step.parameters}
        run_pipeline(
            pipeline,
            database=self._database,
            blobs=self._blobs,
            clock=SystemClock(),
            actor="reproduce",
            datasets={name: self._input(each) for name, each in self._plan.datasets.items()},
            as_of=self._plan.as_of,
            experiment=self._plan.experiment,
            targets=[each.step for each in self._plan.recorded],
            parameters={k: v for k, v in self._plan.parameters.items() if k in known},
            progress=tell,
        )

    def _input(self, taken: Rows) -> DatasetInput:
        return DatasetInput(ref=taken.ref, digest=taken.digest, scan=lambda: self._scan(taken))

    def _scan(self, taken: Rows) -> pl.LazyFrame:
        if taken.reading is None:
            frame = empty_production(self._project)
        else:
            frame = scan([Path(path) for path in taken.paths], taken.reading)
        if taken.as_of is not None and taken.contract is not None:
            frame = arrived_by(frame, taken.contract, taken.as_of)
        return frame if taken.partition is None else rows_of_key(frame, *taken.partition)

    def _compared(self, recorded: Recorded, failure: str) -> RebuiltStep:
        made = self._steps.get(recorded.step)
        if made is None or made.state == "failed":
            is_first = not self._steps and recorded == self._plan.recorded[0]
            note = failure if made is not None or is_first else "not reached"
            return _failed(recorded.step, recorded.kind, note)
        found = self._agreement(recorded, made)
        return RebuiltStep(
            step=recorded.step,
            kind=recorded.kind,
            outcome=found.outcome,
            recorded=recorded.address,
            rebuilt=made.output,
            parts=found.parts,
            note=found.note,
            seconds=made.seconds,
        )

    def _agreement(self, recorded: Recorded, made: StepRun) -> Agreement:
        if made.output == recorded.address:
            return Agreement("identical")
        if made.kind != recorded.kind:
            return Agreement("different", note=f"a {made.kind} instead of a {recorded.kind}")
        if not recorded.path:
            return Agreement("different", note="other bytes; the recorded ones are gone")
        if recorded.kind == "model":
            return self._models(recorded, made)
        kind = msgspec.convert(recorded.kind, Kind)
        rebuilt = self._blobs.path(made.output)
        return agreement(kind, Path(recorded.path), rebuilt, tolerance=self._plan.tolerance)

    def _models(self, recorded: Recorded, made: StepRun) -> Agreement:
        from cd4ml.models import estimator

        frame = self._asked(recorded.step)
        if frame is None:
            return Agreement("different", note="other bytes, and no table to ask both models")
        frame = self._requests(recorded.step, frame)
        try:
            # one was recorded by a run of this project, the other was made a moment ago
            before = estimator.load(Path(recorded.path).read_bytes())
            now = estimator.load(self._blobs.get(made.output))
            return answers_agree(before, now, frame, tolerance=self._plan.tolerance)
        except Exception as error:  # whatever an estimator raises: it is the project's own code
            return Agreement("different", note=f"other bytes; asking both failed: {error}")

    def _asked(self, model: str) -> pl.DataFrame | None:
        """Rows that the models of a step can answer: those it is used with, or learned from."""
        together = [step for step in self._declared.values() if model in step.needs]
        names = [name for step in together for name in step.needs]
        for name in [*names, *self._declared[model].needs]:
            if name in self._plan.datasets:
                return self._scan(self._plan.datasets[name]).head(_MOST_ROWS).collect()
            if name in self._steps and self._steps[name].kind == "table":
                return _table(self._blobs.path(self._steps[name].output)).head(_MOST_ROWS)
        return None

    def _requests(self, model: str, frame: pl.DataFrame) -> pl.DataFrame:
        """Of these rows what a model may know: never the target."""
        package = self._plan.package
        if package is not None and package.estimator == model:
            names = package.contract.names
            if set(names) <= set(frame.columns):
                return frame.select(names)
        return frame.drop(self._project.settings.model.target, strict=False)

    def _package(self, wanted: Packaged) -> RebuiltStep:
        """The version's files, made again from the rebuilt estimator and holdout."""
        from cd4ml.models.manifest import Manifest
        from cd4ml.models.own_code import own_code
        from cd4ml.models.package import package

        needed = [self._steps.get(wanted.estimator), self._steps.get(wanted.holdout)]
        if any(each is None or each.state == "failed" for each in needed):
            return _failed(PACKAGE, "package", "not reached")
        try:
            artifact = package(
                self._blobs,
                estimator=self._steps[wanted.estimator].output,
                contract=wanted.contract,
                sample=_table(self._blobs.path(self._steps[wanted.holdout].output)).select(
                    wanted.contract.names
                ),
                is_trusted=lambda address: True,  # made a moment ago
                code=own_code(
                    self._blobs.get(self._steps[wanted.estimator].output), self._project.folder
                ),
            )
        except Cd4mlError as error:
            return _failed(PACKAGE, "package", error.message)
        files = self._blobs.get_record(artifact, Manifest).files
        found = self._files_agree(wanted, files)
        return RebuiltStep(
            step=PACKAGE,
            kind="package",
            outcome=found.outcome,
            rebuilt=artifact,
            parts=found.parts,
            note=found.note,
        )

    def _files_agree(self, wanted: Packaged, files: dict[str, str]) -> Agreement:
        from cd4ml.models.manifest import CONTRACT

        names = dict.fromkeys([*wanted.files, *files])
        unlike = [name for name in names if wanted.files.get(name) != files.get(name)]
        unlike = [name for name in unlike if name != CONTRACT]  # which was given, not made
        if not unlike:
            return Agreement("identical", note=", ".join(sorted(files)))
        parts = [self._file(name, wanted, files) for name in unlike]
        return judged(parts, self._plan.tolerance)

    def _file(self, name: str, wanted: Packaged, files: dict[str, str]) -> Part:
        from cd4ml.models.manifest import PROBES

        if name not in files or name not in wanted.paths:
            return Part(name=name, note="is there in one of them only")
        if name == PROBES:
            rebuilt = self._blobs.path(files[name])
            probes = Path(wanted.paths[name])
            found = agreement("json", probes, rebuilt, tolerance=self._plan.tolerance)
            return Part(name=name, difference=_largest(found))
        # how far the answers of these bytes are apart is what the probes show
        return Part(name=name, difference=0.0 if PROBES in files else None, note="other bytes")


def _largest(found: Agreement) -> float | None:
    sizes = [part.difference for part in found.parts]
    known = [size for size in sizes if size is not None]
    return None if len(known) < len(sizes) else max(known, default=0.0)


def _table(path: Path) -> pl.DataFrame:
    import polars as pl

    return pl.read_parquet(path, glob=False, hive_partitioning=False)


def _failed(step: str, kind: str, note: str) -> RebuiltStep:
    return RebuiltStep(step=step, kind=kind, outcome="failed", note=note)


if __name__ == "__main__":
    main(sys.argv[1])
