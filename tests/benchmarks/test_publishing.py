from pathlib import Path

import pytest

from benchmarks import publishing
from benchmarks.publishing import Outcome, together


def test_of_several_rounds_the_median_rate_counts_and_every_loss() -> None:
    rounds = [Outcome(90.0, 1, 0), Outcome(10.0, 0, 2), Outcome(80.0, 1, 0)]

    assert together(rounds) == Outcome(rate=80.0, refused=2, lost=2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["prepared", "added", "delta"])
def test_versions_of_all_writers_are_counted_and_none_is_lost(kind: str, tmp_path: Path) -> None:
    outcome = publishing.at_once(kind, tmp_path / kind, writers=2, seconds=0.5)

    assert outcome.rate > 0
    assert outcome.lost == 0
    there = publishing.count(kind, tmp_path / kind)
    assert there >= 2 + 2  # each writer one before the start, and at least one after it


@pytest.mark.slow
def test_a_writer_that_cannot_even_begin_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a writer of nothing could not begin"):
        publishing.at_once("nothing", tmp_path / "nothing", writers=2, seconds=0.1)
