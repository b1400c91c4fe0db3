"""What takes a served model's answers apart in less than a request may take, as plain data.

It is made when a model is packaged, compared there with the answers to all of its rows, and kept
beside the model: a server needs neither the estimator nor its library of encoders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from cd4ml.errors import ConfigurationError, Corrupted, InvalidInput
from cd4ml.models import boosters
from cd4ml.models.booster_columns import encoding_of_booster
from cd4ml.models.encoding import Encoding, encoder, encoding_of, fields_of, only_known
from cd4ml.models.explain.adding import Add, Linear, Trees, adding
from cd4ml.models.explain.linear import is_linear
from cd4ml.models.explain.parts import LINKS, TOLERANCE, Floats, gap, unit_of
from cd4ml.models.explain.sklearn_trees import trees_of
from cd4ml.models.explain.tree_paths import paths_of
from cd4ml.models.explain.trees import added_by_xgboost
from cd4ml.models.leniency import mender
from cd4ml.records.contract import Contract
from cd4ml.records.explanation import Contribution, Explained, Unit

_MOST = 1_000_000  # numbers that a row's answer is made of: ten milliseconds
_COMPARED = 300  # answers with which the sums are compared
_REASON = 200  # characters of a library's message


class NotFast(Exception):
    """A model whose answers cannot be taken apart while somebody waits; its text says why."""


class Boosted(msgspec.Struct, frozen=True, tag="boosted"):
    """An ensemble that its own library takes apart, as that library writes it."""

    library: Literal["lightgbm", "xgboost"]
    model: bytes
    rounds: int = 0  # of XGBoost; 0: all


class Recipe(msgspec.Struct, frozen=True):
    """How columns are made of a row's values, what they add, and what that is the raw value of."""

    encoding: Encoding
    of: Linear | Trees | Boosted
    unit: Unit = "answer"


def compile_explainer(
    fitted: Any,
    contract: Contract,
    values: Sequence[Sequence[Any]],
    answers: Floats,
    *,
    usual: Sequence[Sequence[Any]],
) -> bytes:
    """The recipe for a fitted estimator, as bytes that hold no code.

    Args:
        fitted: The estimator.
        contract: Of its requests.
        values: Rows in the order of the contract's fields, of which 300 are compared.
        answers: What the estimator answers to them, shape (rows,).
        usual: Rows as they usually are; a linear model is compared with their mean.

    Raises:
        NotFast: If there is none, with the reason.
    """
    every = -(-len(values) // _COMPARED)
    values, answers = values[::every], answers[::every]
    try:
        recipe = _recipe(fitted, contract, usual)
        # LINKS are told apart by the answers, so the unit is known last
        raw = Explainer(recipe, contract).raw(values)
    except (InvalidInput, ConfigurationError) as error:
        raise NotFast(error.message) from None
    except Exception as error:  # of the libraries
        reason = next(iter(str(error).strip().splitlines()), "")[:_REASON]
        raise NotFast(f"{type(error).__name__}: {reason}") from None
    unit = unit_of(raw, answers)
    if unit is None:
        off = min(gap(link(raw), answers) for link in LINKS.values())
        raise NotFast(f"the parts add up to other answers, by {off:.2g}, more than {TOLERANCE:g}")
    return msgspec.msgpack.encode(msgspec.structs.replace(recipe, unit=unit))


def open_explainer(data: bytes, contract: Contract) -> Explainer:
    """What takes answers apart, of the bytes of a recipe.

    Raises:
        Corrupted: If they are none.
    """
    try:
        return Explainer(msgspec.msgpack.decode(data, type=Recipe), contract)
    except msgspec.MsgspecError as error:
        raise Corrupted(f"the explainer cannot be read: {error}") from None


class Explainer:
    """Takes answers apart, field by field. Safe to share between threads."""

    def __init__(self, recipe: Recipe, contract: Contract) -> None:
        self._unit = recipe.unit
        self._of = recipe.of
        self._names = contract.names
        self._encode = encoder(recipe.encoding, contract.names)
        self._mend = mender(contract.fields)
        self._fields = fields_of(recipe.encoding, contract.names)
        self._add: Add | None = None

    def explained(self, values: Sequence[Sequence[Any]]) -> list[Explained]:
        """The answers to rows of values, in the order of the contract's fields, taken apart.

        Raises:
            ConfigurationError: If the library that has to do it is not installed here.
        """
        amounts, base = self._parts(values)
        raws = base + amounts.sum(axis=1)
        answers = LINKS[self._unit](raws)
        rows = zip(values, amounts.tolist(), raws.tolist(), answers.tolist(), strict=True)
        return [
            Explained(
                answer=answer,
                raw=raw,
                base=base,
                unit=self._unit,
                method=self.method,
                contributions=self._named(row, added),
            )
            for row, added, raw, answer in rows
        ]

    def raw(self, values: Sequence[Sequence[Any]]) -> Floats:
        """The raw answers that the parts add up to, shape (rows,)."""
        amounts, base = self._parts(values)
        total: Floats = base + amounts.sum(axis=1)
        return total

    @property
    def method(self) -> Any:
        """How: as `records.explanation.Method` names it."""
        if isinstance(self._of, Boosted):
            return self._of.library
        return "linear" if isinstance(self._of, Linear) else "trees"

    def _parts(self, values: Sequence[Sequence[Any]]) -> tuple[Floats, float]:
        if self._add is None:
            self._add = _adding(self._of)
        mend = self._mend
        columns = self._encode(values if mend is None else [mend(row) for row in values])
        amounts, base = self._add(columns)
        return amounts @ self._fields, base

    def _named(self, row: Sequence[Any], added: list[float]) -> tuple[Contribution, ...]:
        """The largest first; a field that no column comes from adds nothing, and is left out."""
        order = sorted(range(len(added)), key=lambda i: -abs(added[i]))
        has_column = self._fields.sum(axis=0) > 0
        return tuple(
            Contribution(field=self._names[i], value=row[i], amount=added[i])
            for i in order
            if has_column[i]
        )


def _recipe(fitted: Any, contract: Contract, usual: Sequence[Sequence[Any]]) -> Recipe:
    if (booster := boosters.booster_in(fitted)) is not None:
        return _of_booster(booster, contract)
    wrapped = getattr(fitted, "best_estimator_", fitted)  # of a search
    if type(wrapped).__name__ == "TransformedTargetRegressor":
        wrapped = wrapped.regressor_
    *steps, last = [step for _, step in getattr(wrapped, "steps", [("", wrapped)])]
    names = list(getattr(wrapped, "feature_names_in_", contract.names))
    if is_linear(last):
        return _of_linear(last, steps, contract, names, usual)
    encoding = encoding_of(steps, contract, names)
    library = type(last).__module__.partition(".")[0]
    if library in ("lightgbm", "xgboost"):
        return Recipe(encoding, _boosted(last, library))
    return _of_trees(last, encoding)


def _of_linear(
    last: Any,
    steps: Sequence[Any],
    contract: Contract,
    names: Sequence[str],
    usual: Sequence[Sequence[Any]],
) -> Recipe:
    """Coefficients of the columns before they were scaled all together."""
    before, scalers = _without_scalers(steps)
    encoding = encoding_of(before, contract, names)
    intercept = float(np.asarray(last.intercept_, np.float64).reshape(-1)[0])
    coefficients = np.asarray(last.coef_, np.float64).reshape(-1)
    for scaler in reversed(scalers):
        if scaler.scale_ is not None:
            coefficients = coefficients / scaler.scale_
        if scaler.mean_ is not None and scaler.with_mean:
            intercept -= float(coefficients @ scaler.mean_)
    means = encoder(encoding, contract.names)(usual).mean(axis=0)
    return Recipe(encoding, Linear(tuple(coefficients.tolist()), tuple(means.tolist()), intercept))


def _without_scalers(steps: Sequence[Any]) -> tuple[Sequence[Any], list[Any]]:
    """The steps up to a column transformer, and the scalers of all columns behind it."""
    has_transformer = len(steps) > 1 and hasattr(steps[0], "transformers_")
    behind = list(steps[1:]) if has_transformer else []
    if all(type(step).__name__ == "StandardScaler" for step in behind):
        return steps[: len(steps) - len(behind)], behind
    return steps, []


def _of_booster(booster: Any, contract: Contract) -> Recipe:
    """One that is asked by its own columns, names of categories being codes."""
    facts = boosters.facts_of(booster)
    if facts.n_classes > 1:
        raise InvalidInput(f"the {facts.library} model has trees for each class")
    library: Literal["lightgbm", "xgboost"] = (
        "lightgbm" if facts.library == "lightgbm" else "xgboost"
    )
    model = boosters.dump(booster)
    return Recipe(encoding_of_booster(facts, contract), Boosted(library, model))


def _boosted(last: Any, library: str) -> Boosted:
    if getattr(last, "n_classes_", 2) > 2:
        msg = f"{type(last).__name__} has trees for each class"
        raise InvalidInput(msg)
    if library == "lightgbm":
        text = last.booster_.model_to_string(num_iteration=last.booster_.best_iteration)
        return Boosted("lightgbm", text.encode())
    stopped = getattr(last, "early_stopping_rounds", None) is not None
    rounds = int(last.best_iteration) + 1 if stopped else 0
    return Boosted("xgboost", bytes(last.get_booster().save_raw("ubj")), rounds)


def _of_trees(last: Any, encoding: Encoding) -> Recipe:
    trees, base = trees_of(last)
    n = encoding.n_columns
    order: tuple[int, ...] = tuple(range(n))
    known: tuple[tuple[float, ...], ...] = ()
    is_histogram = type(last).__name__.startswith("Hist")
    if is_histogram and getattr(last, "_preprocessor", None) is not None:
        encoding = only_known(encoding, last._preprocessor)
        order, known = _remapped(last._preprocessor, n)
    is_single = not is_histogram  # scikit-learn's other trees compare in single precision
    paths = paths_of(trees, base=base, n_columns=n)
    size = len(paths.low) // 8 * -(-paths.depth // 2)
    if size > _MOST:
        msg = f"its {len(paths.values) // 8:,} leaves take too long to be taken apart"
        raise InvalidInput(msg)
    encoding = msgspec.structs.replace(encoding, is_single=is_single)
    return Recipe(encoding, Trees(paths, order, known))


def _remapped(preprocessor: Any, n: int) -> tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]:
    """The columns in the order in which histogram gradient boosting reads them: categories first."""
    _, step, mask = preprocessor.transformers_[0]
    places = np.arange(n)
    is_category = np.zeros(n, np.bool_)
    is_category[places[mask]] = True
    order = (*places[is_category].tolist(), *places[~is_category].tolist())
    return order, tuple(
        tuple(float(code) for code in each if not np.isnan(code)) for each in step.categories_
    )


def _adding(of: Linear | Trees | Boosted) -> Add:
    """A function from columns to what each of them adds, and the base."""
    return _adding_boosted(of) if isinstance(of, Boosted) else adding(of)


def _adding_boosted(of: Boosted) -> Add:
    try:
        predict = _lightgbm(of) if of.library == "lightgbm" else _xgboost(of)
    except ImportError:
        msg = f"{of.library} is not installed, which takes its answers apart"
        raise ConfigurationError(msg, hint=f"pip install 'cd4ml[{of.library}]'") from None

    def added(columns: Floats) -> tuple[Floats, float]:
        found = np.asarray(predict(columns), np.float64)
        return found[:, :-1], float(found[0, -1])  # the base is one more column

    return added


def _lightgbm(of: Boosted) -> Callable[[Floats], Any]:
    from lightgbm import Booster

    booster = Booster(model_str=of.model.decode())
    return lambda columns: booster.predict(columns, pred_contrib=True, num_threads=1)


def _xgboost(of: Boosted) -> Callable[[Floats], Any]:
    from xgboost import Booster

    booster = Booster({"nthread": 1})
    booster.load_model(bytearray(of.model))
    return lambda columns: added_by_xgboost(booster, columns, rounds=of.rounds)
