"""Answers are taken apart into what each field adds, and the parts add up to the answer."""

import sys
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from cd4ml.errors import InvalidInput
from cd4ml.models.estimator import score_frame
from cd4ml.models.explain.contributions import answer_of, contributions, explained, shares
from cd4ml.models.explain.linear import linear_parts
from cd4ml.models.explain.origins import origins
from cd4ml.models.explain.parts import gap
from cd4ml.models.explain.sampled import sampled_parts
from tests.models.builders import CONTRACT, bitset_boosted, boosted, fit, flights, logistic

ROWS = flights().select(CONTRACT.names)
FEW = ROWS.head(12)


def _imputed(*more: Any) -> Any:
    return make_pipeline(SimpleImputer(), *more)


MODELS = {
    "linear log-odds": logistic,
    "linear logarithm": lambda: fit(PoissonRegressor(), numbers=_imputed(StandardScaler())),
    "linear answer": lambda: fit(Ridge(), numbers=_imputed(StandardScaler())),
    "lightgbm log-odds": lambda: fit(lightgbm.LGBMClassifier(n_estimators=8, verbose=-1)),
    "xgboost log-odds": lambda: fit(xgboost.XGBClassifier(n_estimators=8)),
    "shap log-odds": boosted,
    "shap answer": lambda: fit(RandomForestClassifier(8, random_state=0), numbers=_imputed()),
    "sampled answer": lambda: fit(
        MLPClassifier(max_iter=1000, tol=0.01, random_state=0), numbers=_imputed(StandardScaler())
    ),
}


@pytest.mark.parametrize("how", MODELS)
def test_the_parts_of_each_kind_of_model_add_up_to_its_answers(how: str) -> None:
    model = MODELS[how]()

    parts = contributions(model, FEW, background=ROWS)

    assert f"{parts.method} {parts.unit}" == how
    assert parts.names == ("carrier", "dest", "hour", "temp", "wind")
    assert gap(answer_of(parts), score_frame(model, FEW)) < 1e-6
    assert sum(shares(parts).values()) == pytest.approx(1)


def test_a_linear_model_is_taken_apart_as_its_coefficients_say() -> None:
    x = pl.DataFrame({"a": [1.0, 2.0, 6.0], "b": [0.0, 1.0, 2.0]})
    model = LinearRegression().fit(x, [2 * a - 5 * b + 1 for a, b in x.rows()])

    parts = contributions(model, x.head(1), background=x)

    assert parts.base == pytest.approx(2)  # of an average row: a = 3, b = 1
    assert parts.amounts == pytest.approx(np.array([[2 * (1 - 3), -5 * (0 - 1)]]))


numbers = st.floats(-1e3, 1e3)
tables = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(st.tuples(*[numbers] * width), min_size=1, max_size=6),
        st.tuples(*[numbers] * width),
        numbers,
    )
)


@given(tables)
def test_the_parts_of_any_linear_model_add_up(given_: Any) -> None:
    rows, coefficients, intercept = given_
    x = np.array(rows)
    model = LinearRegression()
    model.coef_, model.intercept_ = np.array(coefficients), intercept

    amounts, base = linear_parts(model, x, x)

    assert base + amounts.sum(axis=1) == pytest.approx(x @ coefficients + intercept, abs=1e-6)
    assert amounts.mean(axis=0) == pytest.approx(np.zeros(x.shape[1]), abs=1e-6)


def test_what_an_encoder_makes_of_a_field_is_added_up_for_the_field() -> None:
    """The columns of "carrier" are those of its three categories, whatever their number."""
    model = logistic()
    coefficients = model[-1].coef_[0]
    encoded = np.asarray(model[:-1].transform(ROWS))
    usual = encoded.mean(axis=0)

    parts = contributions(model, FEW, background=ROWS)

    of_carrier = ((encoded[:12] - usual) * coefficients)[:, :3].sum(axis=1)
    assert parts.amounts[:, 0] == pytest.approx(of_carrier)


def test_fields_that_an_encoder_mixes_are_one_part() -> None:
    mixed = make_pipeline(SimpleImputer(), PolynomialFeatures(2, interaction_only=True))

    parts = contributions(fit(Ridge(), numbers=mixed), FEW, background=ROWS)

    assert parts.names == (
        *("carrier", "dest", "hour", "temp", "wind"),
        *("hour, temp", "hour, wind", "temp, wind"),
    )
    assert gap(parts.raw, score_frame(fit(Ridge(), numbers=mixed), FEW)) < 1e-9


class Wind(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A feature step of a user's own, which names none of its columns."""

    def fit(self, rows: Any, target: Any = None) -> Any:
        return self

    def transform(self, rows: pl.DataFrame) -> np.ndarray[Any, Any]:
        return rows.select(
            pl.col("wind") ** 2,
            pl.col("hour").is_between(16, 20),
            both=pl.col("wind") * pl.col("hour"),
        ).to_numpy()


def test_encoders_of_a_users_own_are_seen_through() -> None:
    assert origins(Wind(), ROWS) == ["wind", "hour", "hour, wind"]


def test_a_category_that_no_row_has_is_known_by_its_name() -> None:
    """Its column is the same in all rows, so shuffling says nothing."""
    rows = ROWS.filter(pl.col("carrier") != "B6")

    assert origins(logistic()[:-1], rows)[:3] == ["carrier"] * 3


def test_trees_of_which_shap_tells_something_else_are_sampled() -> None:
    """SHAP 0.51 misreads splits by category: its parts add up to another answer."""
    model = bitset_boosted()

    parts = contributions(model, FEW, background=ROWS)

    assert (parts.method, parts.unit) == ("sampled", "answer")
    assert gap(parts.raw, score_frame(model, FEW)) < 1e-12


def test_trees_are_sampled_where_shap_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)  # importing it fails

    parts = contributions(boosted(), FEW.head(2), background=ROWS)

    assert (parts.method, parts.unit) == ("sampled", "answer")


def test_sampling_finds_what_is_exact_of_a_sum() -> None:
    """Where fields do not act together, every order gives the same parts."""
    model = fit(Ridge(), numbers=_imputed(StandardScaler()))

    sampled = sampled_parts(lambda rows: score_frame(model, rows), FEW, ROWS.head(32))
    exact = contributions(model, FEW, background=ROWS.head(32))

    assert sampled.base == pytest.approx(exact.base)
    assert sampled.amounts == pytest.approx(exact.amounts)


def test_the_model_that_a_search_found_is_taken_apart() -> None:
    numbers = ROWS.select("hour", "wind")
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}).fit(numbers, flights()["late"].to_numpy())

    assert contributions(search, numbers.head(3), background=numbers).method == "linear"


def test_boosting_that_stopped_early_is_taken_apart_up_to_its_best_round() -> None:
    numbers, late = ROWS.select("hour", "wind").to_numpy(), flights()["late"].to_numpy()
    stopped = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=2, learning_rate=1.0)
    stopped.fit(numbers[:200], late[:200], eval_set=[(numbers[200:], late[200:])], verbose=False)
    assert stopped.best_iteration < 50

    parts = contributions(
        stopped,
        FEW.select("hour", "wind"),
        background=ROWS.select("hour", "wind"),
        score=lambda rows: stopped.predict_proba(rows.to_numpy())[:, 1],
    )

    assert (parts.method, parts.unit) == ("xgboost", "log-odds")


def test_an_explained_answer_shows_its_values_the_largest_part_first() -> None:
    model = logistic()
    parts = contributions(model, FEW, background=ROWS)

    first = explained(FEW, parts, answer_of(parts))[0]

    amounts = [abs(part.amount) for part in first.contributions]
    assert amounts == sorted(amounts, reverse=True)
    assert {part.field: part.value for part in first.contributions} == FEW.row(0, named=True)
    assert first.base + sum(part.amount for part in first.contributions) == pytest.approx(first.raw)
    assert first.answer == pytest.approx(score_frame(model, FEW.head(1))[0])


def test_a_part_of_several_fields_shows_the_value_of_each() -> None:
    rows = ROWS.select("hour", "wind")
    both = make_pipeline(PolynomialFeatures((2, 2), interaction_only=True), Ridge())
    model = both.fit(rows, flights()["late"].to_numpy())

    parts = contributions(model, rows.head(1), background=rows)
    (only,) = explained(rows.head(1), parts, parts.raw)[0].contributions

    assert (only.field, only.value) == ("hour, wind", rows.row(0, named=True))


def test_a_model_that_answers_all_rows_alike_owes_nothing_to_any_field() -> None:
    model = Ridge().fit(ROWS.select("hour", "wind"), np.ones(ROWS.height))
    rows = ROWS.select("hour", "wind")

    assert shares(contributions(model, rows, background=rows)) == pytest.approx(
        {"hour": 0.0, "wind": 0.0}
    )


def test_nothing_is_explained_without_rows() -> None:
    with pytest.raises(InvalidInput) as refused:
        contributions(logistic(), ROWS.head(0), background=ROWS)

    assert str(refused.value) == (
        "contributions need a row to explain, and rows to compare it with"
    )


def test_a_model_that_changes_its_mind_is_not_explained() -> None:
    chance = np.random.default_rng(0)

    def whim(rows: pl.DataFrame) -> Any:
        return chance.uniform(size=rows.height)

    with pytest.raises(InvalidInput, match="the parts of an answer add up to another one"):
        contributions(object(), FEW, background=ROWS, score=whim)
