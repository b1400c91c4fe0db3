"""The manual's page about gates says what is so."""

import doctest
from pathlib import Path

import pytest

import cd4ml
from cd4ml.gates.kinds import KINDS
from cd4ml.measures.named import NAMED, Named
from cd4ml.records.gate import DEFAULT_KIND

DOCS = Path(cd4ml.__file__).parents[2] / "docs"
ON_METRICS = DOCS / "gates-metrics.md"


@pytest.mark.parametrize(("page", "least"), [(DOCS / "gates.md", 10), (ON_METRICS, 5)])
def test_the_examples_give_what_the_page_says(page: Path, least: int) -> None:
    outcome = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS)

    assert (outcome.failed, outcome.attempted > least) == (0, True)


@pytest.mark.parametrize("measure", NAMED.values(), ids=NAMED)
def test_the_page_names_every_metric_with_its_direction_and_unit(measure: Named) -> None:
    row = f"| `{measure.name}` | {measure.direction} | {measure.unit} |"

    assert row in ON_METRICS.read_text()


def test_the_page_names_every_kind_of_gate() -> None:
    pages = "".join(page.read_text() for page in DOCS.glob("*.md"))

    named = [kind for kind in KINDS if f'kind = "{kind}"' in pages]
    assert named == [kind for kind in KINDS if kind != DEFAULT_KIND]
