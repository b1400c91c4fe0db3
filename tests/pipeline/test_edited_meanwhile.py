"""Projects that are edited, and surroundings that change, while a run goes on and between runs."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from cd4ml.errors import PipelineError
from cd4ml.pipeline.executors.inline import Inline
from cd4ml.pipeline.run import Pipeline, run_pipeline
from cd4ml.records.run import StepRun
from cd4ml.store import rows
from cd4ml.store.blobs import open_blobs
from cd4ml.store.clock import SimulatedClock
from cd4ml.store.database import open_database
from tests.pipeline.projects import edit, project, write

PIPELINE = """
    import json
    import os
    from pathlib import Path
    from cd4ml import step

    HERE = Path(__file__).parent

    @step
    def first() -> int:
        return 1  # one

    @step
    def late(first) -> int:
        import helper
        return helper.VALUE

    @step
    def configured(first) -> dict:
        return json.loads((HERE / "conf.json").read_text())

    @step
    def worded(first, *, name: str = "wor") -> str:
        return Path(HERE, name + "ds").read_text()

    @step
    def listed(first) -> list:
        return sorted(os.listdir(HERE / ("par" + "ts")))

    @step
    def surrounded(first) -> str:
        return os.environ.get("cd4ml_" + "test", "")

    @step
    def noted(first) -> int:
        with (HERE / "calls.txt").open("a") as file:
            file.write("called")
        return 2
"""
LATE = {"late", "configured", "worded", "listed", "surrounded", "noted"}


class Ran(NamedTuple):
    """The steps that were computed, and what each step gave, as stored."""

    computed: set[str]
    values: dict[str, bytes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {"conf.json": '{"a": 1}', "helper": "VALUE = 1  # as it was", "parts/a.part": ""}
    made = project(tmp_path / "project", pipeline=PIPELINE, **files)
    (made / "words").write_text("some")
    return made


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Callable[..., Ran]:
    def ran(before: Callable[[str], object] | None = None, *, state: str = "state") -> Ran:
        """Run it; `before` is called with the name of each step that begins."""
        blobs, database = open_blobs(f"{tmp_path}/blobs"), open_database(f"sqlite:///{tmp_path}/{state}.db")  # fmt: skip
        clock = SimulatedClock(datetime(2013, 1, 1, tzinfo=UTC))
        pipeline = Pipeline(folder, "pipeline", state=tmp_path / state, datasets=[])

        def progress(step: str, state: str, seconds: float) -> None:
            if before is not None and state == "running":
                before(step)

        done = run_pipeline(pipeline, database=database, blobs=blobs, clock=clock, actor="ada",
                            datasets={}, experiment="e", executor=Inline(), progress=progress)  # fmt: skip
        with database.read() as connection:
            steps = rows.find(connection, StepRun, run=done.number)
        database.close()
        computed = {each.step for each in steps if each.state == "computed"}
        return Ran(computed, {each.step: blobs.get(each.output) for each in steps})

    return ran


Run = Callable[..., Ran]


def test_nothing_is_computed_twice(run: Run) -> None:
    assert run().computed == LATE | {"first"}
    assert run().computed == set()
    assert run(state="another").computed == set()


def test_a_late_import_of_an_edited_helper_ends_the_run_and_keeps_nothing_of_it(
    run: Run, folder: Path
) -> None:
    def edit_it(step: str) -> None:
        if step == "late":
            edit(folder, "helper.py", "VALUE = 1", "VALUE = 2")

    with pytest.raises(PipelineError) as caught:
        run(edit_it)
    edit(folder, "helper.py", "VALUE = 2", "VALUE = 1")
    ran = run()

    assert str(caught.value) == (
        "helper.py was edited while the run went on\n"
        "  hint: run again: steps that were finished are kept"
    )
    assert ran.values["late"] == b"1"
    assert "first" not in ran.computed


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("pipeline.py", "# one", "# the first"), ("helper.py", "# as it was", "# as it is")],
)
def test_an_edited_comment_disturbs_no_run(
    run: Run, folder: Path, file: str, old: str, new: str
) -> None:
    assert run(lambda step: step == "late" and edit(folder, file, old, new)).values["late"] == b"1"
    assert run().computed == set()


def test_a_step_is_kept_though_another_one_was_edited_meanwhile(run: Run, folder: Path) -> None:
    run(lambda step: step == "late" and edit(folder, "pipeline.py", '"wor"', '"wo" + "r"'))
    edit(folder, "pipeline.py", "return 2", "return 3")

    assert run().computed == {"noted"}


@pytest.mark.parametrize(
    ("step", "file", "was", "becomes"),
    [("configured", "conf.json", '{"a": 1}', '{"a": 2}'), ("worded", "words", "some", "other")],
)
def test_a_file_that_is_edited_before_it_is_read_poisons_nothing(
    run: Run, folder: Path, step: str, file: str, was: str, becomes: str
) -> None:
    run(lambda name: name == step and (folder / file).write_text(becomes))
    again = run()
    (folder / file).write_text(was)
    back = run()

    assert was.strip('"{}a: ').encode() in back.values[step]
    assert becomes.strip('"{}a: ').encode() in again.values[step]
    assert again.values[step] != back.values[step]


def test_what_a_step_was_seen_to_read_decides_whether_it_is_computed_again(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    (folder / "words").write_text("other")
    words = run()
    write(folder, "parts/b.part", "")
    parts = run()
    monkeypatch.setenv("cd4ml_test", "here")
    variable = run()

    assert (words.computed, words.values["worded"]) == ({"worded"}, b'"other"')
    assert (parts.computed, parts.values["listed"]) == ({"listed"}, b'["a.part", "b.part"]')
    assert (variable.computed, variable.values["surrounded"]) == ({"surrounded"}, b'"here"')


def test_what_was_read_before_is_found_again_also_by_others(run: Run, folder: Path) -> None:
    run()
    (folder / "words").write_text("other")
    run(state="another")
    (folder / "words").write_text("some")

    assert run().computed == set()
    assert run(state="another").computed == {"worded"}  # the entry says what was computed last
    assert "cd4ml_test" not in os.environ
