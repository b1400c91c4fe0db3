"""How answers move with one field, and what rules say to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.models.behaviour.responses import response
from cd4ml.models.behaviour.rules import Rule, against, allowed, rules_of, untestable
from cd4ml.records.behaviour import Response
from cd4ml.records.contract import Contract, Field
from tests.models.behaviour.models import ROWS, asked
from tests.models.builders import CONTRACT

X = Contract(name="x", fields=(Field("x", "integer"), Field("y", "integer", nullable=True)))


def answers(*values: float) -> Response:
    """The response of a model that answers x = 0, 1, ... with these values."""
    rows = [{"x": x, "y": 0} for x in range(len(values))]
    return response(lambda asked: [values[row["x"]] for row in asked], X, "x", rows)


def test_a_rise_a_fall_and_a_change_are_told_apart() -> None:
    found = answers(0.2, 0.5, 0.1, 0.3)

    assert found.largest_rise == pytest.approx(0.3)  # 0.2 to 0.5
    assert found.largest_fall == pytest.approx(0.4)  # 0.5 to 0.1
    assert found.largest_change == pytest.approx(0.4)
    assert found.fall_example == 'x 1 gives 0.5, 2 gives 0.1, for {"x": 0, "y": 0}'


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12))
def test_the_largest_change_is_the_larger_of_rise_and_fall(values: list[float]) -> None:
    found = answers(*values)

    assert found.largest_change == pytest.approx(max(found.largest_rise, found.largest_fall))
    assert found.largest_rise >= 0 <= found.largest_fall
    assert (found.largest_fall == 0) == (values == sorted(values))


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12))
def test_a_rise_backwards_is_a_fall(values: list[float]) -> None:
    there, back = answers(*values), answers(*values[::-1])

    assert (there.largest_rise, there.largest_fall) == (back.largest_fall, back.largest_rise)


def test_texts_have_no_order() -> None:
    found = response(asked(lambda row: float(row["carrier"] == "B6")), CONTRACT, "carrier", ROWS)

    assert not found.is_ordered
    assert (found.largest_change, found.largest_rise, found.largest_fall) == (1.0, 0.0, 0.0)
    assert found.change_example.startswith('carrier "AA" gives 0, "B6" gives 1, for {')


def test_only_values_that_come_up_are_tried_and_null_is_none() -> None:
    tried: set[object] = set()

    def ask(rows):  # type: ignore[no-untyped-def]
        tried.update(row["y"] for row in rows)
        return [0.0] * len(rows)

    found = response(ask, X, "y", [{"x": 1, "y": y} for y in [*range(100), None]])

    assert found.n_values == len(tried) == 12
    assert {0, 99} <= tried <= set(range(100))


def test_a_field_that_is_the_same_everywhere_says_nothing() -> None:
    found = response(lambda rows: [0.0] * len(rows), X, "x", [{"x": 1, "y": 1}])

    assert (found.n_rows, found.n_values) == (0, 0)


def test_a_rule_looks_at_its_own_way() -> None:
    seen = answers(0.2, 0.5, 0.1)

    amounts = [
        against(Rule(kind, "x"), seen)[:2] for kind in ("invariant", "increasing", "decreasing")
    ]

    assert amounts == [
        (pytest.approx(0.4), "change"),
        (pytest.approx(0.4), "fall"),
        (pytest.approx(0.3), "rise"),
    ]


def test_rules_say_which_they_are_and_why_they_cannot_be_tried() -> None:
    rules = rules_of(invariant=["a"], increasing=["b"], decreasing=["c"])

    assert [rule.words for rule in rules] == [
        "invariant to a",
        "increasing in b",
        "decreasing in c",
    ]
    assert untestable(rules[1], None) == "requests have no field 'b'"
    text = Response(field="b", is_ordered=False)
    assert untestable(rules[1], text) == "'b' holds texts, which have no order"
    assert untestable(rules[0], text) == ""


def test_what_single_precision_rounds_is_always_let_through() -> None:
    assert allowed(0.0, 0.3) == 1e-5
    assert allowed(0.0, 2000.0) == pytest.approx(0.02)
    assert allowed(5.0, 2000.0) == 5.0
