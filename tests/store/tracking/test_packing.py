import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.store.tracking.packing import columns_of, cut, joined, pack, unpack, values_of

whole = st.integers(-(2**63), 2**63 - 1)
points = st.lists(st.tuples(whole, whole, st.none() | st.floats()), max_size=50)


@given(points, st.booleans())
def test_points_come_back_to_the_bit(
    points: list[tuple[int, int, float | None]], is_final: bool
) -> None:
    steps, times, values = (
        (list(column) for column in zip(*points, strict=True)) if points else ([], [], [])
    )

    again = unpack(pack(columns_of(steps, times, values), is_final=is_final))

    assert again.steps.tolist() == steps
    assert again.times_ms.tolist() == times
    assert [repr(value) for value in values_of(again.values)] == [repr(value) for value in values]


def test_what_could_not_be_computed_is_not_what_is_not_a_number() -> None:
    columns = columns_of([0, 0, 0], [0, 0, 0], [None, float("nan"), float("-inf")])

    assert np.isnan(columns.values[:2]).all()
    assert values_of(columns.values) == [
        None,
        pytest.approx(float("nan"), nan_ok=True),
        float("-inf"),
    ]


@given(points, points, st.integers(0, 100), st.integers(0, 100))
def test_columns_are_joined_and_cut_as_lists_are(
    first: list[tuple[int, int, float | None]],
    second: list[tuple[int, int, float | None]],
    start: int,
    end: int,
) -> None:
    def columns(points: list[tuple[int, int, float | None]]) -> tuple[list, list, list]:  # type: ignore[type-arg]
        return [p[0] for p in points], [p[1] for p in points], [p[2] for p in points]

    both = cut(joined([columns_of(*columns(first)), columns_of(*columns(second))]), start, end)

    assert both.steps.tolist() == [p[0] for p in first + second][start:end]


def test_a_long_history_takes_a_third_of_its_columns() -> None:
    n = 4096
    values = list(np.random.default_rng(0).random(n))
    columns = columns_of(list(range(n)), [10**12 + 37 * i for i in range(n)], values)

    assert len(pack(columns, is_final=True)) < 9 * n
    assert len(pack(columns, is_final=False)) == 24 * n + 1
