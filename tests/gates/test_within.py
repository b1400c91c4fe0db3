"""One limit for many comparisons: what passes, fails, and stays undecided, and how often wrongly."""

from functools import partial
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.gates.within import Allowed, Comparison, decide
from cd4ml.measures.estimate import wilson

AT_LEAST_HALF = Allowed(0.5, inf)


def share(counted: int, n: int, words: str = "") -> Comparison:
    def interval(confidence: float) -> object:
        return wilson(counted, n, confidence=confidence)

    return Comparison(words or f"{counted} of {n}", counted / n, partial(interval))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("counts", "value", "interval"),
    [
        ([(90, 100)], "pass", "pass"),
        ([(10, 100)], "fail", "fail"),
        ([(55, 100)], "pass", "inconclusive"),
        ([(45, 100)], "fail", "inconclusive"),
        ([(90, 100), (45, 100)], "fail", "inconclusive"),
        ([(90, 100), (45, 100), (10, 100)], "fail", "fail"),
    ],
)
def test_the_worst_value_decides_or_all_intervals_do(
    counts: list[tuple[int, int]], value: str, interval: str
) -> None:
    compared = [share(*each) for each in counts]

    assert decide(compared, AT_LEAST_HALF, "value").outcome == value
    assert decide(compared, AT_LEAST_HALF, "interval").outcome == interval


def test_the_reason_names_the_comparison_that_it_rests_on() -> None:
    compared = [share(90, 100, "many"), share(55, 100, "about half"), share(2, 3, "two of three")]

    assert decide(compared, AT_LEAST_HALF, "value").reason == (
        "about half; the value passes, but its interval reaches beyond the limit"
    )
    by_interval = decide(compared, AT_LEAST_HALF, "interval")
    assert by_interval.reason == (
        "two of three; the interval reaches beyond the limit: more rows are needed"
    )
    assert by_interval.estimate == wilson(2, 3)
    few = decide([share(9, 20, "nine")], AT_LEAST_HALF, "value")
    assert few.reason == "nine; more rows could change this"
    assert decide([share(1, 90, "one")], AT_LEAST_HALF, "value").reason == "one"


def test_a_value_on_the_limit_keeps_to_it_whatever_rounding_made_of_it() -> None:
    difference = Comparison("", 0.4 - 0.3, lambda sure: wilson(40, 100, confidence=sure))

    assert difference.value > 0.1
    assert decide([difference], Allowed(-0.1, 0.1), "value").outcome == "pass"


@given(st.lists(st.tuples(st.integers(0, 50), st.just(50)), min_size=1, max_size=5))
def test_surely_within_is_within_and_surely_beyond_is_beyond(counts: list[tuple[int, int]]) -> None:
    compared = [share(*each) for each in counts]
    value = decide(compared, AT_LEAST_HALF, "value").outcome

    assert decide(compared, AT_LEAST_HALF, "interval").outcome in (value, "inconclusive")


def test_of_many_that_keep_to_the_limit_few_are_said_to_fail() -> None:
    """Twenty shares of exactly one half: without a correction every third verdict would fail."""
    chance = np.random.default_rng(0)
    verdicts = []
    for _ in range(200):
        compared = [share(int(each), 200) for each in chance.binomial(200, 0.5, 20)]
        verdicts.append(decide(compared, AT_LEAST_HALF, "interval").outcome)

    assert verdicts.count("fail") / 200 <= 0.05
    assert "pass" not in verdicts
