"""The prediction log from the command line."""

import json

import pytest

from cd4ml.cli.entry import main
from cd4ml.loop import Project
from tests.starter import ADMIN
from tests.store.answers import answer, append


def told(project: Project, capsys: pytest.CaptureFixture[str], command: str, *more: str) -> str:
    assert main(["--as", ADMIN, "--project", str(project.folder), *command.split(), *more]) == 0
    return capsys.readouterr().out


def test_the_log_is_shown_and_forgets_a_customer(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    append(project.segments, answer(1, key="customer-3"), answer(2, key="customer-4"))

    forgot = told(project, capsys, "log forget customer-3 --reason", "request 17")
    again = told(project, capsys, "log forget HA --field carrier --reason all --json")
    shown = json.loads(told(project, capsys, "log show --json"))

    assert forgot == "1 prediction and 0 labels deleted, 1 file written anew or removed\n"
    assert json.loads(again)["predictions"] == 1
    assert [(table["name"], table["rows"]) for table in shown] == [
        ("predictions", 0),
        ("labels", 0),
    ]
    assert told(project, capsys, "log show").split()[:3] == ["table", "version", "files"]
