import json
from argparse import ArgumentTypeError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.cli.assignments import choices, once, pair, plain_value, setting
from cd4ml.cli.words import UsageError

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(plain | st.lists(plain))
def test_whatever_json_writes_is_read_back(value: object) -> None:
    assert plain_value(json.dumps(value)) == value


@pytest.mark.parametrize("word", ["log_loss", "NaN", "Infinity", "2013-01-01", "", "1,2"])
def test_what_is_no_json_value_is_text(word: str) -> None:
    assert plain_value(word) == word


def test_a_value_may_have_an_equals_sign_in_it() -> None:
    assert setting("query.where=a=1") == ("query.where", "a=1")


def test_a_value_may_be_empty_text() -> None:
    assert setting("query.where=") == ("query.where", "")


@pytest.mark.parametrize("word", ["", "=", "a", "=1"])
def test_a_setting_has_a_name_and_an_equals_sign(word: str) -> None:
    with pytest.raises(ArgumentTypeError, match="expected NAME=VALUE, got"):
        setting(word)


def test_choices_may_have_several_types() -> None:
    assert choices("delay.depth=3,null,auto") == ("delay.depth", [3, None, "auto"])


@pytest.mark.parametrize("word", ["", "=", "a", "a=", "=1"])
def test_a_pair_has_two_sides(word: str) -> None:
    with pytest.raises(ArgumentTypeError, match="expected NAME=VALUE, got"):
        pair(word)


def test_a_name_that_is_given_twice_is_refused() -> None:
    with pytest.raises(UsageError) as error:
        once([("a", 1), ("a", 2)], "--set")

    assert str(error.value) == (
        "cd4ml run: --set a is given twice\n  hint: a name has one value; --grid tries several"
    )
