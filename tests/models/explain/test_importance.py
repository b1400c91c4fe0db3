"""What the answers are worth without a field."""

import numpy as np
import polars as pl
import pytest
from sklearn.inspection import permutation_importance as sklearn_importance
from sklearn.linear_model import LinearRegression, LogisticRegression

from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.models.estimator import score_frame
from cd4ml.models.explain.importance import SQUARED_ERROR, permutation_importance
from tests.models.builders import CONTRACT, flights, logistic

ROWS = flights().select(CONTRACT.names)
LATE = flights()["late"].to_numpy()


def test_a_linear_model_loses_twice_the_variance_that_a_field_explains() -> None:
    """A known answer: E (y - s)^2 rises by 2 b^2 var(x) when x is shuffled."""
    chance = np.random.default_rng(0)
    rows = pl.DataFrame({"a": chance.normal(0, 2, 4000), "b": chance.normal(0, 1, 4000)})
    y = (3 * rows["a"] - rows["b"]).to_numpy()
    model = LinearRegression().fit(rows, y)

    level, found = permutation_importance(lambda r: score_frame(model, r), rows, y, n_shuffles=10)

    assert level == pytest.approx(0, abs=1e-12)
    assert [each.field for each in found] == ["a", "b"]
    assert [each.value for each in found] == pytest.approx([2 * 9 * 4, 2 * 1 * 1], rel=0.05)
    assert all(each.low < each.value < each.high for each in found)


def test_it_agrees_with_scikit_learn() -> None:
    numbers = ROWS.select("hour", "wind")
    model = LogisticRegression().fit(numbers.to_numpy(), LATE)

    _, found = permutation_importance(
        lambda rows: model.predict_proba(rows.to_numpy())[:, 1],
        numbers,
        LATE,
        metric="auc",
        n_shuffles=40,
    )
    theirs = sklearn_importance(
        model, numbers.to_numpy(), LATE, scoring="roc_auc", n_repeats=40, random_state=0
    )

    ours = {each.field: each.value for each in found}
    expected = dict(zip(numbers.columns, theirs.importances_mean, strict=True))
    assert ours == pytest.approx(expected, abs=0.012)


def test_the_same_seed_gives_the_same_figures() -> None:
    model = logistic()

    def once() -> object:
        return permutation_importance(lambda rows: score_frame(model, rows), ROWS, LATE)

    assert once() == once()


def test_a_field_that_the_model_never_reads_lies_at_zero() -> None:
    rows = ROWS.with_columns(unread=pl.int_range(pl.len()))
    model = logistic()

    _, found = permutation_importance(lambda r: score_frame(model, r), rows, LATE)

    assert {each.field: each.value for each in found}["unread"] == 0.0


def test_what_the_rows_do_not_define_is_not_measured() -> None:
    with pytest.raises(UndefinedMeasure):
        permutation_importance(
            lambda rows: np.zeros(rows.height), ROWS, np.zeros(ROWS.height), metric="auc"
        )
    with pytest.raises(ValueError, match="finite"):
        permutation_importance(
            lambda rows: np.full(rows.height, np.nan), ROWS, LATE, metric=SQUARED_ERROR
        )
