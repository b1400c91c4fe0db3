"""Answers taken apart into what each field of the request adds: exactly where that is possible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.errors import InvalidInput
from cd4ml.models import boosters
from cd4ml.models.estimator import score_frame
from cd4ml.models.explain.linear import is_linear, linear_parts
from cd4ml.models.explain.origins import SEVERAL, NotNumbers, encoded, origins
from cd4ml.models.explain.parts import LINKS, Floats, Parts, gap, unit_of
from cd4ml.models.explain.sampled import Score, sampled_parts
from cd4ml.models.explain.trees import lightgbm_parts, shap_parts, xgboost_parts
from cd4ml.records.explanation import Contribution, Explained, Method

if TYPE_CHECKING:
    import polars as pl

_Added = tuple[Floats, float]


def contributions(
    estimator: Any,
    frame: pl.DataFrame,
    *,
    background: pl.DataFrame,
    score: Score | None = None,
    most_sampled: int = 1_000,
) -> Parts:
    """What each field of each row adds to the model's raw answer.

    Linear models are taken apart exactly, through scaling, one-hot and every other encoder of
    their pipeline; LightGBM and XGBoost do it themselves; forests and boosted trees of
    scikit-learn need `shap` (`pip install 'cd4ml[explain]'`). Whatever else there is, also trees of which
    SHAP's parts do not add up to the answers, is asked about mixtures of rows, with the answer
    itself as unit. Fields that an encoder mixes are one part ("hour, wind").

    Args:
        estimator: Fitted, as training made it.
        frame: Raw columns of requests, one row a request.
        background: Rows as they usually are, with the same columns, at least one.
        score: What answers, if it is not the estimator itself but its compiled form.
        most_sampled: Of how many rows, the first ones, the answers are taken apart where that
            takes thousands of questions each.

    Raises:
        InvalidInput: If there are no rows, or the parts do not add up to the answers.
    """
    if frame.is_empty() or background.is_empty():
        raise InvalidInput("contributions need a row to explain, and rows to compare it with")
    answer = score or (lambda rows: score_frame(estimator, rows))
    answers = answer(frame)
    for parts in _exact(estimator, frame, background.select(frame.columns), answers):
        return parts
    parts = sampled_parts(answer, frame.head(most_sampled), background)
    if (
        off := gap(parts.raw, answers[:most_sampled])
    ) > 1e-4:  # single precision, once a field and row
        msg = f"the parts of an answer add up to another one, by {off:.2g}"
        raise InvalidInput(msg, hint="does the model give the same row the same answer?")
    return parts


def explained(frame: pl.DataFrame, parts: Parts, answers: Floats) -> list[Explained]:
    """The answer to each row, taken apart, with the row's values; the largest parts first."""
    found = zip(frame.to_dicts(), parts.amounts, parts.raw, answers, strict=True)
    return [
        Explained(
            answer=float(answer),
            raw=float(raw),
            base=parts.base,
            unit=parts.unit,
            method=parts.method,
            contributions=tuple(
                Contribution(
                    field=parts.names[i],
                    value=_value(row, parts.names[i]),
                    amount=float(amounts[i]),
                )
                for i in np.argsort(-np.abs(amounts), kind="stable")
            ),
        )
        for row, amounts, raw, answer in found
    ]


def shares(parts: Parts) -> dict[str, float]:
    """Which part of everything that is added or taken away comes from each field; they sum to 1.

    Nothing is said of a model that answers all rows alike: then the shares are 0.
    """
    moved = np.abs(parts.amounts).mean(axis=0)
    total = float(moved.sum())
    found = {
        name: float(m / total) if total else 0.0 for name, m in zip(parts.names, moved, strict=True)
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def answer_of(parts: Parts) -> Floats:
    """The answers that the parts add up to."""
    return LINKS[parts.unit](parts.raw)


def _exact(
    estimator: Any, frame: pl.DataFrame, background: pl.DataFrame, answers: Floats
) -> Iterator[Parts]:
    """Exact parts that give the very answers, in no more than one way."""
    encoders, last = _taken_apart(estimator)
    booster = boosters.booster_in(last) if encoders is None else None
    try:
        if booster is not None:
            last, (rows, usual, names) = booster, _columns_of(booster, frame, background)
        else:
            rows, usual = encoded(encoders, frame), encoded(encoders, background)
            names = origins(encoders, background.vstack(frame.cast(dict(background.schema))))  # type: ignore[arg-type]
    except NotNumbers:
        return
    for method, added in _ways(last, rows, usual):
        by_field, of = _by_field(added[0], names)
        raw = added[1] + by_field.sum(axis=1)
        unit = unit_of(raw, answers)
        if unit is not None:
            yield Parts(of, by_field, added[1], unit, method)


def _columns_of(
    booster: Any, frame: pl.DataFrame, background: pl.DataFrame
) -> tuple[Floats, Floats, list[str]]:
    """Its own columns of the rows and of the usual ones, categories as codes, and the fields."""
    facts = boosters.facts_of(booster)
    rows, usual = (boosters.matrix_of(facts, each) for each in (frame, background))
    return rows, usual, list(boosters.names_in(facts, frame.columns))


def _ways(last: Any, rows: Floats, usual: Floats) -> Iterator[tuple[Method, _Added]]:
    if is_linear(last):
        yield "linear", linear_parts(last, rows, usual)
    if (added := lightgbm_parts(last, rows)) is not None:
        yield "lightgbm", added
    if (added := xgboost_parts(last, rows)) is not None:
        yield "xgboost", added
    try:
        added = shap_parts(last, rows)
    except Exception:  # not installed, or a tree of a kind it cannot read
        return
    if added is not None:
        yield "shap", added


def _taken_apart(estimator: Any) -> tuple[Any, Any]:
    """The encoders of a pipeline (None for none), and what is behind them."""
    found = estimator
    for wrapped in (
        "best_estimator_",
        "regressor_",
    ):  # of a search; of a TransformedTargetRegressor
        found = getattr(found, wrapped, found)
    if not hasattr(found, "steps"):
        return None, found
    encoders, last = found[:-1], found[-1]
    return (encoders if len(encoders) else None), last


def _by_field(amounts: Floats, names: list[str]) -> tuple[Floats, tuple[str, ...]]:
    fields = tuple(dict.fromkeys(names))
    places = np.array([fields.index(name) for name in names])
    summed = np.zeros((amounts.shape[0], len(fields)))
    for column, place in enumerate(places):
        summed[:, place] += amounts[:, column]
    is_something = [name != SEVERAL or bool(summed[:, i].any()) for i, name in enumerate(fields)]
    return summed[:, is_something], tuple(
        n for n, is_ in zip(fields, is_something, strict=True) if is_
    )


def _value(row: dict[str, Any], name: str) -> Any:
    """The value of a field; of several, an object with each."""
    if name in row:
        return row[name]
    return {each: row[each] for each in name.split(", ") if each in row}
