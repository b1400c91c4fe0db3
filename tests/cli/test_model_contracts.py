"""`cd4ml contract`: a model's contract as a file, and what another one means for consumers."""

from pathlib import Path

import pytest

from tests.cli.shell import Capture, Shell


@pytest.fixture
def shell(folder: Path, capsys: Capture) -> Shell:
    return Shell(folder, capsys)


def test_a_contract_is_written_changed_and_compared(shell: Shell, folder: Path) -> None:
    shell("contract show diagnosis/1")
    text = shell("contract write run/1")
    assert shell.code == 0
    assert "[field.worst_radius]" in text
    assert 'classes = ["0", "1"]' in text
    (folder / "request.toml").write_text(text)

    said = " ".join(shell("contract diff diagnosis/1 request.toml").split())

    assert shell.code == 0  # `write` raised the version with the limits
    assert "a major change, and the version says so" in said
    assert "'worst_area' was a number and is a number from 0 to" in said


def test_a_breaking_change_without_a_version_leaves_with_3(shell: Shell, folder: Path) -> None:
    text = shell("contract show diagnosis/1")
    narrowed = text.replace(
        '[field.worst_area]\ntype = "number"', '[field.worst_area]\ntype = "integer"'
    )
    assert narrowed != text
    (folder / "request.toml").write_text(narrowed)

    said = " ".join(shell("contract diff diagnosis/1 request.toml").split())

    assert shell.code == 3
    assert "a major change, which would be 2.0.0" in said
    seen = shell.json("contract diff diagnosis/1 request.toml")
    assert (seen["needed"], seen["is_raised"]) == ("major", False)
    assert seen["changes"] == [
        {
            "field": "worst_area",
            "bump": "major",
            "words": "'worst_area' was a number and is an integer",
        }
    ]
    assert "nothing changes for those who call" in shell("contract diff diagnosis/1 run/1")
