"""Evidence is the holdout's table and the scores of its rows, ready to be judged."""

import numpy as np
import polars as pl
import pytest

from cd4ml.errors import InvalidInput
from cd4ml.gates.evidence import MOST_SLICES, evidence_of


def test_evidence_holds_targets_scores_and_slices_in_the_order_of_the_rows() -> None:
    holdout = pl.DataFrame({"late": [True, False, True], "carrier": ["HA", "UA", None]})

    evidence = evidence_of(
        holdout,
        target="late",
        score=[0.9, 0.1, 0.4],
        base_rate=0.25,
        champion="delay/1",
        others={"delay/1": [0.5, 0.5, 0.5]},
        slices=("carrier",),
    )

    assert evidence.y_true.tolist() == [1.0, 0.0, 1.0]
    assert evidence.score.tolist() == [0.9, 0.1, 0.4]
    assert evidence.others["delay/1"].tolist() == [0.5, 0.5, 0.5]
    assert evidence.slices["carrier"].tolist() == ["HA", "UA", None]


def test_a_missing_target_stays_missing_so_that_the_judge_sees_it() -> None:
    holdout = pl.DataFrame({"late": [1, None]})

    evidence = evidence_of(holdout, target="late", score=[0.1, 0.2], base_rate=0.5)

    assert np.isnan(evidence.y_true[1])


def test_the_rare_values_of_a_column_are_one_slice() -> None:
    names = [f"N{i:03d}" for i in range(MOST_SLICES + 30)]
    holdout = pl.DataFrame(
        {"late": [0] * 2 * len(names), "plane": names + names[:MOST_SLICES] + ["N000"] * 30}
    )

    evidence = evidence_of(
        holdout, target="late", score=np.zeros(len(holdout)), base_rate=0.5, slices=("plane",)
    )

    groups = evidence.slices["plane"].tolist()
    assert set(groups) == {*names[:MOST_SLICES], "other"}
    assert groups.count("other") == 30


def test_a_column_of_numbers_can_be_sliced_by() -> None:
    holdout = pl.DataFrame({"late": [0, 1], "hour": [6, 7]})

    evidence = evidence_of(holdout, target="late", score=[0, 1], base_rate=0.5, slices=("hour",))

    assert evidence.slices["hour"].tolist() == ["6", "7"]


@pytest.mark.parametrize("column", ["late", "carrier"])
def test_a_column_that_is_not_there_is_refused_with_those_that_are(column: str) -> None:
    holdout = pl.DataFrame({"late": [0], "carrier": ["HA"]}).drop(column)

    with pytest.raises(InvalidInput) as caught:
        evidence_of(holdout, target="late", score=[0.1], base_rate=0.5, slices=("carrier",))

    (left,) = holdout.columns
    assert str(caught.value) == f"the holdout has no column {column!r}\n  hint: known: {left}"


def test_a_target_of_words_is_refused() -> None:
    holdout = pl.DataFrame({"late": ["yes", "no"]})

    with pytest.raises(InvalidInput) as caught:
        evidence_of(holdout, target="late", score=[0.1, 0.2], base_rate=0.5)

    assert str(caught.value) == (
        "the target 'late' is to be predicted as a number, got String\n  hint: encode it as 0 and 1"
    )
