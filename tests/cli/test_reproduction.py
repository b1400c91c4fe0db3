"""`cd4ml reproduce`, `--env`, `--data` and `--for-each` as people see them."""

import shutil
from pathlib import Path

import pytest

from tests.cli.shell import Capture, Shell


@pytest.fixture
def shell(folder: Path, tmp_path: Path, capsys: Capture) -> Shell:
    return Shell(folder, capsys)


@pytest.mark.slow
def test_a_version_that_is_the_same_is_told_by_step(shell: Shell) -> None:
    said = shell("reproduce diagnosis/1")

    lines = said.splitlines()
    assert shell.code == 0
    assert lines[0] == "diagnosis/1 of run/1: identical to the byte"
    assert lines[1].split() == ["step", "seconds", "what", "differs"]
    assert [line.split()[:2] for line in lines[3:8]] == [
        ["training", "identical"],
        ["holdout", "identical"],
        ["diagnosis", "identical"],
        ["evaluation", "identical"],
        ["package", "identical"],
    ]
    assert "the recorded one, which is the present one" in said
    newest = shell.json("audit log --limit 1")[0]
    assert (newest["action"], newest["subject"]) == ("run.reproduced", "diagnosis/1")


@pytest.mark.slow
def test_what_is_not_the_same_leaves_with_3(shell: Shell, folder: Path) -> None:
    source = folder / "pipeline.py"
    text = source.read_text().replace(
        '    return {"auc"',
        '    import os\n    return {"n": float(os.getpid()), "auc"',
    )
    source.write_text(text)
    shell("run")

    said = shell("reproduce run/2 --tolerance 0")

    assert shell.code == 3
    assert said.startswith("run/2: not the same, evaluation is the first step that differs\n")
    assert "evaluation  different" in said
    assert "n by " in said
    found = shell.json("reproduce run/2")
    assert (found["outcome"], found["first"]) == ("different", "evaluation")
    assert found["steps"][3]["parts"][0]["name"] == "n"


def test_a_run_in_an_environment_and_one_a_key(shell: Shell, folder: Path) -> None:
    rows = (folder / "data" / "patients.csv").read_text().splitlines()
    keyed = [f"{rows[0]},ward", *(f"{row},{'NS'[i % 2]}" for i, row in enumerate(rows[1:]))]
    (folder / "data" / "wards.csv").write_text("\n".join(keyed) + "\n")
    source = folder / "pipeline.py"
    source.write_text(source.read_text().replace("patients.filter", 'patients.drop("ward").filter'))

    said = shell("run --data patients=data/wards.csv --for-each ward")

    lines = said.splitlines()
    assert shell.code == 0
    assert lines[0] == "ward: 2 runs, 0 failed"
    assert [line.split()[:5] for line in lines[3:5]] == [
        ["N", "run/2", "finished", "4", "of"],
        ["S", "run/3", "finished", "4", "of"],
    ]
    listed = shell("compare --partition ward=S").splitlines()
    assert listed[2].split()[:4] == ["run/3", "finished", "default", "ward=S"]
    assert len(listed) == 3


def test_keys_that_fail_are_told_and_leave_with_1(shell: Shell, folder: Path) -> None:
    source = folder / "pipeline.py"
    source.write_text(
        source.read_text().replace(
            "    features = training.drop(TARGET)",
            '    assert training[TARGET].n_unique() == 2, "one kind only"\n'
            "    features = training.drop(TARGET)",
        )
    )

    said = shell("run --for-each malignant=0")

    assert shell.code == 1
    assert said == (
        "malignant: 0 runs, 1 failed\n"
        "  - 0: pipeline.py:34: step 'diagnosis' failed: AssertionError: one kind only\n"
        "  hint: cd4ml compare --partition malignant\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run --for-each =a", "argument --for-each: expected COLUMN or COLUMN=KEY,KEY, got '=a'"),
        ("run --for-each a=", "argument --for-each: expected COLUMN or COLUMN=KEY,KEY, got 'a='"),
        ("run --for-each a --trials 2", "cd4ml run: --trials needs --grid"),
        ("run --for-each a --grid b.c=1", "cd4ml run: --grid and --for-each go one at a time"),
        ("reproduce run/1 --tolerance much", "expected a number of 0 or more, got 'much'"),
    ],
)
def test_words_that_go_nowhere_are_usage_errors(shell: Shell, words: str, said: str) -> None:
    shell(words)

    assert shell.code == 2
    assert said in shell.error


def test_nothing_is_laid_out_where_something_is(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "there"
    target.mkdir()
    (target / "file").write_text("mine")

    shell(f"reproduce run/1 --to {target}")

    assert shell.code == 1
    assert shell.error.startswith(f"error: {target} exists and is not empty")
    assert [path.name for path in target.iterdir()] == ["file"]
    shutil.rmtree(target)
