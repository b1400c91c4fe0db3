"""The risk that a mortgage is refused, without and with a limit to what it does to groups.

`cd4ml run` fits what fits best; `cd4ml run --set refusal.balance=0.85` gives up some of it, so
that the score says less about race and marital status. Neither model is told either of them.
"""

from typing import Literal

import numpy as np
import polars as pl
from contracts import Application
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from cd4ml import Metrics, Model, split, step

TARGET = "denied"
REQUEST = list(Application.names)
PROTECTED = ["black", "single"]
REFUSED_FROM = 0.2  # of the score; the threshold in cd4ml.toml


@step
def known(applications: pl.DataFrame) -> pl.DataFrame:
    """What an applicant tells as numbers, `black` and `single` as they are, and the decision."""
    flags = [(pl.col(name) == "yes").cast(pl.Int64) for name in ("public_record", "self_employed")]
    return applications.with_columns(
        *flags, denied=(pl.col(TARGET) == "yes").cast(pl.Int64)
    ).select("application", *REQUEST, *PROTECTED, TARGET)


@step
def training(known: pl.DataFrame, *, applicants: Literal["all", "prime"] = "all") -> pl.DataFrame:
    """The half that teaches; with "prime" of it only the best customers."""
    rows = split(known, by="application", holdout=0.5).training
    is_prime = (pl.col("credit_score") == 1) & (pl.col("loan_to_value") <= 0.8)
    return rows if applicants == "all" else rows.filter(is_prime)


@step
def holdout(known: pl.DataFrame) -> pl.DataFrame:
    """The half that judges: groups of people need many rows."""
    return split(known, by="application", holdout=0.5).holdout


@step
def refusal(training: pl.DataFrame, *, balance: float = 0.0) -> Model:
    """A logistic regression; `balance` is how far it is moved to one that is blind to groups.

    At 0 it fits best. At 1 its score has no covariance with a protected column, in the
    training rows. The protected columns teach, and are not asked of a request.
    """
    scale = StandardScaler().fit(training.select(REQUEST))
    columns = scale.transform(training.select(REQUEST))
    groups = training.select(pl.col(PROTECTED) == "yes").cast(pl.Float64).to_numpy()
    model = balanced(columns, training[TARGET].to_numpy(), groups, balance)
    return Pipeline([("scale", scale), ("refuse", model)])


def balanced(
    columns: NDArray[np.float64],
    denied: NDArray[np.int64],
    groups: NDArray[np.float64],
    share: float,
) -> LogisticRegression:
    """A fit between the best one and the best of those whose score does not go with the groups.

    The score's covariance with a group is linear in the coefficients, so that it is 0 for those
    that are orthogonal to the group's covariance with the columns (M. B. Zafar et al., "Fairness
    constraints: mechanisms for fair classification", AISTATS 2017, with a bound of 0).
    """
    goes_along = (groups - groups.mean(axis=0)).T @ columns
    basis, _ = np.linalg.qr(goes_along.T)
    others = np.eye(columns.shape[1]) - basis @ basis.T
    model = LogisticRegression().fit(columns, denied)
    blind = LogisticRegression().fit(columns @ others, denied)
    model.coef_ = (1 - share) * model.coef_ + share * blind.coef_ @ others
    model.intercept_ = (1 - share) * model.intercept_ + share * blind.intercept_
    return model


@step
def evaluation(refusal: Model, holdout: pl.DataFrame) -> Metrics:
    """How good it is, and how often applicants of each group would be accepted."""
    score = refusal.predict_proba(holdout.select(REQUEST))[:, 1]
    is_black = (holdout["black"] == "yes").to_numpy()
    accepted = score < REFUSED_FROM
    return {
        "auc": float(roc_auc_score(holdout[TARGET], score)),
        "brier": float(brier_score_loss(holdout[TARGET], score)),
        "accepted": float(accepted.mean()),
        "accepted_black": float(accepted[is_black].mean()),
        "accepted_ratio": float(accepted[is_black].mean() / accepted[~is_black].mean()),
    }
