"""Training rows are counted by groups once; what is missing in them is counted with them."""

from math import nan

import polars as pl
import pytest

from cd4ml.errors import InvalidInput
from cd4ml.gates.training_rows import count_training
from cd4ml.records.representation import Representation, RowsOfGroup

ROWS = pl.DataFrame(
    {
        "sex": ["f", "f", "m", None, "m"],
        "old": [True, False, True, True, True],
        "pay": [1.0, nan, 2.0, None, 3.0],
        "n": ["a", "b", None, "d", "e"],
        "late": [1, 0, 1, None, 0],
    }
)


def test_rows_are_counted_in_cells_of_all_columns() -> None:
    counted = count_training(ROWS, ("sex", "old"), "late")

    assert counted == Representation(
        columns=("sex", "old"),
        fields=("pay", "n", "late"),
        cells=(
            RowsOfGroup(("f", "false"), n=1, labelled=1, positive=0, missing=(1, 0, 0)),
            RowsOfGroup(("f", "true"), n=1, labelled=1, positive=1, missing=(0, 0, 0)),
            RowsOfGroup(("m", "true"), n=2, labelled=2, positive=1, missing=(0, 1, 0)),
            RowsOfGroup(("null", "true"), n=1, labelled=0, positive=0, missing=(1, 0, 1)),
        ),
    )


def test_fields_in_which_nothing_is_missing_are_not_listed() -> None:
    assert count_training(ROWS.drop_nulls().head(1), ("sex",), "late").fields == ()


@pytest.mark.parametrize(
    ("outcome", "labelled", "positive"),
    [
        ([True, False, None, True, False], 4, 2),
        ([1.0, 0.0, nan, 0.5, 1.0], 3, 2),
        (["1", "0", "yes", "no", None], 2, 1),
        ([12.5, 7.0, 9.0, 3.0, 4.0], 0, 0),
    ],
)
def test_what_is_neither_0_nor_1_is_no_outcome_of_two(
    outcome: list[object], labelled: int, positive: int
) -> None:
    rows = ROWS.with_columns(late=pl.Series(outcome, strict=False))

    cells = count_training(rows, ("sex",), "late").cells

    assert sum(cell.labelled for cell in cells) == labelled
    assert sum(cell.positive for cell in cells) == positive


def test_columns_that_measure_make_no_groups() -> None:
    rows = pl.DataFrame({"age": range(10_001), "late": [0, 1] * 5000 + [1]})

    with pytest.raises(InvalidInput) as refused:
        count_training(rows, ("age",), "late")

    assert str(refused.value) == (
        "age make 10,001 groups of the training rows\n  hint: cut what is measured into bands"
    )
