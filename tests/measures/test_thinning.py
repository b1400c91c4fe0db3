import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.measures.thinning import thinned

lines = st.lists(
    st.tuples(st.integers(-1000, 1000), st.floats(-1e6, 1e6) | st.just(float("nan"))), max_size=300
)


@given(lines, st.integers(4, 60))
def test_no_extreme_is_lost_and_little_is_kept(line: list[tuple[int, float]], n: int) -> None:
    steps = np.array([step for step, _ in line], dtype=np.int64)
    values = np.array([value for _, value in line], dtype=np.float64)

    few_steps, few = thinned(steps, values, n)

    assert len(few) == len(few_steps) <= max(n, 0) + 2
    assert (np.diff(few_steps) >= 0).all()
    numbers = values[~np.isnan(values)]
    if len(numbers):
        assert np.nanmin(few) == numbers.min()
        assert np.nanmax(few) == numbers.max()
    assert {(s, repr(v)) for s, v in zip(few_steps.tolist(), few.tolist(), strict=True)} <= {
        (s, repr(v)) for s, v in zip(steps.tolist(), values.tolist(), strict=True)
    }


def test_a_short_line_is_kept_whole_in_the_order_of_its_steps() -> None:
    steps, values = thinned(np.array([2, 0, 1]), np.array([0.2, 0.0, 0.1]), 4)

    assert steps.tolist() == [0, 1, 2]
    assert values.tolist() == [0.0, 0.1, 0.2]


@pytest.mark.parametrize(("n_values", "n"), [(2, 10), (3, 3)])
def test_what_is_no_line_is_refused(n_values: int, n: int) -> None:
    with pytest.raises(ValueError, match="expected as many steps as values and n >= 4"):
        thinned(np.arange(3), np.zeros(n_values), n)
