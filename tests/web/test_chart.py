import itertools
import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.web.chart import BOTTOM, LEFT, RIGHT, TOP, Measured, line_chart, ticks

values = st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6)
START = datetime(2013, 1, 1, tzinfo=UTC)


def months(*auc: float) -> list[Measured]:
    return [
        Measured(START + timedelta(days=30 * n), value, value - 0.02, value + 0.02)
        for n, value in enumerate(auc)
    ]


@given(st.tuples(values, values).map(sorted))
def test_ticks_cover_the_values_evenly(ends: list[float]) -> None:
    low, high = ends

    marks = ticks(low, high)

    steps = [b - a for a, b in itertools.pairwise(marks)]
    room = 1e-6 * max(1.0, abs(low), abs(high))
    assert 2 <= len(marks) <= 7
    assert marks[0] <= low + room
    assert marks[-1] >= high - room
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)


@given(st.lists(values, min_size=1, max_size=40))
def test_every_point_lies_inside_the_drawing(auc: list[float]) -> None:
    drawn = line_chart("auc", months(*auc))

    assert len(drawn.points) == len(auc)
    assert all(LEFT <= point.x <= RIGHT and TOP <= point.y <= BOTTOM for point in drawn.points)
    assert all(math.isfinite(point.y) for point in drawn.points)
    assert len(drawn.days) <= 5


def test_better_values_are_drawn_higher() -> None:
    points = line_chart("auc", months(0.60, 0.64, 0.62)).points

    assert points[1].y < points[2].y < points[0].y
    assert [point.x for point in points] == [LEFT, (LEFT + RIGHT) / 2, RIGHT]


def test_the_drawing_says_in_words_what_it_shows() -> None:
    drawn = line_chart("auc", months(0.60, 0.64))

    assert drawn.sentence == "auc: 0.600 on 1 Jan, 0.640 on 31 Jan"
    assert drawn.points[1].sentence == "31 Jan: 0.6400 (0.620 to 0.660)"


def test_one_value_is_a_point_without_a_band() -> None:
    drawn = line_chart("auc", months(0.6))

    assert drawn.band == ""
    assert drawn.points[0].x == (LEFT + RIGHT) / 2


def test_a_reference_is_drawn_where_it_is_known() -> None:
    first, second, third = months(0.6, 0.6, 0.6)
    known = [first, second._replace(references={"trivial": 0.5}), third]

    (reference,) = line_chart("auc", known).references

    assert reference.name == "trivial"
    quarter, middle = (RIGHT - LEFT) / 4, (LEFT + RIGHT) / 2
    assert re.fullmatch(rf"M{middle - quarter},[\d.]+ H{middle + quarter}", reference.line)


def test_values_without_intervals_have_no_band() -> None:
    bare = [each._replace(low=None, high=None) for each in months(0.6, 0.7)]

    assert line_chart("auc", bare).band == ""


def test_no_values_are_no_chart() -> None:
    with pytest.raises(ValueError, match="a chart of auc needs at least one value"):
        line_chart("auc", [])
