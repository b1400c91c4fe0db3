from cd4ml.loop.runs import Curve
from cd4ml.web.curve import curve_chart


def curve(*values: float | None, steps: tuple[int, ...] = ()) -> Curve:
    places = steps or tuple(range(len(values)))
    return Curve(metric="loss", steps=places, values=values, n_points=len(values))


def test_a_curve_says_where_it_ended() -> None:
    chart = curve_chart(curve(1.0, 0.5, 0.25))

    assert chart is not None
    assert chart.sentence == "loss: 3 points, 0.25 at step 2"
    assert [point.sentence for point in chart.points] == [
        "step 0: 1",
        "step 1: 0.5",
        "step 2: 0.25",
    ]
    assert [tick.label for tick in chart.days] == ["0", "2"]


def test_what_is_no_number_is_left_out() -> None:
    inf, nan = float("inf"), float("nan")
    chart = curve_chart(curve(1.0, nan, inf, None, 0.5))

    assert chart is not None
    assert len(chart.points) == 2
    assert curve_chart(curve(nan, None, inf)) is None
    assert curve_chart(curve()) is None


def test_numbers_of_any_size_are_drawn() -> None:
    chart = curve_chart(curve(-1e308, 1e308, steps=(0, 2**62)))

    assert chart is not None
    assert all(
        0 <= point.x <= chart.width and 0 <= point.y <= chart.height for point in chart.points
    )


def test_a_long_curve_is_a_line_with_its_last_point() -> None:
    chart = curve_chart(curve(*[float(i) for i in range(300)]))

    assert chart is not None
    assert len(chart.line.split()) == 300
    assert [point.sentence for point in chart.points] == ["step 299: 299"]
