"""The manual's pages about behaviour and explanations say what is so."""

import doctest
from pathlib import Path
from typing import get_args

import cd4ml
from cd4ml import testing
from cd4ml.models.behaviour.promises import PROMISES
from cd4ml.records.behaviour_gate import BehaviourGate
from cd4ml.records.explanation import Unit
from cd4ml.records.explanation_gate import ExplanationGate

DOCS = Path(cd4ml.__file__).parents[2] / "docs"
BEHAVIOUR = (DOCS / "behaviour.md").read_text()
EXPLANATIONS = (DOCS / "explanations.md").read_text()


def test_the_examples_give_what_the_page_says() -> None:
    outcome = doctest.testfile(str(DOCS / "behaviour.md"), module_relative=False)

    assert (outcome.failed, outcome.attempted > 5) == (0, True)


def test_the_page_has_every_promise_and_every_public_name() -> None:
    assert [test.name for test in PROMISES if test.name not in BEHAVIOUR] == []
    assert [name for name in testing.__all__ if name not in BEHAVIOUR + "ModelCheck"] == []


def test_the_pages_have_every_key_of_their_gates() -> None:
    keys = BehaviourGate.__struct_fields__
    assert [key for key in keys if f"{key}" not in BEHAVIOUR] == []
    assert [key for key in ExplanationGate.__struct_fields__ if f"{key}" not in EXPLANATIONS] == []
    assert [unit for unit in get_args(Unit) if f"`{unit}`" not in EXPLANATIONS] == []
