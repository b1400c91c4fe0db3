"""Answers of boosted trees and forests, taken apart by the libraries that made them, or by SHAP.

All of it is TreeSHAP along the paths of the trees; the base is the mean over their training rows.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cd4ml.models.explain.parts import Floats

_TREES = ("HistGradientBoosting", "GradientBoosting", "RandomForest", "ExtraTree", "DecisionTree")


def lightgbm_parts(estimator: Any, rows: Floats) -> tuple[Floats, float] | None:
    """What each column adds according to LightGBM; None of another estimator.

    Source:
        LightGBM's `predict(pred_contrib=True)`.
    """
    if type(estimator).__module__.partition(".")[0] != "lightgbm":
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it knew its columns by name
        return _split(np.asarray(estimator.predict(rows, pred_contrib=True), dtype=np.float64))


def xgboost_parts(estimator: Any, rows: Floats) -> tuple[Floats, float] | None:
    """What each column adds according to XGBoost; None of another estimator.

    Source:
        XGBoost's `Booster.predict(pred_contribs=True)`.
    """
    if type(estimator).__module__.partition(".")[0] != "xgboost":
        return None
    is_wrapped = hasattr(estimator, "get_booster")
    booster = estimator.get_booster() if is_wrapped else estimator
    rounds = estimator.best_iteration + 1 if is_wrapped and _stopped_early(estimator) else 0
    added = added_by_xgboost(booster, rows, rounds=rounds)
    return _split(np.asarray(added, dtype=np.float64))


def added_by_xgboost(booster: Any, columns: Floats, *, rounds: int = 0) -> Any:
    """What each column adds, and the base as one more column; shape (rows, columns + 1).

    Args:
        booster: XGBoost's own.
        columns: Those it was fitted on, categories as their codes.
        rounds: Of its trees; 0: all.
    """
    from xgboost import DMatrix

    kinds = booster.feature_types or ()
    has_categories = "c" in kinds
    matrix = DMatrix(
        columns,
        feature_names=booster.feature_names,
        feature_types=kinds if has_categories else None,
        enable_categorical=has_categories,
        nthread=1,
    )
    return booster.predict(matrix, pred_contribs=True, iteration_range=(0, rounds))


def shap_parts(estimator: Any, rows: Floats) -> tuple[Floats, float] | None:
    """What each column adds according to `shap.TreeExplainer`; None if it is no tree it knows.

    Raises:
        ImportError: If `shap` is not installed.

    Source:
        S. Lundberg et al., "From local explanations to global understanding with explainable AI
        for trees", Nature Machine Intelligence 2, 2020.
    """
    if not _has_trees(estimator):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap

        explainer = shap.TreeExplainer(estimator, feature_perturbation="tree_path_dependent")
        added = np.asarray(explainer.shap_values(rows, check_additivity=False), dtype=np.float64)
    base = np.asarray(explainer.expected_value, dtype=np.float64).reshape(-1)
    return (added[..., -1] if added.ndim == 3 else added), float(base[-1])


def _has_trees(estimator: Any) -> bool:
    is_sklearn = type(estimator).__module__.partition(".")[0] == "sklearn"
    return is_sklearn and type(estimator).__name__.startswith(_TREES)


def _stopped_early(estimator: Any) -> bool:
    return getattr(estimator, "early_stopping_rounds", None) is not None


def _split(added: Floats) -> tuple[Floats, float] | None:
    """Columns and base: the libraries give the base as one more column, the same in each row."""
    if added.ndim != 2:
        return None  # one table a class
    return added[:, :-1], float(added[0, -1]) if len(added) else 0.0
