import json
from pathlib import Path

import msgspec
import pytest

from cd4ml.records.settings import MonitoringSettings, Settings
from tools import generate_reference


def test_the_reference_says_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_reference.main(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_page_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate_reference, "FOLDER", tmp_path / "reference")
    assert generate_reference.main([]) == 0
    assert generate_reference.main(["--check"]) == 0
    page = tmp_path / "reference" / "cli.md"
    page.write_text(page.read_text().replace("cd4ml undo", "cd4ml redo"))

    assert generate_reference.main(["--check"]) == 1
    assert "docs/reference/cli.md is stale; run: python tools/generate_reference.py" in (
        capsys.readouterr().out
    )


def test_every_setting_is_on_the_page() -> None:
    page = generate_reference.settings_page()

    for section in msgspec.structs.fields(Settings):
        name = section.name
        assert any(f"## `{form}" in page for form in (f"[{name}", f"[[{name}")), name
    assert all(f"`{field.name}`" in page for field in msgspec.structs.fields(MonitoringSettings))


def test_the_schema_refuses_what_the_settings_refuse() -> None:
    schema = json.loads(generate_reference.schema())

    sections = schema["$defs"]
    assert all(section["additionalProperties"] is False for section in sections.values())
    assert sections["MetricGate"]["required"] == ["metric"]
    assert (
        "worse by more" in sections["EnvironmentSettings"]["properties"]["worse_by"]["description"]
    )


def test_comments_of_fields_are_read_from_the_source() -> None:
    class Sized(msgspec.Struct):
        """A thing."""

        width: int  # in metres
        height: int
        colours: tuple[str, ...] = ("red", "blue")  # of the front

    assert generate_reference.field_comments(Sized) == {
        "width": "in metres",
        "colours": "of the front",
    }
