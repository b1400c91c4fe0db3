"""Answers of a linear model, taken apart exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from cd4ml.models.explain.parts import Floats


def is_linear(estimator: Any) -> bool:
    """Whether it has one coefficient for each column, and answers one number."""
    coefficients = np.asarray(getattr(estimator, "coef_", ()), dtype=object)
    is_one = coefficients.ndim == 1 or (coefficients.ndim == 2 and coefficients.shape[0] == 1)
    return bool(coefficients.size) and is_one and hasattr(estimator, "intercept_")


def linear_parts(estimator: Any, rows: Floats, background: Floats) -> tuple[Floats, float]:
    """What each column adds beside an average row, and what that row gets.

    A column adds its coefficient times its distance from the mean of the background: these are
    the Shapley values of a linear model whose columns are taken as independent.

    Args:
        estimator: With `coef_` and `intercept_`.
        rows: As it takes them, shape (rows, columns).
        background: What is usual, shape (n, columns).

    Source:
        S. Lundberg, S.-I. Lee, "A unified approach to interpreting model predictions",
        NeurIPS 2017, corollary 1.
    """
    coefficients = np.asarray(estimator.coef_, dtype=np.float64).reshape(-1)
    usual = background.mean(axis=0)
    base = float(usual @ coefficients + np.asarray(estimator.intercept_).reshape(-1)[0])
    return (rows - usual) * coefficients, base
