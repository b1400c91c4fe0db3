"""`cd4ml pipeline show`, and `cd4ml run` where nothing has changed, as people see them."""

import json
import re
import sys
from pathlib import Path

import pytest

from cd4ml.cli import again
from cd4ml.cli.again import Typed, taken_apart
from tests.cli.shell import Capture, Shell
from tests.pipeline.projects import edit

HEAVY = "cd4ml.loop.train"


@pytest.fixture
def shell(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name in again._STYLED:
        monkeypatch.delenv(name, raising=False)
    return Shell(folder, capsys)


def without_figures(said: str) -> list[str]:
    """The lines, each without what is another one in every run."""
    return [re.sub(r"run/\d+", "run/N", line).replace(" 0.01", " 0.00").rstrip() for line in said.splitlines()]  # fmt: skip


def is_answered(shell: Shell, monkeypatch: pytest.MonkeyPatch, line: str = "run") -> str:
    """What the command says where nothing may be worked out."""
    with monkeypatch.context() as only:
        only.setitem(sys.modules, HEAVY, None)  # importing it fails
        return shell(line)


def test_the_graph_is_listed(shell: Shell) -> None:
    said = shell("pipeline show")

    assert said.startswith("pipeline: 4 steps\n")
    lines = [line.split() for line in said.splitlines()]
    assert ["evaluation", "diagnosis,", "holdout", "Metrics"] in [line[:4] for line in lines]
    assert "strength=1.0" in said


def test_the_graph_is_drawn(shell: Shell) -> None:
    assert shell("pipeline show --format mermaid").startswith("flowchart LR\n")
    assert shell("pipeline show --format svg").startswith("<svg ")
    assert [step["name"] for step in shell.json("pipeline show")["steps"]][-1] == "evaluation"


def test_a_mistake_in_the_graph_is_said_with_its_line(shell: Shell, folder: Path) -> None:
    edit(folder, "pipeline.py", "def evaluation(diagnosis:", "def evaluation(diagnoses:")

    shell("pipeline show")

    assert shell.code == 1


def test_a_run_with_nothing_changed_says_the_same(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shell("run")

    again = is_answered(shell, monkeypatch)

    assert shell.code == 0
    assert without_figures(again) == without_figures(first)
    assert "cached" in again


def test_it_says_the_same_to_machines(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("run")

    again = json.loads(is_answered(shell, monkeypatch, "run --json"))

    assert again["run"]["state"] == "finished"
    assert again == shell.json("compare --limit 1")[0] | {"seconds": again["seconds"]}


def test_where_colours_are_wanted_it_looks_as_ever(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shell("run")
    monkeypatch.setenv("NO_COLOR", "1")

    assert without_figures(is_answered(shell, monkeypatch)) == without_figures(first)


def test_an_edit_is_worked_out(shell: Shell, folder: Path) -> None:
    shell("run")
    edit(folder, "pipeline.py", "strength: float = 1.0", "strength: float = 2.0")

    assert "computed" in shell("run")


@pytest.mark.parametrize(
    ("typed", "apart"),
    [
        (["run"], Typed(("run",))),
        (["--json", "run"], Typed(("run",), is_json=True)),
        (["run", "--as=bo", "--project", "x"], Typed(("run",), "bo", "x")),
        (["--as", "bo", "run", "--set", "a.b=--as"], Typed(("run", "--set", "a.b=--as"), "bo")),
        (["run", "--as"], Typed(("run",))),
        ([], Typed(())),
    ],
)
def test_what_was_typed_is_taken_apart(typed: list[str], apart: Typed) -> None:
    assert taken_apart(typed) == apart
