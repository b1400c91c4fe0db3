"""Runs: what is computed, what is taken from before, what is recorded, what a failure leaves."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from cd4ml.errors import InvalidInput, PipelineError
from cd4ml.pipeline.run import DatasetInput, Pipeline, run_pipeline
from cd4ml.records.run import Metric, Run, StepRun
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.address import address_of
from tests.pipeline.projects import edit, project, write

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.clock import SimulatedClock
    from cd4ml.store.database import Database

PIPELINE = """
    from pathlib import Path

    import polars as pl
    from cd4ml import Metrics, Model, step

    from models import Share

    CALLS = Path(__file__).parent / "calls.txt"

    def called(name):
        with CALLS.open("a") as file:
            file.write(name + "\\n")

    @step
    def features(flights: pl.LazyFrame, *, least: int = 0) -> pl.DataFrame:
        called("features")
        assert isinstance(flights, pl.LazyFrame)
        return flights.filter(pl.col("delay") >= least).collect()

    @step
    def late(features: pl.LazyFrame, *, minutes: int = 15) -> Model:
        called("late")
        assert isinstance(features, pl.LazyFrame)
        return Share(features.select((pl.col("delay") >= minutes).mean()).collect().item())

    @step
    def evaluation(late: Model, features: pl.DataFrame) -> Metrics:
        called("evaluation")
        return {"share": late.predict(features), "rows": features.height}

    @step
    def carriers(flights: pl.DataFrame) -> list:
        called("carriers")
        return sorted(flights["carrier"].unique())
"""

MODELS = """
    class Share:
        def __init__(self, share):
            self.share = share

        def predict(self, rows):
            return self.share
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project(tmp_path / "project", pipeline=PIPELINE, models=MODELS)


@pytest.fixture
def start(
    folder: Path, sqlite_url: str, files_url: str, clock: "SimulatedClock"
) -> Callable[..., Run]:
    from cd4ml.store.blobs import open_blobs
    from cd4ml.store.database import open_database

    def run(delays: tuple[int, ...] = (0, 10, 20, 30), **options: Any) -> Run:
        return started(folder, open_database(sqlite_url), open_blobs(files_url), clock,
                       delays, **options)  # fmt: skip

    return run


def started(
    folder: Path,
    database: "Database",
    blobs: "Blobs",
    clock: Any,
    delays: tuple[int, ...] = (0, 10, 20, 30),
    **options: Any,
) -> Run:
    table = pl.DataFrame({"delay": delays, "carrier": ["UA", "AA"] * (len(delays) // 2)})
    version = DatasetInput("flights@1", address_of(repr(delays).encode()), table.lazy)
    pipeline = Pipeline(folder, "pipeline", state=folder / ".cd4ml", datasets=["flights"])
    given = {"datasets": {"flights": version}, "experiment": "delays", **options}
    return run_pipeline(pipeline, database=database, blobs=blobs, clock=clock, actor="ada", **given)


@pytest.fixture
def database(sqlite_url: str) -> "Database":
    from cd4ml.store.database import open_database

    return open_database(sqlite_url)


def calls(folder: Path) -> list[str]:
    """The steps that were really executed since the last look."""
    path = folder / "calls.txt"
    found = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def states(database: "Database", run: Run) -> dict[str, str]:
    with database.read() as connection:
        return {each.step: each.state for each in rows.find(connection, StepRun, run=run.number)}


def test_a_run_records_all_that_decided_it(
    start: Callable[..., Run], database: "Database", folder: Path, clock: "SimulatedClock"
) -> None:
    run = start(parameters={"late.minutes": 20}, search=4)

    assert (run.ref, run.state, run.experiment, run.search) == ("run/1", "finished", "delays", 4)
    assert run.parameters == {"features.least": 0, "late.minutes": 20}
    assert run.refs == {"flights": "flights@1"}
    assert run.datasets["flights"].startswith("blake3:")
    assert (run.started_at, run.finished_at, run.created_by) == (clock.now(), clock.now(), "ada")
    assert set(run.outputs) == {"features", "late", "evaluation", "carriers"}
    with database.read() as connection:
        assert rows.get(connection, Run, 1) == run
        steps = sorted(rows.find(connection, StepRun, run=1), key=lambda each: each.position)
        assert [(s.step, s.state, s.kind) for s in steps] == [
            ("features", "computed", "table"),
            ("late", "computed", "model"),
            ("evaluation", "computed", "metrics"),
            ("carriers", "computed", "json"),
        ]
        assert [(m.name, m.value) for m in rows.find(connection, Metric, run=1)] == [
            ("rows", 4.0), ("share", 0.5),
        ]  # fmt: skip
        (entry,) = ledger.entries(connection, "run/1")
        assert (entry.action, entry.actor) == ("run.finished", "ada")
        hops = lineage.upstream(connection, run.outputs["evaluation"])
    assert {(hop.edge.role, hop.node.name) for hop in hops} >= {
        ("output", "run/1"), ("input", "late of run/1"), ("input", "features of run/1"),
    }  # fmt: skip


def test_a_run_with_nothing_changed_computes_nothing(
    start: Callable[..., Run], database: "Database", folder: Path
) -> None:
    first = start()
    calls(folder)

    second = start()

    assert calls(folder) == []
    assert second.outputs == first.outputs
    assert set(states(database, second).values()) == {"cached"}
    with database.read() as connection:
        assert len(rows.find(connection, Metric, run=second.number)) == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"parameters": {"late.minutes": 25}}, ["late", "evaluation"]),
        ({"parameters": {"late.minutes": 12}}, ["late"]),  # as many are 12 minutes late as 15
        ({"parameters": {"late.minutes": 15}}, []),
        ({"delays": (0, 10, 20, 40)}, ["features", "late", "evaluation", "carriers"]),
    ],
)
def test_only_what_a_change_reaches_is_computed(
    start: Callable[..., Run], folder: Path, options: dict[str, Any], expected: list[str]
) -> None:
    start()
    calls(folder)

    start(**options)

    assert calls(folder) == expected


def test_an_edit_of_code_computes_what_reaches_it(start: Callable[..., Run], folder: Path) -> None:
    start()
    calls(folder)

    edit(folder, "models.py", "return self.share", "return self.share * 100")

    run = start()
    assert calls(folder) == ["late", "evaluation"]
    assert run.state == "finished"


def test_the_code_of_an_estimator_counts_through_every_step_that_wraps_it(
    start: Callable[..., Run], folder: Path, database: "Database"
) -> None:
    """An estimator's bytes hold the names of its classes; their code is elsewhere."""
    wraps = """
    from models import Wrap

    @step
    def wrapped(late: Model) -> Model: return Wrap(late)

    @step
    def answer(wrapped: Model) -> float: return wrapped.predict(None)
    """
    write(folder, "pipeline", PIPELINE + wraps)
    wrap = """
    class Wrap:
        def __init__(self, inner):
            self.inner = inner

        def predict(self, rows):
            return self.inner.predict(rows)
    """
    write(folder, "models", MODELS + wrap)
    start(targets=["answer"])

    edit(folder, "models.py", "return self.share", "return self.share * 100")

    run = start(targets=["answer"])
    assert set(states(database, run).values()) == {"cached", "computed"}
    assert states(database, run)["answer"] == "computed"


def test_a_target_runs_with_what_it_needs_only(start: Callable[..., Run], folder: Path) -> None:
    run = start(targets=["late"])

    assert calls(folder) == ["features", "late"]
    assert set(run.outputs) == {"features", "late"}
    assert "features.least" in run.parameters


def test_a_step_without_cache_is_computed_every_time(
    start: Callable[..., Run], folder: Path
) -> None:
    edit(folder, "pipeline.py", "@step\ndef features", "@step(cache=False)\ndef features")
    start()
    calls(folder)

    start()

    assert calls(folder) == ["features"]


def test_progress_tells_each_step(start: Callable[..., Run]) -> None:
    told: list[tuple[str, str]] = []
    start(targets=["features"])

    start(targets=["late"], progress=lambda step, state, seconds: told.append((step, state)))

    assert told == [
        ("features", "running"), ("features", "cached"),
        ("late", "running"), ("late", "computed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": {"late.hours": 1}}, "no parameter named 'late.hours'"),
        ({"parameters": {"late.minutes": "x"}},
         "parameter 'late.minutes': expected `int`, got `str`"),
        ({"targets": ["early"]}, "no step named 'early'"),
        ({"datasets": {}}, "the dataset 'flights' has no version to run with"),
    ],
)  # fmt: skip
def test_a_wrong_wish_leaves_no_trace(
    start: Callable[..., Run], database: "Database", options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        start(**options)

    assert caught.value.message == message
    with database.read() as connection:
        assert rows.count(connection, Run) == 0


def test_a_failing_step_is_recorded_with_its_place_and_traceback(
    start: Callable[..., Run], database: "Database", folder: Path
) -> None:
    edit(folder, "models.py", "self.share = share", "raise ValueError('no share')")

    with pytest.raises(PipelineError) as caught:
        start()

    assert str(caught.value) == (
        "models.py:4: step 'late' failed: ValueError: no share\n"
        "  hint: run/1 keeps the traceback; finished steps will not run again"
    )
    with database.read() as connection:
        run = rows.get(connection, Run, 1)
        assert (run.state, run.reason) == ("failed", caught.value.message)
        assert set(run.outputs) == {"features"}
        step = rows.get(connection, StepRun, 1, "late")
        assert step.state == "failed"
        assert step.reason.splitlines()[0] == "Traceback (most recent call last):"
        assert step.reason.splitlines()[-1] == "ValueError: no share"
        assert "execution.py" not in step.reason
        assert ledger.entries(connection, "run/1")[0].action == "run.failed"


def test_the_last_words_of_a_step_are_kept_whatever_they_are(
    start: Callable[..., Run], database: "Database", folder: Path
) -> None:
    """A NUL, and half a surrogate pair: no database keeps them."""
    words = r"raise ValueError('no \0 share \udce9')"
    edit(folder, "models.py", "self.share = share", words)

    with pytest.raises(PipelineError):
        start()

    with database.read() as connection:
        assert rows.get(connection, Run, 1).reason.endswith("ValueError: no � share �")
        assert rows.get(connection, StepRun, 1, "late").state == "failed"


def test_after_a_failure_finished_steps_are_not_repeated(
    start: Callable[..., Run], folder: Path
) -> None:
    edit(folder, "models.py", "self.share = share", "raise ValueError('no share')")
    with pytest.raises(PipelineError):
        start()
    calls(folder)

    edit(folder, "models.py", "raise ValueError('no share')", "self.share = share")
    start()

    assert calls(folder) == ["late", "evaluation", "carriers"]


@pytest.mark.parametrize("way_out", ["sys.exit(3)", "raise KeyboardInterrupt"])
def test_a_step_that_leaves_ends_the_run(
    start: Callable[..., Run], database: "Database", folder: Path, way_out: str
) -> None:
    edit(folder, "models.py", "self.share = share", f"import sys; {way_out}")

    with pytest.raises((PipelineError, KeyboardInterrupt)):
        start()

    with database.read() as connection:
        assert rows.get(connection, Run, 1).state == "failed"


def test_a_metric_that_is_not_finite_fails_its_step(
    start: Callable[..., Run], folder: Path
) -> None:
    edit(folder, "models.py", "return self.share", "return float('nan')")

    with pytest.raises(PipelineError) as caught:
        start()

    assert caught.value.message == (
        "pipeline.py:27: step 'evaluation': metric 'share' is nan, not a finite number"
    )


def test_one_metric_has_one_value(start: Callable[..., Run], folder: Path) -> None:
    more = "\n@step\ndef again(late: Model) -> Metrics:\n    return {'share': 1.0}\n"
    (folder / "pipeline.py").write_text((folder / "pipeline.py").read_text() + more)

    with pytest.raises(PipelineError) as caught:
        start()

    assert caught.value.message == "the steps 'evaluation' and 'again' both give 'share'"


def test_an_output_that_is_gone_is_computed_again(
    start: Callable[..., Run], folder: Path, files_url: str
) -> None:
    from cd4ml.store.blobs import open_blobs

    first = start()
    calls(folder)
    open_blobs(files_url).path(first.outputs["late"]).unlink()

    second = start()

    assert calls(folder) == ["late"]
    assert second.outputs == first.outputs


def test_an_output_that_is_damaged_is_computed_again(
    start: Callable[..., Run], folder: Path, files_url: str
) -> None:
    from cd4ml.store.blobs import open_blobs

    first = start()
    calls(folder)
    blobs = open_blobs(files_url)
    path = blobs.path(first.outputs["features"])
    path.chmod(0o644)
    path.write_bytes(b"damage")

    start()

    assert calls(folder) == ["features"]
    assert blobs.path(first.outputs["features"]).read_bytes() != b"damage"


def test_code_that_is_edited_while_the_run_begins_is_not_taken_for_what_was_fingerprinted(
    start: Callable[..., Run], folder: Path
) -> None:
    def edit_models(step: str, state: str, seconds: float) -> None:
        if step == "features":
            edit(folder, "models.py", "self.share = share", "self.share = share * 2")

    with pytest.raises(PipelineError) as caught:
        start(progress=edit_models)

    assert str(caught.value) == (
        "models.py was edited while the run went on\n"
        "  hint: run again: steps that were finished are kept"
    )
    assert start().state == "finished"


def test_a_step_cannot_change_what_others_get(start: Callable[..., Run], folder: Path) -> None:
    write(
        folder,
        "pipeline",
        """
        from cd4ml import step

        @step
        def numbers() -> list: return [1, 2]

        @step
        def spoiler(numbers: list) -> int:
            numbers.append(3)
            return len(numbers)

        @step
        def reader(numbers: list, spoiler: int) -> int: return len(numbers)
    """,
    )

    run = start()

    from cd4ml.store.blobs import open_blobs

    blobs = open_blobs(str(folder.parent / "blobs"))
    assert json.loads(blobs.get(run.outputs["reader"])) == 2


def test_a_file_that_a_step_writes_is_not_its_input(
    start: Callable[..., Run], folder: Path, database: "Database"
) -> None:
    write(
        folder,
        "pipeline",
        """
        from pathlib import Path
        from cd4ml import step

        HERE = Path(__file__).parent

        @step
        def numbers() -> list:
            with (HERE / "steps.log").open("a") as log:
                log.write("computed")
            (HERE / "numbers.json").write_text("[1, 2]")
            return [1, 2]
    """,
    )
    start()

    run = start()

    assert states(database, run) == {"numbers": "cached"}


def test_two_databases_and_stores_behave_alike(
    folder: Path, database_url: str, blobs: "Blobs", clock: "SimulatedClock"
) -> None:
    from cd4ml.store.database import open_database

    opened = open_database(database_url)

    first = started(folder, opened, blobs, clock)
    second = started(folder, opened, blobs, clock)

    assert first.outputs == second.outputs
    assert set(states(opened, second).values()) == {"cached"}
    opened.close()


KILLED = """
import sys
from pathlib import Path
from cd4ml.store.blobs import open_blobs
from cd4ml.store.clock import SystemClock
from cd4ml.store.database import open_database
from tests.pipeline.test_run import started
folder, database, blobs = sys.argv[1:]
started(Path(folder), open_database(database), open_blobs(blobs), SystemClock())
"""


@pytest.mark.crash
@pytest.mark.parametrize("step", ["late", "evaluation"])
def test_a_killed_run_goes_on_where_it_was(
    start: Callable[..., Run],
    database: "Database",
    folder: Path,
    sqlite_url: str,
    files_url: str,
    step: str,
) -> None:
    # at once: what it is built on was written down before it began
    end = f"import os, time; os.kill(os.getppid(), {signal.SIGKILL.value}); time.sleep(9)"
    kill = f'called("{step}")\n    {end}'
    edit(folder, "pipeline.py", f'called("{step}")', kill)
    command = [sys.executable, "-c", KILLED, str(folder), sqlite_url, files_url]
    root = Path(__file__).parents[2]
    died = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    )
    assert died.returncode == -signal.SIGKILL
    done = calls(folder)[:-1]

    edit(folder, "pipeline.py", kill, f'called("{step}")')
    run = start()

    assert calls(folder) == [s for s in ("features", "late", "evaluation", "carriers")
                             if s not in done]  # fmt: skip
    assert (run.number, run.state) == (2, "finished")
    with database.read() as connection:
        interrupted = rows.get(connection, Run, 1)
    assert (interrupted.state, interrupted.reason) == ("failed", "interrupted: its process ended")


def test_a_run_that_is_alive_is_not_taken_for_dead(
    start: Callable[..., Run], database: "Database", folder: Path
) -> None:
    seen: list[str] = []

    def look(step: str, state: str, seconds: float) -> None:
        if step == "late" and not seen:
            seen.append(start(targets=["features"]).ref)
            with database.read() as connection:
                seen.append(rows.get(connection, Run, 1).state)

    run = start(progress=look)

    assert seen == ["run/2", "running"]
    assert run.state == "finished"
    assert list((folder / ".cd4ml" / "runs").iterdir()) == []
