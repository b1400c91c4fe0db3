import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.engines.mlflow.search_language import (
    EXPERIMENTS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    Comparison,
    Order,
    Vocabulary,
    holds,
    like_pattern,
    parse_filter,
    parse_order,
)
from cd4ml.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.auc>0.7", Comparison("metric", "auc", ">", 0.7)),
        ("metric.`val loss` <= -1e-3", Comparison("metric", "val loss", "<=", -0.001)),
        ('metrics."val/loss" = 3', Comparison("metric", "val/loss", "=", 3.0)),
        ("params.step.lr = '0.1'", Comparison("param", "step.lr", "=", "0.1")),
        ('parameters.x != "it\'s"', Comparison("param", "x", "!=", "it's")),
        ("tags.mlflow.user ILIKE '%A%'", Comparison("tag", "mlflow.user", "ILIKE", "%A%")),
        ("tag.`a` is null", Comparison("tag", "a", "IS NULL", None)),
        ("params.a IS NOT NULL", Comparison("param", "a", "IS NOT NULL", None)),
        ("status = 'FINISHED'", Comparison("attribute", "status", "=", "FINISHED")),
        ("attributes.start_time > 17", Comparison("attribute", "start_time", ">", 17.0)),
        ("attr.Created < 5", Comparison("attribute", "start_time", "<", 5.0)),
        ("attributes.`run name` = 'x'", Comparison("attribute", "run_name", "=", "x")),
        ("run_id IN ('a', 'b')", Comparison("attribute", "run_id", "IN", ("a", "b"))),
        ("run_id not in ('a')", Comparison("attribute", "run_id", "NOT IN", ("a",))),
        ("dataset.name = 'X'", Comparison("dataset", "name", "=", "X")),
        ("metrics.Fläche > 1", Comparison("metric", "Fläche", ">", 1.0)),
    ],
)
def test_a_comparison_is_read(text: str, expected: Comparison) -> None:
    assert parse_filter(text, RUNS) == [expected]


def test_all_comparisons_of_a_filter_are_read() -> None:
    found = parse_filter("metrics.a > 1 AND params.b = 'and' and tags.c LIKE 'x%'  ", RUNS)

    assert [(each.kind, each.key, each.value) for each in found] == [
        ("metric", "a", 1.0),
        ("param", "b", "and"),
        ("tag", "c", "x%"),
    ]
    assert parse_filter("", RUNS) == parse_filter("  ", RUNS) == []


@pytest.mark.parametrize(
    ("text", "vocabulary", "reason"),
    [
        ("metrics.a > 1 or metrics.b > 2", RUNS, "expected AND, got 'or'"),
        ("metrics.a > 'x'", RUNS, "expected a number, got \"'x'\""),
        ("metrics.a LIKE '1%'", RUNS, "LIKE does not compare a metric (expected one of =, !=, <, <=, >, >=)"),
        ("params.a = 3", RUNS, "expected a value in quotes, got '3'"),
        ("params.a > '3'", RUNS, "> does not compare a param (expected one of =, !=, LIKE, ILIKE, IN, NOT IN, IS NULL, IS NOT NULL)"),
        ("nobody = 'x'", RUNS, "runs have no attribute 'nobody' (known: artifact_uri, end_time, run_id, run_name, start_time, status, user_id)"),
        ("things.a = 'x'", RUNS, "'things' is no kind of name that runs have (known: attribute, metric, param, tag, dataset)"),
        ("metrics.a = 1", EXPERIMENTS, "'metrics' is no kind of name that experiments have (known: attribute, tag)"),
        ("metrics.a >", RUNS, "expected a number, got 'its end'"),
        ("metrics.a ; drop", RUNS, "what is '; drop'?"),
        ("name = 'it", REGISTERED_MODELS, "what is \"'it\"?"),
        ("run_id IN (", RUNS, "expected a value in quotes, got 'its end'"),
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused(text: str, vocabulary: Vocabulary, reason: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_filter(text, vocabulary)

    expected = f"invalid filter or order of {vocabulary.thing} {text!r}: {reason}"
    assert refusal.value.message == expected


def test_an_order_is_read() -> None:
    assert parse_order("metrics.auc DESC", RUNS) == Order("metric", "auc", False)
    assert parse_order("start_time", RUNS) == Order("attribute", "start_time", True)
    assert parse_order("version_number asc", MODEL_VERSIONS).key == "version_number"
    with pytest.raises(InvalidInput, match="expected ASC or DESC at its end"):
        parse_order("metrics.auc upwards", RUNS)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_filter(text, RUNS)
        parse_order(text, RUNS)
    except InvalidInput:
        pass


@given(st.text(st.characters(exclude_characters="'\\\"`\0", exclude_categories=["Cs"]), min_size=1))
def test_a_quoted_value_is_what_it_was(value: str) -> None:
    (found,) = parse_filter(f"params.`{value}` = '{value}'", RUNS)

    assert (found.key, found.value) == (value, value)


@given(st.text(), st.text())
def test_like_with_nothing_special_is_equality(text: str, other: str) -> None:
    plain = re.sub("[%_]", "", other)

    assert bool(like_pattern(plain, ignores_case=False).fullmatch(text)) == (text == plain)
    assert like_pattern("%", ignores_case=False).fullmatch(text)


def test_a_thing_without_the_value_fits_only_null() -> None:
    for comparator in ("=", "!=", "LIKE", "IN"):
        assert not holds(Comparison("tag", "a", comparator, "x"), None)
    assert holds(Comparison("tag", "a", "IS NULL", None), None)
    assert not holds(Comparison("tag", "a", "IS NOT NULL", None), None)
    assert holds(Comparison("tag", "a", "ILIKE", "A_c%"), "abcdef")
    assert not holds(Comparison("tag", "a", "LIKE", "A%"), "abc")
