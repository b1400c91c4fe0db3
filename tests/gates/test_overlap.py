"""Rows that taught and judge are found, whatever form they come in."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import InvalidInput
from cd4ml.gates.overlap import key_that_fits, overlap_findings, shared_rows


def rides(*numbers: int | None, **columns: Any) -> pl.DataFrame:
    table = pl.DataFrame({"ride": list(numbers)}, schema={"ride": pl.Int64})
    return table.with_columns(pl.Series(name, values) for name, values in columns.items())


def test_rows_with_a_key_of_the_other_side_are_shared() -> None:
    training = rides(1, 2, 3, km=[1.0, 2.0, 3.0])
    holdout = rides(3, 4, 2, km=[9.0, 4.0, 2.0])

    shared = shared_rows(training, holdout, ("ride",))

    assert shared == (2, ("ride",), "ride=3")
    assert shared_rows(training, holdout) == (1, (), "ride=2, km=2.0")


def test_without_a_key_all_columns_of_both_tables_decide() -> None:
    training = rides(1, 2, weight=[1.0, 2.0])
    holdout = rides(2, 3, slice_=["a", "b"])

    assert shared_rows(training, holdout) == (1, (), "ride=2")


def test_every_copy_in_the_holdout_counts() -> None:
    assert shared_rows(rides(1, 1, 1), rides(1, 1, 2)).n_rows == 2


def test_missing_values_are_values_of_a_whole_row_and_identify_nothing() -> None:
    training = rides(None, 2, km=[float("nan"), 2.0])
    holdout = rides(None, 3, km=[float("nan"), 3.0])

    assert shared_rows(training, holdout) == (1, (), "ride=None, km=nan")
    assert shared_rows(training, holdout, ("ride",)).n_rows == 0


def test_a_number_is_the_same_in_a_wider_type() -> None:
    training = rides(1, 2).cast(pl.Int32)

    assert shared_rows(training, rides(2, 3)).n_rows == 1
    assert shared_rows(training, rides(2, 3).cast(pl.String)).n_rows == 1


def test_lists_and_structs_are_compared_as_a_whole() -> None:
    training = pl.DataFrame({"stops": [["a", "b"], ["c"]], "at": [{"x": 1}, {"x": None}]})

    assert shared_rows(training, training.head(1)).n_rows == 1
    assert shared_rows(training.head(1), training.tail(1)).n_rows == 0


def test_tables_without_a_common_column_share_nothing() -> None:
    assert shared_rows(rides(1), pl.DataFrame({"patient": [1]})) == (0, (), "")


def test_an_example_is_short() -> None:
    wide = rides(1, note=["x" * 99], a=[1], b=[2], c=[3])

    assert shared_rows(wide, wide).example == f"ride=1, note={'x' * 37}..., a=1, b=2, ..."


def test_a_key_fits_that_identifies_the_rows_of_both_sides() -> None:
    training = rides(1, 2, 3, tailnum=["N1", "N1", "N2"])
    holdout = rides(4, 5, tailnum=["N3", "N4"])

    assert key_that_fits(training, holdout, [(), ("tailnum",), ("flight",), ("ride",)]) == ("ride",)
    assert key_that_fits(training, holdout, [("tailnum",)]) == ()


def test_a_missing_column_of_the_key_is_named() -> None:
    with pytest.raises(InvalidInput) as refused:
        shared_rows(rides(1, km=[1.0]), rides(1), ("ride", "km"))

    assert str(refused.value) == (
        "the holdout rows have no column 'km', which is to identify them\n"
        "  hint: known: ride; see `model.key`"
    )


def test_what_the_candidate_learned_is_an_error() -> None:
    (finding,) = overlap_findings(rides(1, 2), rides(2, 3), ("ride",))

    assert (finding.gate, finding.value, finding.limit) == ("shared rows at most 0", 1.0, 0.0)
    assert (finding.outcome, finding.is_gated, finding.n_rows) == ("error", True, 2)
    assert finding.reason == (
        "1 of 2 holdout rows are training rows too (by ride), for example ride=2"
    )


def test_what_the_champion_learned_is_shown_and_decides_nothing() -> None:
    (finding,) = overlap_findings(rides(1, 2), rides(2, 3), (), learner="delay/1")

    assert (finding.gate, finding.is_gated) == ("shared rows with delay/1 at most 0", False)
    assert finding.reason == (
        "1 of 2 holdout rows taught delay/1 too (in every column), for example ride=2"
    )


def test_rows_apart_are_not_mentioned() -> None:
    assert overlap_findings(rides(1, 2), rides(3), ()) == ()


values = st.tuples(st.integers(0, 2), st.sampled_from([0.0, 1.5, None, float("nan")]))


@given(st.lists(values, max_size=8), st.lists(values, max_size=8))
def test_it_counts_what_somebody_with_a_list_would(
    left: list[tuple[int, float | None]], right: list[tuple[int, float | None]]
) -> None:
    def table(rows: list[tuple[int, float | None]]) -> pl.DataFrame:
        return pl.DataFrame(rows, schema={"ride": pl.Int64, "km": pl.Float64}, orient="row")

    seen = {repr(row) for row in left}

    assert shared_rows(table(left), table(right)).n_rows == sum(repr(row) in seen for row in right)
