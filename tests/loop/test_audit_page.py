"""The manual's pages about governance and audit say what is so."""

import doctest
import subprocess
import sys
from pathlib import Path

import cd4ml
from cd4ml.loop import Project
from cd4ml.loop.audit_file import export
from cd4ml.loop.audit_keys import make_key
from cd4ml.loop.people import add_person
from cd4ml.loop.tokens import SCOPES
from tests.loop.world import ANN

DOCS = Path(cd4ml.__file__).parents[2] / "docs"


def test_the_program_on_the_page_verifies_an_export(project: Project, tmp_path: Path) -> None:
    made = make_key(project, actor=ANN)
    file = tmp_path / "ledger.jsonl"
    export(project, file, actor=ANN)
    program = (DOCS / "audit.md").read_text().split("```python\n")[1].split("```")[0]

    def verify() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", program, str(file), made.public]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    assert verify().stdout == "signed until entry 4 of 5\n"
    file.chmod(0o644)
    file.write_text(file.read_text().replace('"actor":"ann"', '"actor":"eve"', 1))
    assert "AssertionError" in verify().stderr


def test_an_export_after_a_key_was_replaced_is_verified_by_either(
    project: Project, tmp_path: Path
) -> None:
    old = make_key(project, actor=ANN)
    export(project, tmp_path / "first.jsonl", actor=ANN)
    new = make_key(project, replaces=True, actor=ANN)
    add_person(project, "cy", roles=(), actor=ANN)
    export(project, tmp_path / "second.jsonl", actor=ANN)
    program = (DOCS / "audit.md").read_text().split("```python\n")[1].split("```")[0]

    said = [
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "second.jsonl"), key.public],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for key in (old, new)
    ]

    assert said == ["signed until entry 4 of 8\n", "signed until entry 7 of 8\n"]


def test_the_examples_of_governance_give_what_the_page_says() -> None:
    outcome = doctest.testfile(str(DOCS / "governance.md"), module_relative=False)

    assert (outcome.failed, outcome.attempted) == (0, 6)


def test_governance_names_every_scope() -> None:
    text = (DOCS / "governance.md").read_text()

    assert [scope for scope in SCOPES if f"`{scope}`" not in text] == []
