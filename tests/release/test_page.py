"""The manual's page about releases says what is so."""

import doctest
import typing
from pathlib import Path

import cd4ml
from cd4ml.records.release import ReleaseState

PAGE = Path(cd4ml.__file__).parents[2] / "docs" / "release.md"


def test_the_examples_give_what_the_page_says() -> None:
    outcome = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)

    assert (outcome.failed, outcome.attempted > 10) == (0, True)


def test_the_page_names_every_state() -> None:
    text = PAGE.read_text()

    assert [state for state in typing.get_args(ReleaseState) if state not in text] == []
