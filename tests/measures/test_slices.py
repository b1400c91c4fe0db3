from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.ranking import auc
from cd4ml.measures.scoring import brier
from cd4ml.measures.slices import by_slice
from tests.measures.messages import exactly

rows = st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.sampled_from("abc")), min_size=1)


@given(rows)
def test_slices_share_out_all_rows(table: list[tuple[bool, float, str]]) -> None:
    labels, scores, groups = zip(*table, strict=True)

    slices = by_slice(brier, labels, scores, groups=groups, column="g", min_rows=1)

    assert sum(part.n for part in slices) == len(table)
    assert [part.slice for part in slices] == sorted({f"g={group}" for group in groups})
    whole = sum(part.n * part.estimate.value for part in slices if part.estimate)
    assert whole / len(table) == pytest.approx(brier(labels, scores).value)


def test_a_slice_is_measured_as_if_it_were_alone() -> None:
    rng = np.random.default_rng(0)
    labels, scores, groups = rng.random(900) < 0.3, rng.random(900), rng.choice(list("ab"), 900)

    first, second = by_slice(auc, labels, scores, groups=groups, column="carrier")

    assert first == ("carrier=a", auc(labels[groups == "a"], scores[groups == "a"]), first.n)
    assert second.estimate == auc(labels[groups == "b"], scores[groups == "b"])


def test_a_small_slice_has_no_estimate() -> None:
    slices = by_slice(
        brier, [0, 1, 1], [0.1, 0.9, 0.8], groups=["UA", "UA", "HA"], column="c", min_rows=2
    )

    assert [(part.slice, part.n, part.estimate is None) for part in slices] == [
        ("c=HA", 1, True),
        ("c=UA", 2, False),
    ]


def test_a_slice_of_one_class_has_no_auc() -> None:
    slices = by_slice(
        auc, [0, 1, 1, 1], [1, 2, 3, 4], groups=[1, 1, 2, 2], column="hour", min_rows=1
    )

    assert [part.estimate is None for part in slices] == [False, True]


@pytest.mark.parametrize("groups", [["a", None, None], ["a", float("nan"), None]])
def test_missing_groups_are_a_slice_of_their_own(groups: list[object]) -> None:
    slices = by_slice(brier, [0, 1, 1], [0, 1, 1], groups=np.array(groups, object), column="g")

    assert [(part.slice, part.n) for part in slices] == [("g=a", 1), ("g=null", 2)]


def test_numeric_groups_keep_their_names() -> None:
    slices = by_slice(brier, [0, 1, 1], [0, 1, 1], groups=[1.5, np.nan, 1.5], column="g")

    assert [(part.slice, part.n) for part in slices] == [("g=1.5", 2), ("g=null", 1)]


def test_what_the_measure_refuses_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="a probability is between 0 and 1, got 2 in row 0"):
        by_slice(brier, [1], [2.0], groups=["a"], column="g", min_rows=1)


def test_columns_of_different_length_are_refused() -> None:
    message = "each row needs a label, a score and a group, got shapes (2,), (2,) and (1,)"
    with pytest.raises(ValueError, match=exactly(message)):
        by_slice(brier, [0, 1], [0.1, 0.9], groups=["a"], column="g")
    with pytest.raises(UndefinedMeasure) as refusal:
        by_slice(brier, [], [], groups=[], column="g")

    assert str(refusal.value) == ("there are no rows to slice; widen the window or skip the check")
