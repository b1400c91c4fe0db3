from hypothesis import given
from hypothesis import strategies as st

from cd4ml.cli.sparkline import sparkline

numbers = st.none() | st.floats()


@given(st.lists(numbers, max_size=60), st.integers(1, 50))
def test_it_is_as_wide_as_asked_for_whatever_the_values(
    values: list[float | None], width: int
) -> None:
    places = range(len(values))

    text = sparkline(places, values, across=(0, 59), between=(-1e308, 1e308), width=width)

    assert len(text) == width
    assert set(text) <= set("▁▂▃▄▅▆▇█·")


def test_lines_of_runs_are_aligned_at_their_places() -> None:
    early = sparkline([0, 1, 2], [0.0, 0.5, 1.0], across=(0, 5), between=(0, 1), width=6)
    late = sparkline([3, 5], [1.0, 0.0], across=(0, 5), between=(0, 1), width=6)

    assert (early, late) == ("▁▅█···", "···██▁")


def test_a_flat_line_lies_in_the_middle_and_nothing_is_dots() -> None:
    assert sparkline([0, 1], [3.0, 3.0], across=(0, 1), between=(3, 3), width=3) == "▅▅▅"
    assert sparkline([0], [float("nan")], across=(0, 1), between=(0, 1), width=3) == "···"
    assert sparkline([7], [1.0], across=(7, 7), between=(0, 1), width=2) == "█·"
