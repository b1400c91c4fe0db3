"""Steps that are programs: what they get, what they give, when they run again, how they fail."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from cd4ml.errors import PipelineError
from cd4ml.pipeline.run import DatasetInput, Pipeline, run_pipeline
from cd4ml.records.run import Metric, Run, StepRun
from cd4ml.store import rows
from cd4ml.store.address import address_of
from cd4ml.store.blobs import open_blobs
from cd4ml.store.database import Database, open_database
from tests.pipeline.projects import edit, project, write

if TYPE_CHECKING:
    from cd4ml.store.clock import SimulatedClock

PIPELINE = """
    import polars as pl
    from cd4ml import Metrics, command, step

    cleaned = command(
        "sh clean.sh {flights} {output} {least}",
        inputs={"flights": "csv"},
        output="cleaned.csv",
        parameters={"least": 1},
        code=["lib/*.sh"],
    )
    counted = command(
        ["{python}", "-c", "import json, os; print('counting'); n = len(open(os.environ['CD4ML_INPUT_CLEANED']).read().split()) - 1; json.dump(dict(rows=n), open(os.environ['CD4ML_OUTPUT'], 'w'))"],
        inputs={"cleaned": "csv"},
        output="rows.json",
        code=[],
        metrics=True,
    )

    @step
    def twice(cleaned: pl.DataFrame) -> list:
        return [2 * n for n in cleaned["delay"]]
"""
CLEAN = """
    . ./lib/words.sh
    say cleaning
    echo delay > "$2"
    while read n; do if [ "$n" != delay ] && [ "$n" -ge "$3" ]; then echo "$n" >> "$2"; fi; done < "$1"
"""
FLIGHTS = pl.DataFrame({"delay": [0, 10, 20]})

Start = Callable[..., Run]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {"clean.sh": CLEAN, "lib/words.sh": "say() { echo $1; }\n", "notes.md": "words"}
    return project(tmp_path / "project", pipeline=PIPELINE, **files)


@pytest.fixture
def database(sqlite_url: str) -> Database:
    return open_database(sqlite_url)


@pytest.fixture
def start(folder: Path, database: Database, files_url: str, clock: "SimulatedClock") -> Start:
    def run(**options: Any) -> Run:
        version = DatasetInput("flights@1", address_of(b"flights"), FLIGHTS.lazy)
        return run_pipeline(
            Pipeline(folder, "pipeline", state=folder / ".cd4ml", datasets=["flights"]),
            database=database,
            blobs=open_blobs(files_url),
            clock=clock,
            actor="ada",
            datasets={"flights": version},
            experiment="commands",
            **options,
        )

    return run


def states(database: Database, run: Run) -> dict[str, str]:
    with database.read() as connection:
        return {each.step: each.state for each in rows.find(connection, StepRun, run=run.number)}


def failure(start: Start) -> str:
    with pytest.raises(PipelineError) as caught:
        start()
    return caught.value.message


def test_it_reads_files_and_writes_one(start: Start, database: Database, files_url: str) -> None:
    run = start()

    blobs = open_blobs(files_url)
    assert pl.read_parquet(blobs.path(run.outputs["cleaned"]))["delay"].to_list() == [10, 20]
    assert blobs.get(run.outputs["twice"]) == b"[20, 40]"
    with database.read() as connection:
        assert [(m.name, m.value) for m in rows.find(connection, Metric, run=1)] == [("rows", 2.0)]
        cleaned = rows.find(connection, StepRun, run=1, step="cleaned")[0]
    assert b"cleaning" in blobs.get(cleaned.log)


def test_its_parameters_are_parameters(start: Start, database: Database, files_url: str) -> None:
    start()

    run = start(parameters={"cleaned.least": 15})

    assert run.parameters == {"cleaned.least": 15}
    assert open_blobs(files_url).get(run.outputs["twice"]) == b"[40]"
    assert states(database, start()) == dict.fromkeys(("cleaned", "counted", "twice"), "cached")


EDITS = {
    "its script": ("clean.sh", "say cleaning", "say tidying", {"cleaned"}),
    "what it declares": ("lib/words.sh", "echo $1", "echo $1 $1", {"cleaned"}),
    "its words": ("pipeline.py", "'counting'", "'counting all'", {"counted"}),
    "its default": ("pipeline.py", '"least": 1', '"least": 2', {"cleaned"}),
    "its file's format": ("pipeline.py", '{"flights": "csv"}', '{"flights": "ndjson"}',
                          {"cleaned", "counted", "twice"}),
    "what it does not name": ("notes.md", "words", "other words", set()),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_it_runs_again_when_what_it_is_made_of_changes(
    start: Start, database: Database, folder: Path, name: str
) -> None:
    start()
    file, old, new, expected = EDITS[name]

    edit(folder, file, old, new)

    run = start()
    assert {
        step for step, state in states(database, run).items() if state == "computed"
    } == expected


VARIABLES = {
    "its words": ("pipeline.py", "print('counting')", "print(os.environ.get('REGION'))", "counted"),
    "its script": ("clean.sh", "say cleaning", 'say "${REGION}"', "cleaned"),
    "what it declares": ("lib/words.sh", "echo $1", "echo $1 $REGION", "cleaned"),
}


@pytest.mark.parametrize("name", VARIABLES)
def test_it_runs_again_when_a_variable_that_it_names_has_another_value(
    start: Start, database: Database, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, old, new, step = VARIABLES[name]
    edit(folder, file, old, new)
    monkeypatch.setenv("REGION", "north")
    start()
    assert set(states(database, start()).values()) == {"cached"}

    monkeypatch.setenv("REGION", "south")

    assert states(database, start())[step] == "computed"


def test_without_a_list_of_its_code_every_file_counts(
    start: Start, database: Database, folder: Path
) -> None:
    edit(folder, "pipeline.py", 'code=["lib/*.sh"],', "")
    start()

    edit(folder, "notes.md", "words", "other words")

    assert states(database, start())["cleaned"] == "computed"


def test_a_new_file_of_its_patterns_counts(start: Start, database: Database, folder: Path) -> None:
    start()

    write(folder, "lib/more.sh", "echo more")

    assert states(database, start())["cleaned"] == "computed"


def test_a_program_that_fails_ends_the_run_with_what_it_said(
    start: Start, database: Database, folder: Path
) -> None:
    edit(folder, "clean.sh", "say cleaning", "echo 'no rows' >&2\n    exit 3")

    said = failure(start)

    assert said == "pipeline.py:5: step 'cleaned' failed: CommandFailed: 'sh' ended with exit code 3; it said last:"  # fmt: skip
    with database.read() as connection:
        assert "no rows" in rows.get(connection, StepRun, 1, "cleaned").reason


def test_a_program_that_is_killed_says_by_which_signal(start: Start, folder: Path) -> None:
    edit(folder, "clean.sh", "say cleaning", "kill -9 $$")

    assert failure(start).endswith("CommandFailed: 'sh' was ended by signal 9")


def test_a_program_that_is_not_there_is_named(start: Start, folder: Path) -> None:
    edit(folder, "pipeline.py", "sh clean.sh", "nonesuch clean.sh")

    assert failure(start).endswith(
        "CommandFailed: 'nonesuch' cannot be started: No such file or directory"
    )


def test_a_program_that_writes_nothing_has_failed(start: Start, folder: Path) -> None:
    write(folder, "clean.sh", "exit 0\n")

    assert failure(start).endswith("CommandFailed: the command wrote no {output}, cleaned.csv")


def test_an_output_that_is_not_what_its_name_says_is_refused(start: Start, folder: Path) -> None:
    edit(folder, "pipeline.py", 'output="cleaned.csv"', 'output="cleaned.json"')

    assert "wrote a cleaned.json that cannot be read as such" in failure(start)


def test_any_file_is_kept_as_it_is(start: Start, folder: Path, files_url: str) -> None:
    made = 'made = command("cp notes.md {output}", output="made.md", code=[])\n'
    write(folder, "pipeline", f"from cd4ml import command\n{made}")

    run = start()

    assert open_blobs(files_url).get(run.outputs["made"]) == b"words"


def test_no_shell_stands_between(start: Start, folder: Path, files_url: str) -> None:
    program = '["{python}", "-c", "import sys; open(sys.argv[1], chr(119)).write(sys.argv[2])", "{output}", "{text}"]'
    made = f'made = command({program}, output="made.txt", parameters={{"text": "$(id); a b"}}, code=[])\n'
    write(folder, "pipeline", f"from cd4ml import command\n{made}")

    run = start()

    assert open_blobs(files_url).get(run.outputs["made"]) == b"$(id); a b"


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ('"cat {flight}", inputs=["flights"], output="o.csv"',
         "has {flight} in its command, which is nothing; known: flights, output, python"),
        ('"", output="o.csv"', "has no word to start"),
        ('"cat", output="a/b.csv"', "has no plain name of a file as its output: 'a/b.csv'"),
        ('"cat", inputs=["output"], output="o.csv"',
         "cannot have an input or a parameter named 'output'"),
        ('"cat", inputs=["x"], parameters={"x": 1}, output="o.csv"',
         "has 'x' as an input and as a parameter"),
        ('"cat", inputs={"flights": "xml"}, output="o.csv"',
         "wants 'flights' as 'xml'; known: parquet, csv, ndjson"),
        ('"cat", output="o.csv", code=["none.R"]', "has code 'none.R', where there is no file"),
        ('"cat {", output="o.csv"', "has a word that cannot be read, '{': "),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_runs(
    start: Start, database: Database, folder: Path, call: str, problem: str
) -> None:
    write(folder, "pipeline", f"from cd4ml import command\n\nmade = command({call})\n")

    assert problem in failure(start)
    assert failure(start).startswith("pipeline.py:3: step 'made' ")
    with database.read() as connection:
        assert rows.count(connection, Run) == 0


def test_an_input_that_is_nothing_is_named_with_its_line(start: Start, folder: Path) -> None:
    write(folder, "pipeline",
          'from cd4ml import command\n\nmade = command("cat", inputs=["flight"], output="o.csv")\n')  # fmt: skip

    assert failure(start) == (
        "pipeline.py:3: step 'made' needs 'flight', which is neither a step nor a dataset"
        " (did you mean 'flights'?)"
    )
