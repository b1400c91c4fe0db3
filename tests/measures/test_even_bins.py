import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.measures.even_bins import even_bins
from cd4ml.measures.histogram import edges, histogram
from tests.measures.messages import exactly

rows = st.lists(st.floats(-1e308, 1e308), min_size=1, max_size=50)


@given(rows, st.integers(1, 25))
def test_bars_hold_every_row(values: list[float], bins: int) -> None:
    cuts = edges(values)
    counts = histogram(values, cuts)[:-1]

    bars = even_bins(counts, cuts, minimum=min(values), maximum=max(values), bins=bins)

    assert bars.shape == (bins,)
    assert (bars >= -1e-9).all()
    assert bars.sum() == pytest.approx(len(values))


def test_bars_are_near_those_of_the_rows() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    cuts = edges(values, 100)

    bars = even_bins(
        histogram(values, cuts)[:-1], cuts, minimum=values.min(), maximum=values.max(), bins=15
    )

    exact, _ = np.histogram(values, bins=15)
    assert np.abs(bars - exact).max() < 0.02 * values.size


def test_one_value_is_one_bar() -> None:
    assert even_bins([0, 7, 0], [4.9, 5.0], minimum=5.0, maximum=5.0, bins=3).tolist() == [7, 0, 0]


def test_counts_without_their_edges_are_refused() -> None:
    with pytest.raises(ValueError, match=exactly("expected 2 counts for 1 edges, got 3")):
        even_bins([1, 2, 3], [1.0], minimum=0.0, maximum=2.0)
