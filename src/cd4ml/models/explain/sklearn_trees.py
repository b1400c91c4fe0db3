"""The trees of scikit-learn's ensembles as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cd4ml.errors import InvalidInput
from cd4ml.models.explain.tree_paths import Split, Tree

_BITS = 32  # codes in a word of a set of categories


def trees_of(estimator: Any) -> tuple[list[Tree], float]:
    """The trees of an ensemble, whose leaves add up to its raw answer, and what is added before.

    Raises:
        InvalidInput: If it is no ensemble of trees that is known here, or has one for each class.
    """
    kind = type(estimator).__name__
    if type(estimator).__module__.partition(".")[0] != "sklearn":
        raise _unknown(kind)
    if kind.startswith("HistGradientBoosting"):
        return _of_histograms(estimator)
    if kind.startswith("GradientBoosting"):
        return _of_boosting(estimator)
    if kind.startswith(("RandomForest", "ExtraTrees")):
        each = [
            _plain(tree.tree_, 1 / len(estimator.estimators_)) for tree in estimator.estimators_
        ]
        return each, 0.0
    if kind.startswith(("DecisionTree", "ExtraTree")):
        return [_plain(estimator.tree_, 1.0)], 0.0
    raise _unknown(kind)


def _of_histograms(estimator: Any) -> tuple[list[Tree], float]:
    rounds = estimator._predictors
    if any(len(each) != 1 for each in rounds):
        raise _unknown("a tree for each class")
    base = float(np.asarray(estimator._baseline_prediction).reshape(-1)[0])
    return [_histogram(each[0]) for each in rounds], base


def _histogram(predictor: Any) -> Tree:
    nodes = predictor.nodes
    splits: list[Split | None] = []
    for node in nodes:
        if node["is_leaf"]:
            splits.append(None)
            continue
        words = (
            predictor.raw_left_cat_bitsets[node["bitset_idx"]] if node["is_categorical"] else None
        )
        splits.append(
            Split(
                int(node["feature_idx"]),
                float(node["num_threshold"]),
                None if words is None else _codes(words),
                bool(node["missing_go_to_left"]),
                int(node["left"]),
                int(node["right"]),
            )
        )
    return Tree(splits, nodes["value"].tolist(), nodes["count"].tolist())


def _codes(words: Sequence[int]) -> frozenset[int]:
    return frozenset(
        _BITS * i + bit
        for i, word in enumerate(words)
        for bit in range(_BITS)
        if int(word) >> bit & 1
    )


def _of_boosting(estimator: Any) -> tuple[list[Tree], float]:
    stages = estimator.estimators_
    if stages.shape[1] != 1:
        raise _unknown("a tree for each class")
    nothing = np.zeros((1, estimator.n_features_in_), np.float32)
    base = float(np.asarray(estimator._raw_predict_init(nothing)).reshape(-1)[0])
    return [_plain(stage[0].tree_, estimator.learning_rate) for stage in stages], base


def _plain(tree: Any, scale: float) -> Tree:
    if tree.value.shape[1] != 1 or tree.value.shape[2] > 2:
        raise _unknown("a tree of several answers")
    shares = tree.value[:, 0, :] / (
        tree.value[:, 0, :].sum(axis=1, keepdims=True) if tree.value.shape[2] > 1 else 1.0
    )
    missing_left = np.asarray(tree.missing_go_to_left, np.bool_)
    splits = [
        None
        if left < 0
        else Split(int(column), float(threshold), None, bool(is_left), int(left), int(right))
        for column, threshold, is_left, left, right in zip(
            tree.feature,
            tree.threshold,
            missing_left,
            tree.children_left,
            tree.children_right,
            strict=True,
        )
    ]
    values = (shares[:, -1] * scale).tolist()
    return Tree(splits, values, tree.weighted_n_node_samples.tolist())


def _unknown(what: str) -> InvalidInput:
    msg = f"{what} is no ensemble of trees that can be taken apart"
    return InvalidInput(msg, hint="it is explained another way")
