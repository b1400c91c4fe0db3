"""Searches on the command line."""

import json
from pathlib import Path

import pytest

from cd4ml.cli import main
from cd4ml.loop import open_project
from cd4ml.loop.people import add_person

PIPELINE = """
from cd4ml import Metrics, step


@step
def evaluation(*, x: float = 0.0, kind: str = "a") -> Metrics:
    if x > 9:
        raise ValueError("too far")
    return {"auc": x / 10, "rows": 3.0}
"""

SETTINGS = """
[project]
name = "small"

[search.few]
try = { "evaluation.x" = "1..3", "evaluation.kind" = ["a", "b"] }
metric = "auc"
workers = 1
"""


@pytest.fixture
def home(tmp_path: Path) -> list[str]:
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "cd4ml.toml").write_text(SETTINGS)
    with open_project(tmp_path) as project:
        add_person(project, "ann", roles=(), actor="ann")
    return ["--project", str(tmp_path), "--as", "ann"]


def typed(words: str, home: list[str]) -> int:
    return main([*words.split(), *home])


@pytest.mark.slow
def test_a_search_is_written_down_narrowed_shown_and_listed(
    home: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("search few", home) == 0
    said = capsys.readouterr().out
    assert typed("search few --set evaluation.kind=b --json", home) == 0
    narrowed = json.loads(capsys.readouterr().out)
    assert typed("search show 1 --limit 2", home) == 0
    shown = capsys.readouterr().out
    assert typed("search list", home) == 0
    listed = capsys.readouterr().out

    assert said.startswith("search/1 finished: all trials have ended\n")
    assert "The best of 6 looks better than it is: these rows have chosen it." in said
    assert "hint: cd4ml gate run/" in said
    plan = narrowed["search"]["plan"]
    assert (plan["fixed"], list(plan["space"])) == ({"evaluation.kind": "b"}, ["evaluation.x"])
    assert narrowed["best"]["value"] == 0.3
    assert "and 4 trials more" in shown
    assert "search/2  few" in listed


@pytest.mark.slow
def test_what_failed_is_said_and_a_search_of_failures_fails(
    home: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("run --grid evaluation.x=1,20 --workers 1", home) == 0
    said = capsys.readouterr().out
    assert typed("search --try evaluation.x=20 --workers 1", home) == 1
    failed = capsys.readouterr().out
    assert typed("run --grid evaluation.x=1,20 --workers 1 --set evaluation.kind=b", home) == 0
    assert "looks better than it is" not in capsys.readouterr().out

    assert failed.splitlines()[-1].strip() == "hint: cd4ml show run/3"
    assert "1 finished, 1 failed" in said
    assert "- trial 1: pipeline.py:8: step 'evaluation' failed: ValueError: too far" in said
    assert "auc" in said  # without a metric of its own every metric is shown
    assert "rows" in said
    assert "hint: cd4ml compare --search 1 --best METRIC" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("search start many", "no [search.many] in cd4ml.toml\n  hint: known: few"),
        ("search --try evaluation.x", "expected NAME=VALUE, got 'evaluation.x'"),
        ("search few --portions a,b", "expected shares like 0.1,0.3,1, got 'a,b'"),
        ("search --try evaluation.x=1 --try evaluation.x=2",
         "cd4ml search: --try evaluation.x is given twice"),
        ("search show x", "expected search/NUMBER, got 'x'"),
        ("search resume 4", "no search '4'\n  hint: there are none yet"),
        ("search start", "a search needs a parameter with the values to try"),
    ],
)  # fmt: skip
def test_what_is_no_search_is_said(
    words: str, message: str, home: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(words, home) in (1, 2)

    assert message in capsys.readouterr().err
