"""Models on the command line: graduate, name, describe, show, bring, trust."""

import pickle
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cd4ml.loop import open_project
from cd4ml.loop.candidate import candidate_of, table
from tests.cli.shell import Capture, Shell
from tests.models.test_trust import Hostile
from tests.starter import ADMIN, MANAGER


@pytest.fixture
def shell(folder: Path, capsys: Capture) -> Shell:
    return Shell(folder, capsys)


def fitted(folder: Path) -> Any:
    """An estimator on the columns that the starter's requests have, fitted elsewhere."""
    with open_project(folder) as project:
        known = table(project, candidate_of(project, 1).training)
    features = [name for name in known.columns if known[name].dtype.is_float()]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    return model.fit(known.select(features).drop("malignant", strict=False), known["malignant"])


def test_a_run_graduates_in_one_command(shell: Shell) -> None:
    said = shell("graduate run/1 --model second --description better --tag team=ops")

    assert shell.code == 0
    assert said.startswith("second/1, from run/1\n  artifact  blake3:")
    assert "hint: cd4ml gate second/1" in said
    assert shell("graduate 1 --model second").startswith("second/1,")
    assert "3 of 3 findings passed" in shell("gate second/1")
    version = shell.json("model show second/1")["version"]
    assert (version["description"], version["tags"]) == ("better", {"team": "ops"})


def test_what_cannot_graduate_says_why(shell: Shell) -> None:
    shell("graduate run/9")

    assert shell.code == 1
    assert shell.error == "error: no run '9'\n  hint: known: 1\n"


def test_versions_are_listed_and_shown(shell: Shell) -> None:
    shell("graduate run/1 --model second")

    assert "second/1" in shell("model list")
    assert "second/1" not in shell("model list diagnosis")
    assert "diagnosis" in shell("model registered")
    said = shell("model show diagnosis")
    assert said.startswith("diagnosis/1\n")
    for words in (
        "patients@1, 569 rows",
        "diagnosis.strength",
        "ONNX: the fastest form, within",
        "scikit-learn",
    ):
        assert words in said
    shell("model list fares")
    assert shell.error == ("error: no model named 'fares'\n  hint: known: diagnosis, second\n")


def test_an_alias_moves_by_compare_and_set_and_its_moves_are_kept(shell: Shell) -> None:
    shell("graduate run/1 --model diagnosis")
    assert "diagnosis@shadow points at diagnosis/1" in shell(
        "model alias diagnosis/1 shadow --expect 0 --why", "first try"
    )

    shell("model alias diagnosis/1 shadow --expect diagnosis/2")
    assert shell.code == 1
    assert "diagnosis@shadow points at diagnosis/1, moved by ann at" in shell.error
    shell("model alias diagnosis/1 shadow --expect two")
    assert shell.code == 2
    assert "expected the number of a version, got 'two'" in shell.error

    assert "points nowhere now" in shell("model unalias diagnosis@shadow --expect 1")
    told = shell("model history diagnosis@shadow").splitlines()
    assert [line.split("  ")[2:] for line in told if "@shadow" in line] == [
        ["1 -> none", ADMIN],
        ["none -> 1", ADMIN],
    ]
    assert "first try" in told[-1]


def test_the_champion_is_not_moved_by_hand(shell: Shell) -> None:
    shell("model alias diagnosis/1 champion")

    assert shell.code == 3
    assert "only a release moves it" in shell.error


def test_words_and_tags(shell: Shell) -> None:
    assert "fares is registered" in shell("model register fares --description", "How dear?")
    assert "diagnosis/1 is described" in shell("model describe diagnosis/1", "On **images**")
    assert "diagnosis is tagged" in shell("model tag diagnosis team=ops kept=yes")
    assert "diagnosis has no tag team any more" in shell("model untag diagnosis team")

    registered = {each["model"]["name"]: each["model"] for each in shell.json("model registered")}
    assert registered["fares"]["description"] == "How dear?"
    assert registered["diagnosis"]["tags"] == {"kept": "yes"}
    assert "On **images**" in shell("model card diagnosis/1")


def test_what_is_deleted_comes_back(shell: Shell) -> None:
    shell("graduate run/1 --model second")

    said = shell("model delete second/1 --why", "a mistake")
    assert said == "second/1 is deleted\n  hint: cd4ml model restore second/1\n"
    assert "second/1" not in shell("model list")
    assert "second/1 is there again" in shell("model restore second/1")
    assert "second/1" in shell("model list")
    shell("model delete diagnosis/1")
    assert "diagnosis/1 was not deleted: release/1 is in charge in staging" in shell.error


def test_a_card_is_markdown_or_a_page(shell: Shell, tmp_path: Path) -> None:
    assert shell("model card diagnosis").startswith("# diagnosis/1\n\n- version: diagnosis/1\n")

    assert "written to" in shell(f"model card diagnosis --html {tmp_path}/card.html")
    assert "<h1>diagnosis/1</h1>" in (tmp_path / "card.html").read_text()
    shell(f"model card diagnosis --html {tmp_path}/nowhere/card.html")
    assert "cannot be written: No such file or directory" in shell.error


class TestModelsMadeElsewhere:
    def test_one_is_brought_trusted_packaged_and_distrusted(
        self, shell: Shell, folder: Path
    ) -> None:
        file = folder / "lab.pkl"
        file.write_bytes(pickle.dumps(fitted(folder)))

        assert "hint: cd4ml model trust lab/1" in shell(
            f"model add lab {file} --rows run/1 --source", "our lab"
        )
        shell("model package lab/1")
        assert shell.code == 3
        assert "was not made by a run of this project" in shell.error
        shell("model trust lab/1 --why wanted", by=MANAGER)
        assert shell.code == 3
        assert "bo may not say which code may run" in shell.error

        said = shell("model trust lab/1 --why", "digest compared by telephone")
        assert "ann answers for it as admin" in " ".join(said.split())
        assert "artifact  blake3:" in shell("model package lab/1")
        assert "digest compared" in shell("model trusted")
        assert "answers for it as admin" in shell("model card lab/1")

        assert "nothing loads" in shell("model distrust lab/1 --why", "a doubt")
        assert "until 20" in shell("model trusted")

    def test_a_hostile_one_runs_in_no_command(
        self, shell: Shell, folder: Path, tmp_path: Path
    ) -> None:
        file, place = folder / "evil.pkl", tmp_path / "place"
        file.write_bytes(pickle.dumps(Hostile(place)))
        shell(f"model add evil {file} --rows run/1")

        for words in (
            "model package evil/1",
            "gate evil/1",
            "graduate run/2 --model evil2",
            "model show evil/1",
            "model card evil/1",
            "model list",
            "release evil/1 --to staging",
            "why evil/1",
            "lineage evil/1",
        ):
            shell(words)
            assert not place.exists(), words

    def test_a_reason_is_needed(self, shell: Shell) -> None:
        shell("model trust diagnosis/1")

        assert shell.code == 2
        assert "--why" in shell.error
