"""Runs found, shown, described, deleted and restored from the command line."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import cd4ml
from cd4ml.loop import open_project
from cd4ml.loop.people import add_person
from tests.cli.shell import Capture, Shell
from tests.starter import ADMIN


@pytest.fixture(scope="module")
def tracked_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with four runs of two experiments."""
    folder = tmp_path_factory.mktemp("tracked")
    (folder / "cd4ml.toml").write_text('[project]\nname = "tracked"\n')
    with open_project(folder) as project:
        add_person(project, ADMIN, roles=(), actor=ADMIN)
    for depth, auc in ((3, 0.61), (6, 0.72), (9, 0.70)):
        _log(folder, "how deep?", depth, auc)
    _log(folder, "other", 6, 0.5)
    return folder


def _log(folder: Path, experiment: str, depth: int, auc: float) -> None:
    with cd4ml.run(
        experiment,
        name=f"depth {depth}",
        tags={"team": "ops"},
        parameters={"depth": depth},
        project=folder,
        actor=ADMIN,
    ) as run:
        for step in range(3):
            run.log(loss=1 / (step + depth))
        run.log(auc=auc)
        run.log_text("so", "notes.txt")


@pytest.fixture
def project(tracked_folder: Path, tmp_path: Path) -> Path:
    """The project of this test alone."""
    return Path(shutil.copytree(tracked_folder, tmp_path / "own"))


@pytest.fixture
def shell(tracked_folder: Path, capsys: Capture) -> Shell:
    return Shell(tracked_folder, capsys)


def refs(page: dict[str, Any]) -> list[int]:
    return [report["run"]["number"] for report in page["runs"]]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), [4, 3, 2, 1]),
        (("list",), [4, 3, 2, 1]),
        (("--where", "metrics.auc > 0.65"), [3, 2]),
        (("--sort", "metrics.auc"), [2, 3, 1, 4]),
        (("--sort", "metrics.loss"), [3, 4, 2, 1]),
        (("--sort", "params.depth desc, number", "--limit", "2"), [3, 2]),
        (("--limit", "2", "--skip", "1"), [3, 2]),
        (("--experiment", "other"), [4]),
        (("--where", "params.depth = 6 and experiment = 'how deep?'"), [2]),
    ],
)
def test_runs_are_found(shell: Shell, words: tuple[str, ...], expected: list[int]) -> None:
    page = shell.json("runs", *words)

    assert refs(page) == expected


def test_a_page_says_how_many_there_are(shell: Shell) -> None:
    assert shell("runs --limit 2").splitlines()[-1] == "1 to 2 of 4"
    assert shell("runs", "--where", "number = 99") == "no run\n"


def test_runs_are_grouped(shell: Shell) -> None:
    said = shell("runs --group-by params.depth --metrics auc")

    assert [line.split() for line in said.splitlines()] == [
        ["params.depth", "runs", "auc", "mean", "auc", "low", "auc", "high"],
        ["─" * len(said.splitlines()[1])],
        ["3", "1", "0.6100", "0.6100", "0.6100"],
        ["6", "2", "0.6100", "0.5000", "0.7200"],
        ["9", "1", "0.7000", "0.7000", "0.7000"],
    ]


def test_metrics_that_most_runs_have_come_first(project: Path, capsys: Capture) -> None:
    shell = Shell(project, capsys)
    with cd4ml.run(project=project, actor=ADMIN) as run:
        run.log({f"m{i}": i for i in range(6)})

    said = shell("runs")

    assert said.split()[3:11] == ["experiment", "auc", "loss", "m0", "m1", "m2", "m3", "began"]
    assert "hint: 2 more metrics" in said


def test_what_became_a_file_and_a_folder_is_written_both(
    project: Path, capsys: Capture, tmp_path: Path
) -> None:
    for path, text in (("notes.txt/more.txt", "deeper"), ("notes.txt", "so")):
        with cd4ml.run(resume="run/1", project=project, actor=ADMIN) as run:
            run.log_text(text, path)

    Shell(project, capsys)("runs files 1", str(tmp_path / "out"))

    found = {
        str(p.relative_to(tmp_path / "out")): p.read_text()
        for p in tmp_path.rglob("*.txt*")
        if p.is_file()
    }
    assert found == {"notes.txt/more.txt": "deeper", "notes.txt (file)": "so"}


def test_a_run_is_shown_with_all_that_it_logged(shell: Shell, tmp_path: Path) -> None:
    said = shell("runs show 2")

    assert "run/2 depth 6" in said
    assert "depth = 6" in said
    assert "team = ops" in said
    assert "notes.txt (2 B)" in said
    assert [line.split() for line in said.splitlines() if line.startswith("loss")] == [
        ["loss", "0.1250", "2", "0.1250", "0.1667", "3"]
    ]
    points = shell.json("runs points 2 loss --skip 1")
    assert [(point["step"], point["value"]) for point in points] == [(1, 1 / 7), (2, 1 / 8)]
    shell("runs files 2", str(tmp_path / "out"))
    assert (tmp_path / "out" / "notes.txt").read_text() == "so"
    shell("runs files 2", str(tmp_path / "out"))
    assert shell.code == 1
    assert "exists already, and is left as it is" in shell.error


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (
            ("--where", "metrics.auc >> 1"),
            1,
            "error: expected a value, got '>':\n    metrics.auc >> 1\n                 ^\n",
        ),
        (
            ("--where", "metrics.acu > 1"),
            1,
            "error: no run has the metric 'acu'\n  hint: known: auc, loss\n",
        ),
        (("--sort", "metrics.acu"), 1, "error: no run has the metric 'acu'\n  hint: known: auc, loss\n"),
        (
            ("--experiment", "none"),
            1,
            "error: no experiment named 'none'\n  hint: known: how deep?, other\n",
        ),
        (
            ("--group-by", "params.depth", "--sort", "number"),
            2,
            "error: cd4ml runs: --sort and --group-by exclude each other\n"
            "  hint: cd4ml runs list --help\n",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_explained(
    shell: Shell, words: tuple[str, ...], code: int, error: str
) -> None:
    shell("runs", *words)

    assert (shell.code, shell.error) == (code, error)


def test_a_run_is_described(shell: Shell) -> None:
    run = shell.json(
        "runs change 1 --name", "the first", "--note", "*so*", "--tag", "kind=x", "--untag", "team"
    )

    assert (run["name"], run["note"], run["tags"]) == ("the first", "*so*", {"kind": "x"})
    shell("runs change 1 --untag team")
    assert shell.error == "error: run/1 has no tag 'team'\n  hint: it has: kind\n"
    shell("runs change 1")
    assert shell.error == (
        "error: cd4ml runs change: expected --name, --note, --tag or --untag\n"
        "  hint: cd4ml runs change --help\n"
    )


def test_runs_are_deleted_and_restored(shell: Shell) -> None:
    assert shell("runs delete run/1 2") == (
        "deleted run/1, run/2\n  hint: cd4ml runs restore run/1 run/2\n"
    )
    assert refs(shell.json("runs")) == [4, 3]
    assert refs(shell.json("runs --deleted")) == [2, 1]
    assert "finished, deleted" in shell("runs show 1")
    shell("runs delete 3 99")
    assert shell.code == 1
    assert refs(shell.json("runs")) == [4, 3]
    assert shell("runs restore 1 2") == "restored run/1, run/2\n"
    assert refs(shell.json("runs")) == [4, 3, 2, 1]


def test_an_experiment_is_renamed_deleted_and_restored(shell: Shell) -> None:
    assert [line.split()[:2] for line in shell("experiment list").splitlines()[2:]] == [
        ["other", "1"],
        ["how", "deep?"],
    ]
    assert shell("experiment change other --name", "one more") == "changed one more\n"
    assert shell("experiment delete", "one more") == (
        "deleted one more\n  hint: cd4ml experiment restore 'one more'\n"
    )
    assert refs(shell.json("runs")) == [3, 2, 1]
    assert [each["experiment"]["name"] for each in shell.json("experiment list --deleted")] == [
        "one more"
    ]
    assert shell("experiment restore", "one more") == "restored one more\n"
    assert shell("experiment change", "one more", "--name", "other") == "changed other\n"
    assert refs(shell.json("runs --experiment other")) == [4]
