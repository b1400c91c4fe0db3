"""What was in production, how it goes and who is told, from the command line."""

import json
from pathlib import Path

import pytest

from cd4ml.cli.entry import main
from cd4ml.loop import Project
from cd4ml.loop.promote import approve
from tests.starter import ADMIN, MANAGER

WEBHOOK = """
[webhooks.chat]
url = "http://127.0.0.1:9/in?key=secret"
secret = "env:CHAT_SECRET"
events = ["release.*"]
"""


@pytest.fixture
def answer(project: Project, capsys: pytest.CaptureFixture[str]) -> "Answers":
    return Answers(project.folder, capsys)


class Answers:
    """Commands typed in the project's folder, and what they say."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys

    def __call__(self, command: str, *words: str, leaves_with: int = 0) -> str:
        typed = [*command.split(), *words]
        code = main(["--as", ADMIN, "--project", str(self._folder), *typed])
        said = self._capsys.readouterr()
        assert code == leaves_with, said.err
        return said.out if code == 0 else said.err


def test_what_is_in_production_is_told_with_who_agreed(project: Project, answer: Answers) -> None:
    assert answer("production") == "nothing: no release had begun\n"

    approve(project, "release/2", reason="looks good", actor=MANAGER)

    said = answer("production", "--model", "diagnosis")
    assert said.startswith("diagnosis in production at ")
    assert "which holds now" in said
    assert f"release/2 approved by {MANAGER} at " in said
    assert said.rstrip().endswith(": looks good")
    assert answer("production", "--at", "2013-03-03 14:00") == "nothing: no release had begun\n"
    (told,) = json.loads(answer("production", "--json"))
    assert [(each["version"], each["weight_percent"]) for each in told["versions"]] == [
        ("diagnosis/1", 100.0)
    ]
    assert "is yet to come" in answer("production", "--at", "2999-01-01", leaves_with=1)


def test_delivery_is_told_at_once_and_week_by_week(project: Project, answer: Answers) -> None:
    approve(project, "release/2", reason="looks good", actor=MANAGER)

    total = answer("metrics")
    weeks = answer("metrics", "--by", "week")

    assert "release frequency    1 released" in total
    assert "change failure rate  0% (0% to 79%), 0 of 1" in total
    columns = ["from", "released", "lead", "failed", "restored", "fixed", "labels", "passed"]
    assert weeks.splitlines()[0].split() == columns
    assert weeks.splitlines()[-1].split()[1] == "1"
    (told,) = json.loads(answer("metrics", "--json"))
    assert (told["releases"], told["time_to_restore"]["median_hours"]) == (1, None)


def test_past_candidates_are_shown_by_another_policy(project: Project, answer: Answers) -> None:
    strict = project.folder / "strict.toml"
    strict.write_text('[[gate]]\nmetric = "auc"\nat_least = 1.0\n')

    said = answer("gate replay", "--policy", str(strict))

    assert said.splitlines()[0].endswith(" on 1 candidate")
    assert "would have stopped     1 of 1" in said
    assert "bad releases stopped   none is known" in said
    assert "  - diagnosis/1: auc at least 1: 0.9" in said
    assert "would have stopped     0 of 1" in answer("gate replay")
    missing = answer("gate replay", "--policy", "nowhere.toml", leaves_with=1)
    assert missing.startswith("error: the policy nowhere.toml cannot be read")


def test_webhooks_are_listed_with_what_waits_and_was_given_up(
    project: Project, answer: Answers
) -> None:
    assert answer("webhook list") == "none: add [webhooks.NAME] to cd4ml.toml\n"

    with (project.folder / "cd4ml.toml").open("a") as file:
        file.write(WEBHOOK)

    listed = answer("webhook list")
    assert "http://127.0.0.1:9/in " in listed
    assert "secret" not in listed.replace("CHAT_SECRET", "")
    assert "hint: chat: the environment variable CHAT_SECRET is not set" in listed
    assert answer("webhook dead", "chat") == "nothing was given up\n"
    assert answer("webhook resend", "chat").startswith("nothing was given up:")
    assert answer("webhook resend", "chat", "--entry", "1").startswith("entry 1 (")
    (told,) = json.loads(answer("webhook list", "--json"))
    assert (told["name"], told["waiting"]) == ("chat", 1)
