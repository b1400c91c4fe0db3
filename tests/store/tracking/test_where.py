"""The filter language: what it means, and where it is wrong."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import InvalidInput
from cd4ml.store.tracking.where import All, Any, Condition, Field, Not, Tree, field_of, parse


def bare(tree: Tree) -> Tree:
    """A tree without places."""
    match tree:
        case All(parts):
            return All(tuple(bare(part) for part in parts))
        case Any(parts):
            return Any(tuple(bare(part) for part in parts))
        case Not(part):
            return Not(bare(part))
    return Condition(tree.field._replace(place=0), tree.operator, tree.values)


AUC = Condition(Field("metrics", "auc"), ">", (0.7,))
ITER = Condition(Field("params", "delay.max_iter"), "=", (200.0,))
TEAM = Condition(Field("tags", "team"), "in", ("ops", "web"))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("metrics.auc > 0.7", AUC),
        ("metric.`auc`>.7", AUC),
        ('METRICS."auc" > 7e-1', AUC),
        ("params.delay.max_iter = 200", ITER),
        ("parameters.delay.max_iter == 200", ITER),
        ("tags.team IN ('ops', \"web\")", TEAM),
        ("metrics.auc > 0.7 and params.delay.max_iter = 200", All((AUC, ITER))),
        (
            "metrics.auc > 0.7 and params.delay.max_iter = 200 or tags.team in ('ops','web')",
            Any((All((AUC, ITER)), TEAM)),
        ),
        (
            "metrics.auc > 0.7 AND (params.delay.max_iter = 200 OR tags.team in ('ops','web'))",
            All((AUC, Any((ITER, TEAM)))),
        ),
        ("not metrics.auc > 0.7", Not(AUC)),
        (
            "tags.team not in ('ops', 'web')",
            All((Not(TEAM), Not(Condition(Field("tags", "team"), "is null", ())))),
        ),
        ("tags.`my größe` is null", Condition(Field("tags", "my größe"), "is null", ())),
        ("tags.a is not null", Not(Condition(Field("tags", "a"), "is null", ()))),
        ("params.a ilike 'x%'", Condition(Field("params", "a"), "ilike", ("x%",))),
        (
            "params.a not like 'x%'",
            All(
                (
                    Not(Condition(Field("params", "a"), "like", ("x%",))),
                    Not(Condition(Field("params", "a"), "is null", ())),
                )
            ),
        ),
        ("tags.`a``b` is null", Condition(Field("tags", "a`b"), "is null", ())),
        ('tags."a`""b" is null', Condition(Field("tags", 'a`"b'), "is null", ())),
        ("params.a = 'it''s \\'so\\''", Condition(Field("params", "a"), "=", ("it's 'so'",))),
        ("params.a = TRUE", Condition(Field("params", "a"), "=", (True,))),
        ("metrics.a = -inf", Condition(Field("metrics", "a"), "=", (float("-inf"),))),
        ("metrics.val/auc-2@3:1 < -1", Condition(Field("metrics", "val/auc-2@3:1"), "<", (-1.0,))),
        ("status = 'running'", Condition(Field("attributes", "state"), "=", ("running",))),
        ("attributes.run_name <> 'a'", Condition(Field("attributes", "name"), "!=", ("a",))),
        (
            "started >= 2026-11-26T10:30",
            Condition(
                Field("attributes", "started"), ">=", (datetime(2026, 11, 26, 10, 30, tzinfo=UTC),)
            ),
        ),
    ],
)
def test_a_filter_means_its_tree(text: str, tree: Tree) -> None:
    assert bare(parse(text)) == tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "expected a field, got the end:\n    \n    ^\n  hint: metrics.NAME, params.NAME, "
            "tags.NAME, number, name, note, state, experiment, search, created_by, started, finished",
        ),
        ("metrics.auc >", "expected a value, got the end:\n    metrics.auc >\n                 ^"),
        (
            "metrics.auc > high",
            "expected a value, got 'high':\n    metrics.auc > high\n                  ^"
            "\n  hint: text stands in quotes",
        ),
        (
            "metrics.auc 0.7",
            "expected an operator, got '0.7':\n    metrics.auc 0.7\n                ^"
            "\n  hint: one of = != < <= > >= like ilike in is",
        ),
        (
            "(metrics.auc > 1",
            "expected ')', got the end:\n    (metrics.auc > 1\n                    ^",
        ),
        (
            "metrics.auc > 1 params.a = 2",
            "expected 'and', 'or' or the end, got 'params.a':\n"
            "    metrics.auc > 1 params.a = 2\n                    ^",
        ),
        (
            "tags.a = 'ops",
            "a quote is opened here and never closed:\n    tags.a = 'ops\n             ^",
        ),
        ("tags.a = 'x' ; drop", "';' has no meaning here:\n    tags.a = 'x' ; drop\n                 ^"),
        ("tags.a like 3", "expected text in quotes, got '3':\n    tags.a like 3\n                ^"),
        ("tags.a in 'x'", "expected '(', got \"'x'\":\n    tags.a in 'x'\n              ^"),
        ("tags.a in ('x'", "expected ',' or ')', got the end:\n    tags.a in ('x'\n                  ^"),
        ("tags.a is 3", "expected 'null', got '3':\n    tags.a is 3\n              ^"),
        (
            "tags.a not = 3",
            "expected 'in', 'like' or 'ilike', got '=':\n    tags.a not = 3\n               ^",
        ),
        (
            "started > 2026-02-31",
            "expected a moment that there is, got '2026-02-31':\n"
            "    started > 2026-02-31\n              ^",
        ),
        ("(" * 60, "expected at most 50 parentheses within one another, got '(':\n"
         f"    {'(' * 45}\n    {' ' * 35}^"),
        ("a" * 20_001, "a filter has at most 20,000 characters, got 20,001"),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_is(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text)

    assert str(refused.value) == message


@given(st.text(max_size=60) | st.text(" ()'`\".,<>=!01aemn_t\\", max_size=60))
def test_whatever_is_typed_is_read_or_explained(text: str) -> None:
    with suppress(InvalidInput):
        assert parse(text)


def test_a_field_stands_alone_where_something_is_sorted() -> None:
    assert field_of("metrics.auc") == Field("metrics", "auc", 0)
    with pytest.raises(InvalidInput) as refused:
        field_of("metrics.auc desc")

    assert str(refused.value) == (
        "expected the end, got 'desc':\n    metrics.auc desc\n                ^"
    )
