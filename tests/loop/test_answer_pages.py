"""The manual's pages about production, delivery, webhooks and replay say what is so."""

import doctest
from pathlib import Path

import pytest

import cd4ml
from cd4ml.loop.delivery_words import figures_of
from cd4ml.measures.delivery import Happened, delivery
from tests.loop.world import BEGIN, DAY

DOCS = Path(cd4ml.__file__).parents[2] / "docs"
PAGES = ("production", "metrics", "webhooks", "replay")


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_give_what_the_page_says(page: str) -> None:
    path = str(DOCS / f"{page}.md")
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

    outcome = doctest.testfile(path, module_relative=False, optionflags=flags)

    assert (outcome.failed, outcome.attempted > 1) == (0, True)


def test_every_figure_is_defined() -> None:
    text = (DOCS / "metrics.md").read_text()
    nothing = delivery(Happened(), start=BEGIN, end=BEGIN + DAY, now=BEGIN + DAY)

    assert [name for name, _ in figures_of(nothing) if f"| {name} |" not in text] == []
