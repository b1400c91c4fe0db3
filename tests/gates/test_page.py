"""The manual's page about gates says what is so."""

import doctest
from pathlib import Path

import cd4ml
from cd4ml.measures.catalog import MEASURES

PAGE = Path(cd4ml.__file__).parents[2] / "docs" / "gates.md"


def test_the_examples_give_what_the_page_says() -> None:
    outcome = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)

    assert (outcome.failed, outcome.attempted > 10) == (0, True)


def test_the_page_names_every_metric() -> None:
    text = PAGE.read_text()

    assert [name for name in MEASURES if f"`{name}`" not in text] == []
