"""`data profile` and `data diff` as people type them."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.cli.shell import Capture, Shell


@pytest.fixture
def shell(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("COLUMNS", "100")
    return Shell(folder, capsys)


@pytest.fixture
def two_versions(folder: Path, shell: Shell) -> Shell:
    """patients@1, and patients@2 without its last rows, with another radius in the first."""
    path = folder / "data" / "patients.csv"
    table = pl.read_csv(path)[:560]
    radius = pl.when(pl.int_range(pl.len()) == 0).then(99.0).otherwise("mean_radius")
    table.with_columns(radius.alias("mean_radius")).write_csv(path)
    shell("data", "add", "patients")
    return shell


def test_a_profile_shows_a_line_a_column(shell: Shell) -> None:
    said = shell("data", "profile", "patients")

    lines = said.splitlines()
    assert lines[0].startswith("patients@1: 569 rows, ")
    assert lines[1].split() == ["column", "missing", "distinct", "values", "histogram"]
    (radius,) = [line for line in lines if line.startswith("mean_radius ")]
    assert "6.981 .. 13.37 .. 28.11" in radius
    assert "█" in radius
    assert max(map(len, lines)) <= 100


def test_a_column_is_shown_with_quantiles_and_bars(shell: Shell) -> None:
    said = shell("data", "profile", "patients@1", "--column", "mean_radius")

    assert said.startswith("mean_radius\n")
    assert "50 %" in said
    assert "13.37" in said
    assert said.count("█") > 60
    shell("data", "profile", "patients", "--column", "nothing")
    assert shell.code == 1
    assert shell.error.startswith("error: patients@1 has no column 'nothing'")


def test_a_profile_is_json_for_machines(shell: Shell) -> None:
    table = json.loads(shell("data", "profile", "patients", "--json"))

    assert (table["ref"], table["n_rows"]) == ("patients@1", 569)
    column = json.loads(shell("data", "profile", "patients", "--column", "mean_radius", "--json"))
    assert column in table["columns"]


def test_a_diff_shows_files_rows_and_shifts(two_versions: Shell) -> None:
    said = two_versions("data", "diff", "patients@1", "patients@2")

    assert said.startswith("patients@1 to patients@2\n")
    assert "1 changed" in said
    assert "569 before, 560 after, told apart by all of their values" in " ".join(said.split())
    assert "by chance" in said
    assert two_versions.code == 0


def test_a_diff_by_key_shows_both_values(two_versions: Shell) -> None:
    said = two_versions("data", "diff", "patients@1", "patients", "--key", "mean_area,mean_texture")

    assert "mean_radius: 17.99 -> 99.0" in said
    assert "told apart by mean_area, mean_texture" in said


def test_a_diff_is_json_for_machines(two_versions: Shell) -> None:
    found = json.loads(two_versions("data", "diff", "patients@1", "patients@2", "--json"))

    assert (found["rows"]["n_added"], found["rows"]["n_removed"]) == (1, 10)


def test_a_diff_is_written_as_a_page(two_versions: Shell, tmp_path: Path) -> None:
    page = tmp_path / "diff.html"

    two_versions("data", "diff", "patients@1", "patients@2", "--html", str(page))

    assert page.read_text().startswith("<!doctype html>")
    two_versions("data", "diff", "patients@1", "patients@2", "--html", str(tmp_path / "no" / "x"))
    assert two_versions.code == 1
    assert two_versions.error == (
        f"error: {tmp_path}/no/x cannot be written: No such file or directory\n"
    )


@pytest.mark.parametrize(
    "typed",
    [
        ("data", "diff", "patients@1", "patients@8"),
        ("data", "diff", "nobody@1", "patients@1"),
        ("data", "diff", "patients@1", "patients@1", "--key", "nothing"),
        ("data", "profile", "patients@x"),
    ],
)
def test_what_is_not_there_is_an_error_and_no_traceback(shell: Shell, typed: tuple[str]) -> None:
    assert shell(*typed) == ""
    assert shell.code == 1
    assert "Traceback" not in shell.error
    assert "bug of cd4ml" not in shell.error


@pytest.mark.parametrize("columns", ["80", "120"])
def test_both_fit_the_terminal(
    two_versions: Shell, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    for typed in (("profile", "patients"), ("diff", "patients@1", "patients@2")):
        said = two_versions("data", *typed)
        assert max(len(line.rstrip()) for line in said.splitlines()) <= int(columns)
