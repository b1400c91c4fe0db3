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
    from xgboost import DMatrix

    booster = estimator.get_booster()
    rounds = getattr(estimator, "best_iteration", None) if _stopped_early(estimator) else None
    until = (0, rounds + 1) if rounds is not None else (0, 0)
    matrix = DMatrix(rows, feature_names=booster.feature_names)
    added = booster.predict(matrix, pred_contribs=True, iteration_range=until)
    return _split(np.asarray(added, dtype=np.float64))


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
