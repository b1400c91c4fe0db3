import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.store.storable import printable, problem
from tests.store.strategies import plain


@given(plain)
def test_plain_data_has_no_problem(value: object) -> None:
    assert problem(value) == ""


@given(st.text(st.characters()))
def test_whatever_is_printable_can_be_stored(text: str) -> None:
    shown = printable(text)

    assert problem(shown) == ""
    assert printable(shown) == shown
    assert len(shown) <= len(text)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_text_that_can_be_stored_is_printed_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(plain)
def test_what_has_no_problem_survives_the_json_of_the_database(value: object) -> None:
    assert msgspec.to_builtins(json.loads(json.dumps(value))) == value


def test_only_the_first_problem_is_told_with_its_place() -> None:
    value = {"a": [1, {"b": float("inf")}], "c": "\0"}

    assert (
        problem(value, "details") == "expected a finite number, got inf - at `details['a'][1]['b']`"
    )


def test_a_long_text_is_told_shortened() -> None:
    assert len(problem("\0" * 1000, "reason")) < 120
