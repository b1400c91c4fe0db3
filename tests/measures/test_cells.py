"""Rows in cells: counted once, summed to any grouping, named as people write their groups."""

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.measures.cells import Cells, count_cells, group_name, roll_up
from tests.measures.messages import exactly

rows = st.lists(
    st.tuples(
        st.integers(0, 1), st.floats(0, 1), st.sampled_from("ab"), st.integers(0, 2), st.booleans()
    ),
    min_size=1,
    max_size=60,
)


def counted(table: list[tuple[int, float, str, int, bool]], *names: str, **how: object) -> Cells:
    outcome, score, *columns = (list(column) for column in zip(*table, strict=True))
    groups = dict(zip(("first", "second", "third"), columns, strict=True))
    return count_cells(outcome, score, {name: groups[name] for name in names}, **how)  # type: ignore[arg-type]


def same(one: Cells, other: Cells) -> bool:
    whole = all(np.array_equal(a, b) for a, b in zip(one[2:6], other[2:6], strict=True))
    return one[:2] == other[:2] and whole and np.allclose(one.said, other.said)


@settings(deadline=None)  # the first example waits for Polars
@given(rows)
def test_cells_rolled_up_are_those_counted_alone(
    table: list[tuple[int, float, str, int, bool]],
) -> None:
    whole = counted(table, "first", "second", "third")

    for size in (1, 2, 3):
        for names in combinations(("first", "second", "third"), size):
            assert same(roll_up(whole, names), counted(table, *names))
    assert roll_up(whole, []).n.tolist() == [len(table)]


@settings(deadline=None)
@given(rows)
def test_what_is_favourable_turns_everything_round(
    table: list[tuple[int, float, str, int, bool]],
) -> None:
    one, other = (counted(table, "first", favourable=value) for value in (1, 0))

    assert (one.favourable + other.favourable).tolist() == one.n.tolist()
    assert (one.answered + other.answered).tolist() == one.n.tolist()
    assert one.said + other.said == pytest.approx(one.n)
    # right is right, whichever is called favourable
    wrong = [each.favourable + each.answered - 2 * each.hits for each in (one, other)]
    assert wrong[0].tolist() == wrong[1].tolist()


def test_a_score_at_the_threshold_answers_1() -> None:
    cells = count_cells([1, 1, 0], [0.3, 0.29, 0.3], {"sex": ["f"] * 3}, threshold=0.3)

    assert (cells.answered.tolist(), cells.hits.tolist()) == ([2], [1])


def test_groups_keep_their_names_whatever_their_type() -> None:
    missing = {
        "text": np.array(["a", None, "a"], dtype=object),
        "number": np.array([1.5, np.nan, 1.5]),
        "flag": pl.Series([True, None, True]),
        "mixed": np.array([1, None, "b"], dtype=object),
    }
    found = {
        name: count_cells([0, 1, 1], [0, 1, 1], {name: values}).values
        for name, values in missing.items()
    }

    assert found == {
        "text": (("a",), ("null",)),
        "number": (("1.5",), ("null",)),
        "flag": (("null",), ("true",)),
        "mixed": (("1",), ("b",), ("null",)),
    }


def test_columns_may_have_any_name() -> None:
    cells = count_cells(
        [0, 1], [0.0, 1.0], {"n": ["a", "b"], "outcome": ["c", "c"], "by n": [1, 1]}
    )

    assert cells.columns == ("n", "outcome", "by n")
    assert cells.values == (("a", "c", "1"), ("b", "c", "1"))


def test_scores_that_are_no_probabilities_have_no_mean_probability() -> None:
    cells = count_cells([0, 1], [-3.0, 2.0], {"sex": ["f", "m"]}, threshold=0.0)

    assert np.isnan(cells.said).all()
    assert cells.answered.tolist() == [0, 1]


def test_a_group_is_named_by_its_columns() -> None:
    assert group_name(("black", "single"), ("yes", "no")) == "black=yes & single=no"
    assert group_name((), ()) == "all rows"


def test_what_does_not_fit_is_refused() -> None:
    message = "each row needs a group, got 2 rows and 1 values of 'sex'"
    with pytest.raises(ValueError, match=exactly(message)):
        count_cells([0, 1], [0.1, 0.2], {"sex": ["f"]})
    with pytest.raises(ValueError, match="expected a column to group by, got none"):
        count_cells([0, 1], [0.1, 0.2], {})
    with pytest.raises(ValueError, match="expected finite numbers, got nan in row 1"):
        count_cells([0, 1], [0.1, np.nan], {"sex": ["f", "m"]})
    cells = count_cells([0, 1], [0.1, 0.2], {"sex": ["f", "m"]})
    with pytest.raises(ValueError, match=exactly("rows were not counted by 'age', only by sex")):
        roll_up(cells, ["age"])
