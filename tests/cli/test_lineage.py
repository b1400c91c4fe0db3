"""`cd4ml lineage` and what the catalog says, as people see it."""

import json
from pathlib import Path

import pytest

from cd4ml.store.people import SYSTEM
from tests.cli.shell import Capture, Shell
from tests.starter import ADMIN, MANAGER


@pytest.fixture
def shell(folder: Path, capsys: Capture) -> Shell:
    return Shell(folder, capsys)


def test_lineage_is_told_both_ways(shell: Shell) -> None:
    said = shell("lineage diagnosis/1")

    assert shell.code == 0
    assert said.startswith("diagnosis/1 (model version)\n")
    lines = [line.split() for line in said.splitlines()]
    assert ["patients@1", "dataset", "version", "2", "input", "run/1"] in lines
    assert ["release/1", "release", "1", "released", "as", "diagnosis/1"] in lines
    assert "it came from" not in shell("lineage diagnosis/1 --down")
    assert "made from it" not in shell("lineage diagnosis/1 --up")


def test_what_is_left_out_is_said(shell: Shell) -> None:
    assert "more things are farther away; --limit N shows them" in shell(
        "lineage patients@1 --limit 3"
    )


def test_impact_names_who_is_to_be_told(shell: Shell) -> None:
    said = shell("lineage patients@1 --impact")

    assert said.startswith("if patients@1 is wrong, ")
    assert "staging: diagnosis/1 as champion, 100 % of requests (plan/1)" in said
    assert "you: owns patients" in said
    assert shell.json("lineage patients@1 --impact")["in_charge"] == []
    assert json.loads(shell("lineage patients@1 --impact --format json"))["releases"] == [
        "release/1",
        "release/2",
    ]


@pytest.mark.parametrize(
    ("form", "begins"), [("svg", "<svg "), ("mermaid", "flowchart LR\n"), ("json", "{\n")]
)
def test_a_picture_is_printed_whole(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, form: str, begins: str
) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    said = shell(f"lineage diagnosis/1 --format {form}")

    assert said.startswith(begins)
    if form == "json":
        assert json.loads(said) == shell.json("lineage diagnosis/1")


def test_impact_has_no_picture(shell: Shell) -> None:
    shell("lineage patients@1 --impact --format svg")

    assert (shell.code, shell.error) == (
        2,
        "error: cd4ml lineage: --impact is told as text or json, not as svg\n"
        "  hint: leave out --impact for a picture\n",
    )


def test_a_column_that_is_not_there_is_refused(shell: Shell) -> None:
    shell("lineage patients@1 --column nothing")

    assert shell.code == 1
    assert shell.error.startswith("error: patients@1 has no column 'nothing'\n  hint: known: ")


def test_the_catalog_marks_what_one_should_know(folder: Path, shell: Shell) -> None:
    file = folder / "cd4ml.toml"
    said = (
        'personal = ["mean_radius"]\nreaders = ["medic"]\nfresh_within_hours = 1\ntags = ["lump"]\n'
    )
    file.write_text(file.read_text().replace("[data.patients]\n", f"[data.patients]\n{said}"))
    shell("data add patients")

    listed = shell("data list lump")
    shown = shell("data show patients", by=MANAGER)
    mine = shell("data show patients", by=ADMIN)

    assert "personal," in listed
    assert "restricted" in listed
    assert "its values are not shown: you have none of these roles" in shown
    assert "its values are not shown" not in mine
    assert "personal data" in shown
    assert "fresh: newest version is 0 hours old, limit 1 hour" in mine
    assert "ann, 1 run" in mine
    radius = next(line for line in shown.splitlines() if line.startswith("mean_radius"))
    assert len(radius.split()) < len(
        next(line for line in mine.splitlines() if line.startswith("mean_radius")).split()
    )
    shell("run", by=MANAGER)
    assert shell.code == 3
    assert shell.error.startswith(
        f"error: {MANAGER} may not read patients: it needs the role medic"
    )
    assert SYSTEM not in shown


def test_a_search_lists_no_more_than_wanted(shell: Shell) -> None:
    assert shell.json("data list --limit 1")[0]["dataset"]["name"] == "patients"
    assert shell.json("data list breast rad") != []
    shell("data list --limit 0")
    assert shell.code == 2
