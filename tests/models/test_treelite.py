"""Tree ensembles answer as their libraries do, without them."""

import sys
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from cd4ml.errors import ConfigurationError, InvalidInput
from cd4ml.models.frames import to_frame, to_rows
from cd4ml.models.native import NativeScorer
from cd4ml.models.parity import probes
from cd4ml.models.treelite import TreeScorer, compile_trees
from tests.models.builders import CONTRACT, NUMBERS, bitset_boosted, boosted, fit, flights, logistic

SAMPLE = to_rows(CONTRACT, flights())
VALUES = [
    tuple(row[name] for name in CONTRACT.names) for row in [*probes(CONTRACT, SAMPLE), *SAMPLE]
]
IMPUTED = make_pipeline(SimpleImputer(), StandardScaler())
ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def numbers_only() -> Any:
    model = HistGradientBoostingClassifier(max_iter=10, random_state=0)
    return model.fit(flights().select(NUMBERS), flights()["late"].to_numpy())


def plain_categories_of_its_own() -> Any:
    """Hours are categories, and not all of them were seen."""
    model = HistGradientBoostingClassifier(max_iter=10, categorical_features=[0])
    known = flights().filter(~pl.col("hour").is_in([6, 11, 12]))
    return model.fit(known.select(NUMBERS), known["late"].to_numpy())


def some_categories_of_its_own() -> Any:
    """Its categories are the third and fourth of its columns, behind two numbers."""
    columns = ColumnTransformer(
        [("n", "passthrough", ["wind", "temp"]), ("t", ORDINAL, ["carrier", "dest"])]
    )
    model = HistGradientBoostingClassifier(max_iter=10, categorical_features=[2, 3])
    pipeline = Pipeline([("columns", columns), ("model", model)])
    return pipeline.fit(flights().select(CONTRACT.names), flights()["late"].to_numpy())


@pytest.mark.parametrize(
    "build",
    [
        boosted,
        bitset_boosted,
        numbers_only,
        some_categories_of_its_own,
        plain_categories_of_its_own,
        lambda: fit(HistGradientBoostingRegressor(loss="poisson", max_iter=10), target="hour"),
        lambda: fit(RandomForestClassifier(10, random_state=0), numbers=IMPUTED),
        lambda: fit(RandomForestRegressor(5, random_state=0), texts=ORDINAL, target="hour"),
        lambda: fit(ExtraTreesClassifier(10, random_state=0), numbers=IMPUTED),
        lambda: fit(GradientBoostingClassifier(n_estimators=20), numbers=IMPUTED),
    ],
    ids=[
        "boosting",
        "categories of its own",
        "numbers only",
        "some categories of its own",
        "hours as categories",
        "poisson",
        "forest",
        "regression",
        "extra trees",
        "gradient boosting",
    ],
)
def test_scikit_learn_ensembles_answer_exactly(build: Callable[[], Any]) -> None:
    estimator = build()

    scorer = TreeScorer(compile_trees(estimator, CONTRACT), CONTRACT)

    expected = NativeScorer(estimator, CONTRACT).score(VALUES)
    np.testing.assert_allclose(scorer.score(VALUES), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(
        scorer.score_frame(to_frame(CONTRACT, VALUES)), scorer.score(VALUES)
    )


@pytest.mark.parametrize("texts", [None, ORDINAL])
@pytest.mark.parametrize(
    "model",
    [
        lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1),
        xgboost.XGBClassifier(n_estimators=10, n_jobs=1),
    ],
    ids=["LightGBM", "XGBoost"],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_boosting_of_other_libraries_answers_within_single_precision(
    model: Any, texts: Any
) -> None:
    estimator = fit(model, texts=texts)

    scorer = TreeScorer(compile_trees(estimator, CONTRACT), CONTRACT)

    expected = NativeScorer(estimator, CONTRACT).score(VALUES)
    np.testing.assert_allclose(scorer.score(VALUES), expected, atol=1e-6)


def test_one_row_is_answered_as_many_are() -> None:
    scorer = TreeScorer(compile_trees(bitset_boosted(), CONTRACT), CONTRACT)

    alone = [score for row in VALUES[:50] for score in scorer.score([row])]

    assert alone == scorer.score(VALUES[:50])


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (
            lambda: boosted(
                OneHotEncoder(
                    min_frequency=5, handle_unknown="infrequent_if_exist", sparse_output=False
                )
            ),
            "OneHotEncoder that drops or joins categories cannot be written down as an encoding, "
            "expected a column a category",
        ),
        (
            lambda: boosted(OneHotEncoder(sparse_output=False), categorical_features=[0, 1]),
            "a category that is spread over columns cannot be written down as an encoding, "
            "expected a column of codes",
        ),
        (
            lambda: make_pipeline(logistic()[0], StandardScaler(), numbers_only()),
            "ColumnTransformer, StandardScaler cannot be written down as an encoding, expected one "
            "ColumnTransformer",
        ),
    ],
)
def test_an_unknown_encoding_is_refused(estimator: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        compile_trees(estimator(), CONTRACT)

    assert refusal.value.message == message


def test_what_is_no_ensemble_is_refused() -> None:
    with pytest.raises(Exception, match="Not supported model type: LogisticRegression"):
        compile_trees(logistic(), CONTRACT)


def test_without_treelite_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    model = compile_trees(numbers_only(), CONTRACT)
    monkeypatch.setitem(sys.modules, "treelite", None)

    with pytest.raises(ConfigurationError) as error:
        TreeScorer(model, CONTRACT)

    assert str(error.value) == "treelite is not installed\n  hint: pip install 'cd4ml[treelite]'"


def test_a_frame_may_hold_its_columns_in_any_order() -> None:
    scorer = TreeScorer(compile_trees(boosted(), CONTRACT), CONTRACT)
    frame = flights().head(5)

    turned = frame.select(reversed(frame.columns)).with_columns(pl.lit(1).alias("more"))

    np.testing.assert_array_equal(scorer.score_frame(turned), scorer.score_frame(frame))
