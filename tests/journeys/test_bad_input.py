"""Bad input through the real command line: said with file, place and remedy, changing nothing."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from cd4ml.cli import main
from tests import starter
from tests.journeys.command_line import cd4ml

pytestmark = pytest.mark.journey

Edit = Callable[[Path], object]
ANN, BO = starter.ADMIN, starter.MANAGER  # diagnosis/1 is in staging, and awaits approval
HUGE = "9" * 30


def stored(folder: Path) -> tuple[list[str], list[str]]:
    """Every row of the database, and every blob."""
    with sqlite3.connect(folder / ".cd4ml" / "cd4ml.db") as connection:
        rows = list(connection.iterdump())
    connection.close()
    blobs = (folder / ".cd4ml" / "blobs").rglob("*")
    return rows, sorted(str(path) for path in blobs if path.is_file())


def replaced(file: str, old: str, new: str) -> Edit:
    """An edit of a file."""

    def edit(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))

    return edit


def written(file: str, text: str) -> Edit:
    """A new file."""
    return lambda folder: (folder / file).write_text(text)


def a_patient_with_a_word_for_a_number(folder: Path) -> None:
    """Row 7 of the data breaks their contract."""
    (folder / "contracts.py").write_text(
        "from cd4ml.records.contract import Contract, Field\n"
        'Patients = Contract(name="patients", fields=(Field("mean_radius", "number"),))\n'
    )
    settings, data = folder / "cd4ml.toml", folder / "data" / "patients.csv"
    line = 'path = "data/patients.csv"\n'
    text = settings.read_text().replace(line, f'{line}contract = "contracts:Patients"\n')
    settings.write_text(text)
    rows = data.read_text().splitlines()
    rows[7] = "big" + rows[7][rows[7].index(",") :]
    data.write_text("\n".join(rows) + "\n")


class Case(NamedTuple):
    """What is wrong, what is typed, and what the answer is."""

    words: str
    error: str  # FOLDER stands for the project's
    edit: Edit = lambda _: None
    actor: str = ANN
    code: int = 1


SETTINGS = {
    "malformed TOML": Case(
        "status",
        "FOLDER/cd4ml.toml: expected ']' at the end of a table declaration (at line 1, column 9)\n"
        "  hint: docs/reference/settings.md of the manual lists every key",
        replaced("cd4ml.toml", "[project]", "[project"),
    ),
    "an unknown key": Case(
        "status",
        "FOLDER/cd4ml.toml: object contains unknown field `targt` - at `model`\n"
        "  hint: did you mean `target`? docs/reference/settings.md of the manual lists every key",
        replaced("cd4ml.toml", "target =", "targt ="),
    ),
    "a wrong type": Case(
        "gate run/1",
        "FOLDER/cd4ml.toml: expected `float | null`, got `str` - at `gate[0].at_least`\n"
        "  hint: docs/reference/settings.md of the manual lists every key",
        replaced("cd4ml.toml", "at_least = 0.9", 'at_least = "0.9"'),
    ),
    "an unknown measure": Case(
        "gate run/1",
        "cd4ml.toml: there is no measure named 'aux' - at `gate[0].metric`\n"
        "  hint: known: accuracy, auc, brier, f1, false_positive_rate, log_loss, mae, mape,"
        " median_absolute_error, precision, r2, recall, rmse",
        replaced("cd4ml.toml", '"auc"', '"aux"'),
    ),
    "a rollout without an end": Case(
        "release diagnosis/1 --to production",
        "cd4ml.toml: a rollout ends with a full step - at `environments.production.rollout`\n"
        '  hint: end it with { mode = "full" }',
        replaced("cd4ml.toml", "approvals = 1", "approvals = 1\nrollout = []"),
    ),
    "no project": Case(
        "status --project /",
        "no cd4ml.toml in / or above it\n  hint: cd4ml init NAME lays out a new project",
    ),
}
DATA = {
    "a missing file": Case(
        "run",
        "there is no file FOLDER/data/patients.csv\n"
        "  hint: correct the path, or put the file there",
        lambda folder: (folder / "data" / "patients.csv").unlink(),
    ),
    "a CSV with a wrong type": Case(
        "data add patients",
        "data/patients.csv breaks 1 of 1 rules of the contract patients 1.0.0\n"
        "  - mean_radius is number: 1 of 569 rows, first in row 7: 'big'\n"
        "  hint: correct the rows; or change the contract, as a new version",
        a_patient_with_a_word_for_a_number,
    ),
    "an unknown dataset": Case(
        "data add fares",
        "no dataset named 'fares' in cd4ml.toml\n"
        "  hint: known: patients; or give its files with --path",
    ),
    "an unknown dataset version": Case(
        f"run --data patients=patients@{HUGE}",
        f"expected NAME@NUMBER, NAME@TAG or NAME@DATE, got 'patients@{HUGE}'\n"
        "  hint: for example flights@3, flights@v3, flights@quarter-1 or flights@2013-03-31",
    ),
    "labels that are none": Case(
        "label truth.csv",
        "no label was kept: 1 of 1 rows are not labels\n"
        "  - row 1: 'abc' is not a prediction id\n"
        "  hint: correct these rows and send all again",
        written("truth.csv", "prediction_id,value\nabc,1\n"),
    ),
    "a file of labels that is missing": Case(
        "label truth.csv",
        "no file truth.csv\n  hint: it has the columns prediction_id and value",
    ),
}
PIPELINE = {
    "an import error": Case(
        "run",
        "pipeline.py:7: importing 'pipeline' failed: ModuleNotFoundError: No module named"
        " 'polers'\n  hint: correct that line, then run again",
        replaced("pipeline.py", "import polars as pl", "import polers as pl"),
    ),
    "a missing module": Case(
        "run",
        "no module 'pipeline' in FOLDER\n  hint: cd4ml.toml names it: correct the name, or put the module there",
        lambda folder: (folder / "pipeline.py").unlink(),
    ),
    "an input nobody makes": Case(
        "run",
        "pipeline.py:25: step 'holdout' needs 'doctors', which is neither a step nor a dataset"
        " (known: diagnosis, evaluation, holdout, patients, training)",
        replaced("pipeline.py", "def holdout(patients", "def holdout(doctors"),
    ),
    "an unknown parameter": Case(
        "run --set diagnosis.stength=1",
        "no parameter named 'diagnosis.stength'\n  hint: known: diagnosis.strength",
    ),
    "a parameter of a wrong type": Case(
        "run --set diagnosis.strength=much",
        "parameter 'diagnosis.strength': expected `float`, got `str`\n"
        "  hint: it is declared as strength: float = 1.0",
    ),
}
NAMES = {
    "an unknown run": Case("gate run/9", "no run '9'\n  hint: known: 1"),
    "a number no database could hold": Case(
        f"why run/{HUGE}",
        f"expected run/NUMBER, got 'run/{HUGE}'\n  hint: for example run/1",
    ),
    "an unknown version": Case(
        "release diagnosis/9 --to staging",
        "no model version 'diagnosis/9'\n  hint: known: diagnosis/1",
    ),
    "an unknown environment": Case(
        "release diagnosis/1 --to moon",
        "no environment named 'moon' in cd4ml.toml\n  hint: known: staging, production",
    ),
    "an unknown release": Case(
        "approve release/9 --reason ok", "no release '9'\n  hint: known: 1, 2", actor=BO
    ),
    "an unknown person": Case(
        "approve release/2 --reason ok",
        "nobody named 'mallory' works on this project\n"
        "  hint: cd4ml people add mallory; known: ann, bo",
        actor="mallory",
    ),
    "an unknown command": Case(
        "relase diagnosis/1",
        "cd4ml: no command named 'relase'\n  hint: did you mean release?",
        code=2,
    ),
}
RIGHTS = {
    "the own release": Case(
        "approve release/2 --reason ok",
        "ann may not approve release/2: who requests a release does not approve it\n"
        "  hint: somebody else with the role release-manager has to",
        code=3,
    ),
    "people added by anybody": Case(
        "people add eve",
        "bo may not add people or change roles: it needs the role admin, has release-manager",
        actor=BO,
        code=3,
    ),
    "a release before its turn": Case(
        "undo --in production --reason no",
        "nothing is in charge in production, so there is nothing to undo\n"
        "  hint: cd4ml release list",
    ),
}
CASES = {**SETTINGS, **DATA, **PIPELINE, **NAMES, **RIGHTS}


@pytest.mark.parametrize("what", CASES)
def test_bad_input_is_explained_and_changes_nothing(
    folder: Path,
    what: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = CASES[what]
    case.edit(folder)
    before = stored(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CD4ML_ACTOR", case.actor)

    code = main(case.words.split())  # as the installed command calls it

    printed = capsys.readouterr()
    assert printed.err.replace(str(folder), "FOLDER") == f"error: {case.error}\n"
    assert (code, printed.out) == (case.code, "")
    assert stored(folder) == before


@pytest.mark.parametrize("what", ["malformed TOML", "an import error", "the own release"])
def test_the_shell_sees_the_same(folder: Path, what: str) -> None:
    case = CASES[what]
    case.edit(folder)

    ran = cd4ml(*case.words.split(), folder=folder, actor=case.actor)

    assert ran.err.replace(str(folder), "FOLDER") == f"error: {case.error}\n"
    assert (ran.code, ran.out) == (case.code, "")


def test_a_step_that_raises_leaves_a_failed_run_and_nothing_else(folder: Path) -> None:
    replaced("pipeline.py", "return model.fit", 'raise ValueError("it does not converge")\n    #')(
        folder
    )
    before = cd4ml("audit", "log", "--json", folder=folder).json

    ran = cd4ml("run", folder=folder)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "error: pipeline.py:36: step 'diagnosis' failed: ValueError: it does not converge\n"
        "  hint: run/2 keeps the traceback; finished steps will not run again\n"
    )
    newest, *others = cd4ml("audit", "log", "--json", folder=folder).json
    assert (newest["action"], newest["subject"]) == ("run.failed", "run/2")
    assert others == before
    assert [run["run"]["state"] for run in cd4ml("compare", "--json", folder=folder).json] == [
        "failed",
        "finished",
    ]
