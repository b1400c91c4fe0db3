import pytest

from cd4ml.errors import InvalidInput
from cd4ml.experiments.compare import Difference, compare
from tests.experiments.runs import tracked


def test_only_what_differs_is_shown() -> None:
    found = compare(
        [
            tracked(1, {"auc": 0.60, "rows": 4.0}, parameters={"a.x": 1, "a.y": 2}),
            tracked(2, {"auc": 0.64, "rows": 4.0}, parameters={"a.x": 1, "a.y": 3},
                    refs={"flights": "flights@2"}),
        ]
    )  # fmt: skip

    assert found.runs == ("run/1", "run/2")
    assert found.differences == (
        Difference(kind="parameter", name="a.y", values=(2, 3)),
        Difference(kind="data", name="flights", values=("flights@1", "flights@2")),
        Difference(kind="metric", name="auc", values=(0.60, 0.64), best=(1,)),
    )


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("auc", (0.6, 0.7, 0.5), (1,)),
        ("brier", (0.2, 0.1, 0.3), (1,)),
        ("brier", (0.2, 0.1, 0.1), (1, 2)),
        ("auc", (None, 0.7, 0.5), (1,)),
        ("rmse", (3.0, 2.0, None), (1,)),
        ("rows", (3.0, 2.0, 1.0), ()),
    ],
)
def test_the_best_value_is_marked_where_one_is_better(
    metric: str, values: tuple[float | None, ...], best: tuple[int, ...]
) -> None:
    found = compare([tracked(i + 1, {metric: value}) for i, value in enumerate(values)])

    assert found.differences[0].best == best


def test_what_a_run_lacks_is_a_difference() -> None:
    found = compare([tracked(1, {"auc": 0.6}), tracked(2, {}, parameters={"a.x": 1})])

    assert [(each.name, each.values, each.best) for each in found.differences] == [
        ("a.x", (None, 1), ()),
        ("auc", (0.6, None), (0,)),
    ]


def test_equal_numbers_of_different_types_differ() -> None:
    found = compare([tracked(i, {}, parameters={"a.x": x}) for i, x in ((1, 1), (2, True))])

    assert [each.values for each in found.differences] == [(1, True)]


def test_code_and_revision_differ_by_name() -> None:
    found = compare(
        [
            tracked(1, {}, revision="a" * 40),
            tracked(2, {}, revision="a" * 40, is_dirty=True, code="blake3:" + "d" * 64),
        ]
    )

    assert [(each.kind, each.name, each.values) for each in found.differences] == [
        ("code", "code", ("cccccccccccc", "dddddddddddd")),
        ("code", "revision", ("aaaaaaaaaaaa", "aaaaaaaaaaaa with changes")),
    ]


def test_one_run_cannot_be_compared() -> None:
    with pytest.raises(InvalidInput) as caught:
        compare([tracked(1, {})])

    assert str(caught.value) == (
        "expected at least two runs to compare, got 1\n  hint: name two, as in run/1 run/2"
    )


def test_nan_is_like_nan_and_never_the_best() -> None:
    nan = float("nan")

    same = compare([tracked(1, {"auc": nan}), tracked(2, {"auc": nan})])
    other = compare([tracked(1, {"auc": nan}), tracked(2, {"auc": 0.5})])

    assert same.differences == ()
    assert [each.best for each in other.differences] == [(1,)]
