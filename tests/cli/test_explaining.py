"""`cd4ml explain`: rows and predictions, taken apart."""

import json
from pathlib import Path
from typing import Any

import pytest

from cd4ml.loop import open_project
from cd4ml.loop.candidate import candidate_of, table
from tests.cli.shell import Capture, Shell


@pytest.fixture
def shell(folder: Path, capsys: Capture) -> Shell:
    return Shell(folder, capsys)


@pytest.fixture
def row(folder: Path) -> dict[str, Any]:
    """A patient of the starter's holdout."""
    with open_project(folder) as project:
        holdout = table(project, candidate_of(project, 1).holdout)
    return holdout.drop("malignant").row(0, named=True)


def test_a_row_is_taken_apart(shell: Shell, row: dict[str, Any]) -> None:
    said = shell("explain", "diagnosis/1", "--row", json.dumps(row))

    assert shell.code == 0
    assert said.startswith("diagnosis/1 on this row: 1, where an average request gets ")
    assert "adds (log-odds)" in said
    assert said.rstrip().endswith("taken apart exactly, from its coefficients")


def test_the_parts_are_there_for_programs(shell: Shell, row: dict[str, Any]) -> None:
    (found,) = shell.json("explain", "diagnosis/1", "--row", json.dumps(row))

    explained = found["explained"]
    parts = sum(each["amount"] for each in explained["contributions"])
    assert len(explained["contributions"]) == 30
    assert explained["base"] + parts == pytest.approx(explained["raw"])


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["explain", "diagnosis/1"],
            "cd4ml explain: diagnosis/1 needs a row to explain\n"
            "  hint: cd4ml explain diagnosis/1 --row '{...}'\n",
        ),
        (
            ["explain", "diagnosis/1", "--row", "[1]"],
            "cd4ml explain: expected an object with the fields of a request, got [1]\n"
            "  hint: cd4ml explain delay/3 --row '{\"field\": value}'\n",
        ),
        (
            ["explain", "0" * 32, "--row", "{}"],
            f"cd4ml explain: --row is answered by a version, and '{'0' * 32}' is none\n"
            "  hint: cd4ml explain delay/3 --row '{...}'\n",
        ),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(shell: Shell, words: list[str], error: str) -> None:
    shell(*words)

    assert (shell.code, shell.error) == (2, f"error: {error}")


def test_text_that_is_no_json_is_a_usage_error(shell: Shell) -> None:
    shell("explain", "diagnosis/1", "--row", "{oops")

    assert shell.code == 2
    assert shell.error.startswith("error: cd4ml explain: --row is not JSON: Expecting property")


def test_what_is_no_prediction_says_what_one_looks_like(shell: Shell) -> None:
    shell("explain nonsense")

    assert shell.code == 1
    assert "hex" in shell.error
