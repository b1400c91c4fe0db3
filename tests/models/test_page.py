"""The page about contracts of models shows what the code does."""

import doctest
from pathlib import Path

import cd4ml

PAGE = Path(cd4ml.__file__).parents[2] / "docs" / "model-contract.md"


def test_what_the_page_shows_happens() -> None:
    flags = doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    failures, n = doctest.testfile(str(PAGE), module_relative=False, optionflags=flags)

    assert (failures, n > 0) == (0, True)
