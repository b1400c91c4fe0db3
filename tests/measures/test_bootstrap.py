from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cd4ml.measures.bootstrap import bootstrap
from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.ranking import auc
from tests.measures.messages import exactly

rng = np.random.default_rng(1)


def middle(values: np.ndarray) -> float:
    return float(values.mean())


def test_the_interval_is_scipys() -> None:
    values = rng.normal(5, 2, 200)

    found = bootstrap(middle, values)
    oracle = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=1000, rng=np.random.default_rng(0)
    ).confidence_interval

    assert found.value == values.mean()
    assert (found.low, found.high) == (
        pytest.approx(oracle.low, abs=0.05),
        pytest.approx(oracle.high, abs=0.05),
    )


def test_the_same_seed_draws_the_same_rows() -> None:
    values = rng.normal(size=50)

    assert bootstrap(middle, values) == bootstrap(middle, values)
    assert bootstrap(middle, values) != bootstrap(middle, values, seed=1)


def test_rows_that_share_a_fate_make_the_interval_wider() -> None:
    day = np.repeat(np.arange(20), 30)
    values = rng.normal(0, 1, 20)[day] + rng.normal(0, 0.1, 600)

    alone, together = bootstrap(middle, values), bootstrap(middle, values, together=day)

    assert together.value == alone.value
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_what_most_draws_do_not_define_is_undefined() -> None:
    message = r"^\d+ of 1000 draws of the rows do not define it; more rows are needed$"
    with pytest.raises(UndefinedMeasure, match=message):
        bootstrap(lambda y, s: auc(y, s).value, [0, 0, 1], [0.1, 0.2, 0.3])


def test_one_group_has_nothing_to_draw_from() -> None:
    message = "all rows belong to one group: there is nothing to draw from"
    with pytest.raises(UndefinedMeasure, match=exactly(message)):
        bootstrap(middle, [1.0, 2.0], together=["a", "a"])


def test_rows_that_do_not_fit_are_refused() -> None:
    message = "each row needs a value in every column, got 2 and 1 rows"
    with pytest.raises(ValueError, match=exactly(message)):
        bootstrap(lambda y, s: 0.0, [1.0, 2.0], [1.0])
    with pytest.raises(
        ValueError, match=exactly("each row belongs to one group, got 1 for 2 rows")
    ):
        bootstrap(middle, [1.0, 2.0], together=["a"])
