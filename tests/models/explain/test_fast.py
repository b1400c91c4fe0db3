"""Answers taken apart in microseconds: exactly, field by field, from plain data."""

import itertools
import math
import sys
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from cd4ml.errors import ConfigurationError, Corrupted
from cd4ml.models.explain import fast
from cd4ml.models.explain.contributions import contributions
from cd4ml.models.explain.fast import NotFast, compile_explainer, open_explainer
from cd4ml.models.explain.sklearn_trees import trees_of
from cd4ml.models.explain.tree_paths import Split, Tree, adder, paths_of
from cd4ml.models.frames import to_frame
from cd4ml.models.native import NativeScorer
from tests.models.builders import (
    CONTRACT,
    NUMBERS,
    bitset_boosted,
    boosted,
    fit,
    flights,
    logistic,
)
from tests.models.test_boosters import FEW, QUIET, by_lightgbm, by_xgboost, in_enums, in_pandas

Values = list[tuple[Any, ...]]
ROWS: Values = flights().select(CONTRACT.names).rows()
ODD: Values = [
    ("AA", "XXX", 5, None, 3.0),
    ("UA", None, 9, 130.0, 0.0),
    ("B6", "ORD", 23, -50.0, 1e30),
]


def _impute(*more: Any) -> Any:
    return make_pipeline(SimpleImputer(), *more)


MODELS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "logistic": (logistic, "linear", "log-odds"),
    "linear": (lambda: fit(LinearRegression(), numbers=_impute()), "linear", "answer"),
    "counts": (
        lambda: fit(PoissonRegressor(), numbers=_impute(StandardScaler())),
        "linear",
        "logarithm",
    ),
    "histograms": (boosted, "trees", "log-odds"),
    "histograms of categories": (bitset_boosted, "trees", "log-odds"),
    "histograms of counts": (
        lambda: fit(HistGradientBoostingRegressor(loss="poisson", max_iter=10)),
        "trees",
        "logarithm",
    ),
    "boosting": (
        lambda: fit(GradientBoostingClassifier(n_estimators=10, random_state=0), numbers=_impute()),
        "trees",
        "log-odds",
    ),
    "forest": (
        lambda: fit(RandomForestClassifier(10, random_state=0), numbers=_impute()),
        "trees",
        "answer",
    ),
    "forest with nulls": (lambda: fit(RandomForestRegressor(5, random_state=0)), "trees", "answer"),
    "random forest": (lambda: fit(ExtraTreesClassifier(5, random_state=0)), "trees", "answer"),
    "a tree": (lambda: fit(DecisionTreeClassifier(random_state=0)), "trees", "answer"),
    "lightgbm": (lambda: fit(LGBMClassifier(n_estimators=10, verbose=-1)), "lightgbm", "log-odds"),
    "lightgbm's numbers": (
        lambda: fit(LGBMRegressor(n_estimators=10, verbose=-1)),
        "lightgbm",
        "answer",
    ),
    "xgboost": (lambda: fit(XGBClassifier(n_estimators=10)), "xgboost", "log-odds"),
}


def wrapped_lightgbm() -> Any:
    return LGBMClassifier(n_estimators=10, verbose=-1).fit(
        in_pandas(flights()), flights()["late"].to_numpy()
    )


def wrapped_xgboost() -> Any:
    return XGBClassifier(n_estimators=10, enable_categorical=True).fit(
        in_enums(flights()), flights()["late"].to_numpy()
    )


def stopped_xgboost() -> Any:
    """Its last rounds are too many, and not asked."""
    model = XGBClassifier(n_estimators=60, enable_categorical=True, early_stopping_rounds=2)
    frame, late = flights(), flights()["late"].to_numpy()
    seen, unseen = frame.head(300), frame.tail(100)
    return model.fit(
        in_enums(seen), late[:300], eval_set=[(in_enums(unseen), late[300:])], verbose=False
    )


def answers_of(model: Any, values: Values) -> Any:
    return np.array(NativeScorer(model, CONTRACT).score(values))


@pytest.mark.parametrize("name", MODELS)
def test_the_parts_of_each_answer_add_up_to_it(name: str) -> None:
    make, method, unit = MODELS[name]
    model = make()
    rows = ROWS if name in ("linear", "counts") else [*ROWS, *ODD]
    answers = answers_of(model, rows)

    explainer = open_explainer(
        compile_explainer(model, CONTRACT, rows, answers, usual=ROWS), CONTRACT
    )

    for row, explained, answer in zip(rows, explainer.explained(rows), answers, strict=True):
        assert explained.answer == pytest.approx(answer, rel=1e-6, abs=1e-6)
        parts = [each.amount for each in explained.contributions]
        assert explained.base + math.fsum(parts) == pytest.approx(explained.raw, abs=1e-9)
        assert (explained.method, explained.unit) == (method, unit)
        assert {each.field: each.value for each in explained.contributions} == dict(
            zip(CONTRACT.names, row, strict=True)
        )
        sizes = [abs(part) for part in parts]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    "scalers",
    [
        (StandardScaler(),),
        (StandardScaler(with_mean=False),),
        (StandardScaler(with_std=False), StandardScaler()),
    ],
)
def test_a_scaler_behind_a_column_transformer_moves_no_amount(scalers: Any) -> None:
    plain = logistic()
    encoders, last = plain[:-1], plain[-1]
    frame, late = flights().select(CONTRACT.names), flights()["late"].to_numpy()
    model = make_pipeline(encoders[0], *scalers, type(last)(max_iter=5000)).fit(frame, late)
    answers = answers_of(model, [*ROWS, *ODD[:2]])

    data = compile_explainer(model, CONTRACT, [*ROWS, *ODD[:2]], answers, usual=ROWS)
    found = open_explainer(data, CONTRACT).explained(ROWS[:20])

    slow = contributions(model, to_frame(CONTRACT, ROWS[:20]), background=frame)
    assert (found[0].method, found[0].unit, slow.method) == ("linear", "log-odds", "linear")
    for each, amounts in zip(found, slow.amounts, strict=True):
        by_name = {part.field: part.amount for part in each.contributions}
        assert [by_name[name] for name in slow.names] == pytest.approx(amounts.tolist(), abs=1e-9)


BOOSTERS = [by_lightgbm, by_xgboost, wrapped_lightgbm, wrapped_xgboost, stopped_xgboost]


def test_a_wrapper_that_stopped_early_answers_by_its_best_round() -> None:
    model = stopped_xgboost()
    frame = flights().select(FEW.names)

    answers = NativeScorer(model, FEW).score(frame.rows())

    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    expected = model.predict_proba(in_enums(flights()))[:, 1]
    assert answers == pytest.approx(expected.tolist(), abs=1e-6)


@pytest.mark.parametrize("make", BOOSTERS)
def test_a_booster_that_knows_categories_is_taken_apart_by_its_library(make: Any) -> None:
    model = make()
    frame = flights().select(FEW.names)
    rows: Values = [*frame.rows(), ("ZZ", 5, None, 3.0), ("UA", 9, 130.0, 0.0)]
    answers = np.array(NativeScorer(model, FEW).score(rows))

    data = compile_explainer(model, FEW, rows, answers, usual=rows)
    found = open_explainer(data, FEW).explained(rows)

    slow = contributions(model, frame, background=frame)
    library = "lightgbm" if "lightgbm" in type(model).__module__ else "xgboost"
    assert (slow.method, found[0].method, found[0].unit) == (library, library, "log-odds")
    for each, answer in zip(found, answers, strict=True):
        assert each.answer == pytest.approx(answer, abs=1e-6)
    for each, amounts in zip(found, slow.amounts, strict=False):
        by_name = {part.field: part.amount for part in each.contributions}
        assert [by_name[name] for name in slow.names] == pytest.approx(amounts.tolist(), abs=1e-6)
    assert max(abs(part.amount) for part in found[0].contributions if part.field == "carrier") > 0


def test_a_booster_of_trees_for_each_class_is_refused_in_words() -> None:
    known = lightgbm.Dataset(in_pandas(flights()), flights()["late"].to_numpy())
    model = lightgbm.train({"objective": "multiclass", "num_class": 2, **QUIET}, known, 3)
    rows: Values = flights().select(FEW.names).rows()

    with pytest.raises(NotFast) as found:
        compile_explainer(
            model, FEW, rows, np.array(NativeScorer(model, FEW).score(rows)), usual=rows
        )

    assert str(found.value) == "the lightgbm model has trees for each class"


@pytest.mark.parametrize("last", [LogisticRegression(), GradientBoostingClassifier()])
def test_a_scaler_of_all_columns_needs_no_column_transformer(last: Any) -> None:
    model = make_pipeline(SimpleImputer(), StandardScaler(), last)
    model.fit(flights().select(NUMBERS), flights()["late"].to_numpy())
    answers = answers_of(model, [*ROWS, *ODD])
    data = compile_explainer(model, CONTRACT, [*ROWS, *ODD], answers, usual=ROWS)

    for each, answer in zip(
        open_explainer(data, CONTRACT).explained([*ROWS, *ODD]), answers, strict=True
    ):
        assert each.answer == pytest.approx(answer, abs=1e-6)
        assert {part.field for part in each.contributions} == set(NUMBERS)


@pytest.mark.parametrize("name", ["logistic", "boosting", "forest", "histograms", "xgboost"])
def test_the_parts_are_those_of_cd4ml_explain(name: str) -> None:
    """There the estimator itself is taken apart, trees of scikit-learn by SHAP."""
    pytest.importorskip("shap")
    model = MODELS[name][0]()
    rows = ROWS[:20]
    answers = answers_of(model, ROWS)
    data = compile_explainer(model, CONTRACT, ROWS, answers, usual=ROWS)

    slow = contributions(
        model, to_frame(CONTRACT, rows), background=flights().select(CONTRACT.names)
    )

    quick = open_explainer(data, CONTRACT).explained(rows)
    assert slow.method in ("linear", "shap", "xgboost")
    assert slow.base == pytest.approx(quick[0].base, abs=1e-5)
    for explained, amounts in zip(quick, slow.amounts, strict=True):
        by_name = {each.field: each.amount for each in explained.contributions}
        assert [by_name[field] for field in slow.names] == pytest.approx(amounts.tolist(), abs=1e-5)


SLOW = {
    "MLPClassifier is no ensemble of trees that can be taken apart": lambda: fit(
        MLPClassifier(max_iter=5), numbers=_impute()
    ),
    "FunctionTransformer cannot be written down as an encoding, expected encoders, imputers,"
    " scalers and what passes through": lambda: fit(
        LinearRegression(), numbers=FunctionTransformer(lambda x: x.fill_null(0.0))
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reason", SLOW)
def test_a_model_without_a_fast_way_says_why(reason: str) -> None:
    model = SLOW[reason]()

    with pytest.raises(NotFast) as found:
        compile_explainer(model, CONTRACT, ROWS, answers_of(model, ROWS), usual=ROWS)

    assert str(found.value) == reason


def test_an_ensemble_that_would_take_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "_MOST", 1_000)
    model = boosted()

    with pytest.raises(NotFast, match=r"its \d+ leaves take too long to be taken apart"):
        compile_explainer(model, CONTRACT, ROWS, answers_of(model, ROWS), usual=ROWS)


def test_parts_that_add_up_to_other_answers_are_none() -> None:
    with pytest.raises(
        NotFast, match=r"the parts add up to other answers, by 0\.\d+, more than 1e-05"
    ):
        compile_explainer(logistic(), CONTRACT, ROWS, np.full(len(ROWS), 0.25), usual=ROWS)


def test_a_target_that_was_learned_as_a_logarithm_is_taken_apart_in_logarithms() -> None:
    model = TransformedTargetRegressor(
        HistGradientBoostingRegressor(max_iter=5), func=np.log1p, inverse_func=np.expm1
    )
    shifted = TransformedTargetRegressor(
        HistGradientBoostingRegressor(max_iter=5), func=np.log, inverse_func=np.exp
    )
    numbers = flights().select("hour", "wind")
    contract = type(CONTRACT)(name="c", fields=(CONTRACT.fields[2], CONTRACT.fields[4]))
    y = flights()["wind"].to_numpy() + 1.0
    rows = numbers.rows()
    answered = {}
    for each in (model, shifted):
        each.fit(numbers, y)
        answered[each] = np.asarray(each.predict(numbers))

    with pytest.raises(NotFast, match="add up to other answers"):
        compile_explainer(model, contract, rows, answered[model], usual=rows)
    data = compile_explainer(shifted, contract, rows, answered[shifted], usual=rows)
    assert open_explainer(data, contract).explained(rows[:1])[0].unit == "logarithm"


def test_bytes_that_are_no_explainer_are_said_to_be_none() -> None:
    with pytest.raises(Corrupted, match="the explainer cannot be read"):
        open_explainer(b"\x81\xa1a\x01", CONTRACT)


def test_the_library_of_the_trees_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS["xgboost"][0]()
    data = compile_explainer(model, CONTRACT, ROWS, answers_of(model, ROWS), usual=ROWS)
    monkeypatch.setitem(sys.modules, "xgboost", None)

    with pytest.raises(ConfigurationError) as missing:
        open_explainer(data, CONTRACT).explained(ROWS[:1])

    assert missing.value.message == "xgboost is not installed, which takes its answers apart"


# --- the trees themselves, against the definition -------------------------------------------


@st.composite
def trees(draw: st.DrawFn, n_columns: int = 4) -> Tree:
    """A tree of up to four levels over numbers and codes; each path was gone by somebody."""
    splits: list[Split | None] = []
    values: list[float] = []
    covers: list[float] = []

    def grow(depth: int, cover: int) -> int:
        node = len(splits)
        splits.append(None)
        values.append(draw(st.floats(-5, 5)))
        covers.append(cover)
        if depth == 4 or cover < 2 or draw(st.integers(0, 4)) == 0:
            return node
        column = draw(st.integers(0, n_columns - 1))
        codes = None
        if column == 0:  # the one of codes
            codes = frozenset(draw(st.sets(st.integers(0, 3))))
        left_cover = draw(st.integers(1, cover - 1))
        threshold = draw(st.integers(-2, 2))
        is_left = draw(st.booleans())
        left, right = grow(depth + 1, left_cover), grow(depth + 1, cover - left_cover)
        splits[node] = Split(column, float(threshold), codes, is_left, left, right)
        return node

    grow(0, 32)
    return Tree(splits, values, covers)


def worth(tree: Tree, row: list[float], known: frozenset[int], node: int = 0) -> float:
    """What a tree answers when only some columns are known: the others follow the training rows."""
    split = tree.splits[node]
    if split is None:
        return tree.values[node]
    left, right = (worth(tree, row, known, child) for child in (split.left, split.right))
    if split.column not in known:
        share = tree.covers[split.left] / tree.covers[node]
        return share * left + (1 - share) * right
    asked = row[split.column]
    if math.isnan(asked):
        return left if split.is_missing_left else right
    is_left = asked <= split.threshold if split.codes is None else int(asked) in split.codes
    return left if is_left else right


def shapley(tree: Tree, row: list[float]) -> list[float]:
    """By the definition: the mean over all orders of what a column adds when it becomes known."""
    n = len(row)
    added = [0.0] * n
    for order in itertools.permutations(range(n)):
        for i, column in enumerate(order):
            before = frozenset(order[:i])
            added[column] += worth(tree, row, before | {column}) - worth(tree, row, before)
    return [each / math.factorial(n) for each in added]


numbers = st.sampled_from([-3.0, -2.0, -0.5, 0.0, 1.0, 2.5, math.nan])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(trees(), min_size=1, max_size=3),
    st.tuples(st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan]), numbers, numbers, numbers),
)
def test_what_a_column_adds_is_its_shapley_value(
    grown: list[Tree], asked: tuple[float, ...]
) -> None:
    row = list(asked)
    paths = paths_of(grown, base=0.5, n_columns=4)

    (added,) = adder(paths, 4)(np.array([row]))

    by_definition = np.sum([shapley(tree, row) for tree in grown], axis=0)
    assert added == pytest.approx(by_definition, abs=1e-9)
    every = frozenset(range(4))
    raw = 0.5 + sum(worth(tree, row, every) for tree in grown)
    assert paths.base + added.sum() == pytest.approx(raw, abs=1e-9)
    usual = 0.5 + sum(worth(tree, row, frozenset()) for tree in grown)
    assert paths.base == pytest.approx(usual, abs=1e-9)


def test_a_tree_that_never_splits_adds_nothing() -> None:
    paths = paths_of([Tree([None], [3.0], [10.0])], base=1.0, n_columns=2)

    assert adder(paths, 2)(np.zeros((1, 2))).tolist() == [[0.0, 0.0]]
    assert paths.base == 4.0


def test_an_ensemble_with_trees_for_each_class_is_refused() -> None:
    frame = pl.DataFrame({"a": [float(i) for i in range(60)]})
    model = HistGradientBoostingClassifier(max_iter=2).fit(frame, [i % 3 for i in range(60)])

    with pytest.raises(Exception, match="a tree for each class is no ensemble of trees"):
        trees_of(model)
