"""What a step says of its columns: checked, told, and nothing to its fingerprint."""

from pathlib import Path

import pytest

from cd4ml.errors import PipelineError
from cd4ml.pipeline.fingerprint import ReachedCode
from cd4ml.pipeline.graph import declared_in
from cd4ml.pipeline.module import imported
from cd4ml.pipeline.sources import Sources

BODY = """
def windy(weather, flights, *, factor: int = 2):
    return weather
"""


def code(folder: Path, decorator: str, head: str = "from cd4ml import step") -> str:
    """The address of the code of `windy`, decorated so."""
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.py").write_text(f"{head}\n\n{decorator}{BODY}")
    return ReachedCode(Sources(folder, "pipeline")).by("pipeline", "windy").address


@pytest.mark.parametrize(
    ("with_columns", "without", "head"),
    [
        ('@step(columns={"a": ["weather.b"]})', "@step", "from cd4ml import step"),
        ('@step(cache=False, columns={"a": []})', "@step(cache=False)", "from cd4ml import step"),
        ('@cd4ml.step(columns={"a": []})', "@cd4ml.step", "import cd4ml"),
        ('@s(columns={"a": []})', "@s", "from cd4ml import step as s"),
        ('@step(timeout="2h", retries=3, backoff=2)', "@step", "from cd4ml import step"),
        ('@step(cpus=2, gpus=1, memory="4GB")', "@step", "from cd4ml import step"),
        ("@step(columns=COLUMNS)", "@step", "from cd4ml import step\nCOLUMNS = {}"),
    ],
)
def test_saying_it_computes_nothing_again(
    tmp_path: Path, with_columns: str, without: str, head: str
) -> None:
    assert code(tmp_path, with_columns, head) == code(tmp_path, without, head)


@pytest.mark.parametrize(
    ("one", "other", "head"),
    [
        ("@step(cache=False)", "@step", "from cd4ml import step"),
        ("@step(columns=1)", "@step(columns=2)", "def step(columns): return lambda f: f"),
        ("@step(columns=1)", "@step(columns=2)", "from own import step"),
        ("@step(rows=1, columns=2)", "@step(rows=2, columns=2)", "from cd4ml import step"),
    ],
)
def test_what_may_decide_a_result_counts_still(
    tmp_path: Path, one: str, other: str, head: str
) -> None:
    (tmp_path / "own.py").write_text("def step(columns): return lambda f: f\n")

    assert code(tmp_path, one, head) != code(tmp_path, other, head)


def declared(folder: Path, columns: str) -> dict[str, tuple[str, ...]]:
    (folder / "pipeline.py").write_text(f"from cd4ml import step\n\n@step(columns={columns}){BODY}")
    with imported(folder, "pipeline") as module:
        (step,) = declared_in(module, folder)
    return step.columns


def test_a_declaration_is_read(tmp_path: Path) -> None:
    said = declared(tmp_path, '{"speed": ["weather.wind.speed", "flights.tail"], "hour": ()}')

    assert said == {"speed": ("weather.wind.speed", "flights.tail"), "hour": ()}


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (
            '{"a": ["wether.b"]}',
            "makes its column 'a' from 'wether.b'; expected INPUT.COLUMN of weather, flights",
        ),
        (
            '{"a": ["weather"]}',
            "makes its column 'a' from 'weather'; expected INPUT.COLUMN of weather, flights",
        ),
        (
            '{"a": ["factor.b"]}',
            "makes its column 'a' from 'factor.b'; expected INPUT.COLUMN of weather, flights",
        ),
        (
            '{"a": [3]}',
            "makes its column 'a' from 3; expected INPUT.COLUMN of weather, flights",
        ),
        ('{"a": "weather.b"}', "has no list of sources for its column 'a', but 'weather.b'"),
        ('["weather.b"]', "has columns that are no mapping, but list"),
    ],
)
def test_a_declaration_that_names_no_input_is_refused(
    tmp_path: Path, columns: str, problem: str
) -> None:
    with pytest.raises(PipelineError) as refused:
        declared(tmp_path, columns)

    assert refused.value.message == f"pipeline.py:3: step 'windy' {problem}"
