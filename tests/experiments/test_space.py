"""What may be tried: values and ranges, their combinations, and what cannot be one."""

import math
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import InvalidInput
from cd4ml.experiments.space import (
    domain_of,
    examples,
    grid,
    sample,
    size,
    space_of,
    value_at,
    values_of,
)
from cd4ml.records.search import Choices, Range

spaces = st.dictionaries(
    st.text(min_size=1, max_size=3),
    st.lists(st.integers(), min_size=1, max_size=4, unique=True),
    min_size=1,
    max_size=4,
)
shares = st.floats(0, 1, exclude_max=True)
wholes = st.tuples(st.integers(-1000, 1000), st.integers(1, 1000), st.integers(1, 50))


def test_a_grid_has_every_combination_in_order() -> None:
    assert grid({"a": [1, 2], "b": ["x", "y"]}) == [
        {"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"},
    ]  # fmt: skip


@given(space=spaces, n=st.integers(1, 30), seed=st.integers(0, 5))
def test_a_sample_has_different_combinations_of_the_grid(
    space: dict[str, list[int]], n: int, seed: int
) -> None:
    everything = grid(space)

    chosen = sample(space, n, seed=seed)

    assert len(chosen) == min(n, len(everything))
    assert all(each in everything for each in chosen)
    assert len({tuple(each.items()) for each in chosen}) == len(chosen)
    assert chosen == sample(space, n, seed=seed)


def test_a_sample_of_a_vast_space_is_quick() -> None:
    space = {f"p{i}": range(1000) for i in range(6)}

    assert len(sample(space, 10, seed=1)) == 10
    assert len(sample({f"p{i}": "0..1000000000" for i in range(9)}, 10, seed=1)) == 10


def test_a_longer_sample_of_ranges_begins_with_the_shorter_one() -> None:
    space = {"a": "0..1.0", "b": "1..9"}

    assert sample(space, 20, seed=3)[:5] == sample(space, 5, seed=3)
    assert sample(space, 5, seed=3) != sample(space, 5, seed=4)


@given(wholes, shares)
def test_whole_numbers_stay_whole_and_within(numbers: tuple[int, int, int], share: float) -> None:
    low, width, step = numbers
    domain = domain_of("a", f"{low}..{low + width}:{min(step, width)}")

    value = value_at(domain, share)

    assert isinstance(value, int)
    assert value in (values_of(domain) or ())
    assert low <= value <= low + width


@given(low=st.floats(1e-6, 1e3), factor=st.floats(1.01, 1e6), share=shares)
def test_a_logarithmic_range_is_cut_in_tenfolds(low: float, factor: float, share: float) -> None:
    domain = Range(low=low, high=low * factor, is_whole=False, is_log=True)

    value = value_at(domain, share)

    assert low <= value <= low * factor
    assert math.log(value / low) == pytest.approx(share * math.log(factor), abs=1e-9)


@given(st.integers(1, 50), st.integers(1, 500))
def test_each_end_of_a_logarithmic_range_of_whole_numbers_is_reached(low: int, width: int) -> None:
    domain = domain_of("a", f"{low}..{low + width}:log")

    drawn = [value_at(domain, i / 5000) for i in range(5000)]

    assert (min(drawn), max(drawn)) == (low, low + width)
    assert drawn == sorted(drawn)


def test_steps_of_a_tenth_have_no_rounding_noise() -> None:
    assert list(values_of(domain_of("a", "0..1:0.1")) or ()) == [
        0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,2,3", (1, 2, 3)),
        ("a..b,c", None),
        ("0.5", (0.5,)),
        ("true,null,adam", (True, None, "adam")),
    ],
)
def test_values_are_read_as_json_where_they_are(text: str, values: tuple[Any, ...] | None) -> None:
    if values is None:
        with pytest.raises(InvalidInput, match=r"'a\.\.b,c' is no range"):
            domain_of("a", text)
    else:
        assert domain_of("a", text) == Choices(values=values)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("5..5", "it ends where it begins, or before"),
        ("9..1", "it ends where it begins, or before"),
        ("0..1:log", "a logarithmic range begins above 0"),
        ("0..1:2", "its step is above 0, and within it"),
        ("0..1:0", "its step is above 0, and within it"),
        ("0..1e999", "its ends are not finite"),
        ("0..99999999999999999", "whole numbers are exact up to 2**53"),
    ],
)
def test_what_is_no_range_is_said(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        domain_of("delay.rate", text)

    assert caught.value.message == f"the parameter 'delay.rate': {text} is no range: {problem}"


@pytest.mark.parametrize(
    ("space", "message", "hint"),
    [
        ({}, "a search needs a parameter with the values to try",
         "--try STEP.PARAMETER=1,2,3"),
        ({"delay.rate": []}, "the parameter 'delay.rate' has no value to try",
         "--try delay.rate=1,2,3"),
        ({"delay.rate": ""}, "the parameter 'delay.rate' has no value to try",
         "--try delay.rate=1,2,3"),
        ({"delay.rate": [1, 1]}, "the parameter 'delay.rate' is to have the value 1 2 times",
         "the same trial again shows nothing new"),
    ],
)  # fmt: skip
def test_a_space_without_values_is_refused(space: dict[str, Any], message: str, hint: str) -> None:
    for find in (grid, partial(sample, n=1, seed=0)):
        with pytest.raises(InvalidInput) as caught:
            find(space)
        assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_value_that_json_does_not_hold_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a value that JSON does not hold"):
        domain_of("a.b", [object()])


def test_a_grid_cannot_have_every_value_of_a_range_of_fractions() -> None:
    with pytest.raises(InvalidInput) as caught:
        grid({"a.b": "0..1.5"})

    assert str(caught.value) == (
        "a grid cannot have every value of the parameter 'a.b'\n"
        "  hint: give the range a step (0..1:0.1), or --sampler random"
    )
    assert size(space_of({"a.b": "0..1.5"})) is None


def test_a_sample_has_at_least_one_trial() -> None:
    with pytest.raises(InvalidInput) as caught:
        sample({"a": [1]}, 0, seed=0)

    assert caught.value.message == "expected at least one trial, got 0"


def test_1_and_true_are_two_values() -> None:
    assert domain_of("a", [1, True, 1.0]) == Choices(values=(1, True, 1.0))


def test_a_domain_comes_back_from_json() -> None:
    space = space_of({"a": "1..9:2", "b": "0.1..1:log", "c": [[1, 2], "x"]})

    again = msgspec.json.decode(msgspec.json.encode(space), type=dict[str, Range | Choices])

    assert again == space


def test_examples_have_each_value_and_both_ends() -> None:
    found = examples(space_of({"a": "1..9", "b": ["x", "y", "z"], "c": "0.5..2.0"}))

    assert {each["a"] for each in found} == {1, 9}
    assert {each["b"] for each in found} == {"x", "y", "z"}
    assert {round(each["c"], 9) for each in found} == {0.5, 2.0}
