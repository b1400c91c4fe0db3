"""`cd4ml package`, as people type it."""

import json
from pathlib import Path

import pytest

from cd4ml.cli import main

Capture = pytest.CaptureFixture[str]


def test_a_version_is_taken_away_as_a_wheel_or_a_build_context(
    folder: Path, capsys: Capture, tmp_path: Path
) -> None:
    shared = ["--project", str(folder), "--as", "ann", "--to", str(tmp_path / "away")]

    assert main(["package", "diagnosis", "--wheel", *shared]) == 0
    said = capsys.readouterr().out
    assert main(["package", "diagnosis/1", "--oci", "--name", "breast", *shared, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)

    wheel = tmp_path / "away" / "diagnosis_model-1-py3-none-any.whl"
    assert wheel.exists()
    assert "diagnosis/1 as diagnosis-model" in said
    assert "from diagnosis_model import predict" in said
    assert told["ref"] == "diagnosis/1"
    assert (tmp_path / "away" / "breast-1" / "Dockerfile").exists()
    assert [Path(file).name for file in told["files"]] == [
        "breast-1-py3-none-any.whl",
        "requirements.txt",
        "Dockerfile",
        "serve",
        ".dockerignore",
    ]


def test_the_form_has_to_be_said(folder: Path, capsys: Capture) -> None:
    assert main(["package", "diagnosis/1", "--project", str(folder)]) == 2
    assert "one of the arguments --wheel --oci is required" in capsys.readouterr().err
