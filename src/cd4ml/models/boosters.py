"""Boosted trees as LightGBM and XGBoost hold them: kept in their own formats, asked by columns.

A `Booster` takes numbers. Where it was fitted on categories (pandas' or Polars'), it knows their
names; here a category becomes the code it had then, and one that it never saw is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cd4ml.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_PROBABILITIES = ("binary", "cross_entropy", "binary:logistic", "reg:logistic")
_LABELS = ("multi:softmax", "binary:hinge")
_MANY = ("multiclass", "multiclassova", "multi:softprob", "multi:softmax")


class Facts(NamedTuple):
    """What a booster says of itself.

    `names` are the columns it was fitted on, in order, none if it knows only their number
    (`n_columns`); `categories` those of them that are categories by name, with the names in the
    order of their codes.
    """

    library: str
    objective: str
    n_classes: int
    n_columns: int
    names: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]

    @property
    def is_probability(self) -> bool:
        """Whether its answer is the probability of a second class."""
        return self.objective in (*_PROBABILITIES, *_MANY)


def library_of(value: Any) -> str:
    """`lightgbm` or `xgboost` for a booster of theirs, "" for anything else."""
    name = type(value).__module__.partition(".")[0]
    is_booster = type(value).__name__ == "Booster" and name in ("lightgbm", "xgboost")
    return name if is_booster else ""


def booster_in(estimator: Any) -> Any:
    """The booster that answers: itself, or that of a wrapper fitted on categories; else None.

    A wrapper of scikit-learn's interface answers itself, unless it was fitted on columns of
    categories: it would want them typed as they were then, not as a request brings them.
    """
    if library_of(estimator):
        return estimator
    home = type(estimator).__module__.partition(".")[0]
    if home == "lightgbm" and hasattr(estimator, "fitted_") and estimator.fitted_:
        booster = estimator.booster_
        return booster if booster.pandas_categorical else None
    if home == "xgboost" and hasattr(estimator, "get_booster"):
        booster = estimator.get_booster()
        return _best(booster) if "c" in (booster.feature_types or ()) else None
    return None


def _best(booster: Any) -> Any:
    """The trees up to the best round, which is where scikit-learn's interface stops."""
    best = booster.attr("best_iteration")
    if best is None or int(best) + 1 >= booster.num_boosted_rounds():
        return booster
    cut = booster[: int(best) + 1]
    return _with_categories_of(booster, cut) if "c" in (booster.feature_types or ()) else cut


def _with_categories_of(whole: Any, cut: Any) -> Any:
    """Some of a booster's rounds that know the names of its categories: XGBoost 3.2 forgets them."""
    found, told = (json.loads(bytes(each.save_raw("json"))) for each in (whole, cut))
    model = found["learner"]["gradient_booster"]["model"]
    told["learner"]["gradient_booster"]["model"]["cats"] = model.get("cats")
    again = type(whole)({"nthread": 1})
    again.load_model(bytearray(json.dumps(told).encode()))
    return again


def facts_of(booster: Any) -> Facts:
    """What a booster says of itself.

    Raises:
        InvalidInput: If it has classes by other numbers than two, or answers with labels.
    """
    facts = _of_lightgbm(booster) if library_of(booster) == "lightgbm" else _of_xgboost(booster)
    if facts.objective in _LABELS:
        msg = f"the objective {facts.objective!r} answers with labels, not with probabilities"
        raise InvalidInput(msg, hint="fit it with 'binary:logistic'")
    if facts.objective in _MANY and facts.n_classes != 2:
        msg = f"expected a model of two classes, got one of {facts.n_classes}"
        raise InvalidInput(msg, hint="an answer is one number: fit a model for each class")
    return facts


def answers(booster: Any, facts: Facts, frame: pl.DataFrame) -> NDArray[np.float64]:
    """The booster's answer to each row: the probability of the second class, or the value.

    Raises:
        InvalidInput: If the frame lacks a column, or a column of texts was none of categories.
    """
    return answers_to(booster, facts, matrix_of(facts, frame))


def answers_to(booster: Any, facts: Facts, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The booster's answer to each row of its own columns, shape (rows, columns)."""
    if facts.library == "lightgbm":
        answered = booster.predict(matrix, num_threads=1)
    else:
        answered = booster.inplace_predict(matrix, validate_features=False)
    columns = np.asarray(answered, np.float64).reshape(len(matrix), -1)
    return columns[:, -1]


def names_in(facts: Facts, columns: Sequence[str]) -> Sequence[str]:
    """The columns that a booster takes: those it names, or all of them in order.

    Raises:
        InvalidInput: If it names none, and was fitted on another number of columns.
    """
    if facts.names:
        return facts.names
    if len(columns) != facts.n_columns:
        msg = (
            f"the {facts.library} model was fitted on {facts.n_columns} columns without names, and"
            f" the rows have {len(columns)}: {', '.join(columns)}"
        )
        hint = "name them when it is fitted, or declare these alone: [model] contract"
        raise InvalidInput(msg, hint=hint)
    return columns


def dump(booster: Any) -> bytes:
    """The booster in its library's own format: LightGBM's text, XGBoost's binary JSON."""
    if library_of(booster) == "lightgbm":
        text: str = booster.model_to_string()
        return text.encode()
    return bytes(booster.save_raw("ubj"))


def load(library: str, data: bytes) -> Any:
    """The booster in some bytes.

    Raises:
        ConfigurationError: If its library is not installed.
        InvalidInput: If it cannot read them.
    """
    try:
        return _loaded(library, data)
    except ImportError:
        msg = f"the model was made by {library}, which is not installed"
        raise ConfigurationError(msg, hint=f"pip install {library}") from None
    except Exception as error:  # of classes of their own
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InvalidInput(f"{library} cannot read the stored model: {reason}") from None


def trees_of(booster: Any) -> Any:
    """The same trees, as treelite reads them."""
    import treelite

    if library_of(booster) == "lightgbm":
        return treelite.frontend.from_lightgbm(booster)
    # treelite 4.8 refuses models that know the names of categories; the trees hold codes
    told = json.loads(bytes(booster.save_raw("json")))
    told["learner"]["gradient_booster"]["model"].pop("cats", None)
    return treelite.frontend.from_xgboost_json(json.dumps(told))


def _loaded(library: str, data: bytes) -> Any:
    if library == "lightgbm":
        import lightgbm

        return lightgbm.Booster(model_str=data.decode())
    import xgboost

    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(data))
    was_wrapped = booster.attr("scikit_learn") is not None  # saved by XGBClassifier and the like
    return _best(booster) if was_wrapped else booster


def _of_lightgbm(booster: Any) -> Facts:
    head = booster.model_to_string(num_iteration=1).partition("\n\n")[0]
    said = dict(line.partition("=")[::2] for line in head.splitlines())
    names = tuple(booster.feature_name())
    return Facts(
        library="lightgbm",
        objective=said.get("objective", "").partition(" ")[0],
        n_classes=int(said.get("num_class", "1")),
        n_columns=len(names),
        names=() if names == tuple(f"Column_{i}" for i in range(len(names))) else names,
        categories=_of_pandas(booster.pandas_categorical or [], names, said),
    )


def _of_pandas(lists: list[list[Any]], names: tuple[str, ...], said: dict[Any, Any]) -> Any:
    """Which columns the lists of categories belong to: LightGBM keeps these without their names."""
    if not lists:
        return {}
    infos = str(said.get("feature_infos", "")).split()
    columns = [name for name, info in zip(names, infos, strict=False) if info[0] not in "[n"]
    if len(columns) != len(lists):
        msg = f"LightGBM kept {len(lists)} lists of categories for {len(columns)} columns of such"
        raise InvalidInput(msg, hint="encode them in a pipeline: OrdinalEncoder, LGBMClassifier")
    return dict(zip(columns, map(_texts, lists), strict=True))


def _of_xgboost(booster: Any) -> Facts:
    learner = json.loads(booster.save_config())["learner"]
    parameters = learner["learner_model_param"]
    n_targets = int(parameters.get("num_target", "1"))
    if n_targets > 1:
        raise InvalidInput(f"expected a model of one answer, got one of {n_targets}")
    n_columns = int(parameters["num_feature"])
    names = tuple(booster.feature_names or ())
    return Facts(
        library="xgboost",
        objective=learner["objective"]["name"],
        n_classes=int(parameters["num_class"]),
        n_columns=n_columns,
        names=names,
        categories=_of_enums(booster, names),
    )


def _of_enums(booster: Any, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    if "c" not in (booster.feature_types or ()):
        return {}
    model = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]
    kept = (model.get("cats") or {}).get("enc") or []
    return {
        name: _cut(each["offsets"], each["values"])
        for name, each in zip(names, kept, strict=False)
        if each.get("offsets")  # of numbers it knows no names: the codes are themselves
    }


def _cut(offsets: list[int], values: list[int]) -> tuple[str, ...]:
    raw = bytes(value % 256 for value in values)
    return tuple(raw[begin:end].decode() for begin, end in pairwise(offsets))


def _texts(categories: Iterable[Any]) -> tuple[str, ...]:
    found = tuple(categories)
    if wrong := [each for each in found if not isinstance(each, str)]:
        msg = f"expected categories that are texts, got {wrong[0]!r}"
        raise InvalidInput(msg, hint="encode them in a pipeline: OrdinalEncoder, LGBMClassifier")
    return found


def matrix_of(facts: Facts, frame: pl.DataFrame) -> NDArray[np.float64]:
    """The booster's own columns of each row of a frame, shape (rows, columns).

    Raises:
        InvalidInput: If the frame lacks one, or one of texts was none of categories.
    """
    names = names_in(facts, frame.columns)
    missing = [name for name in names if name not in frame.columns]
    if missing:
        msg = f"the rows lack {', '.join(missing)}, on which the {facts.library} model was fitted"
        raise InvalidInput(msg, hint=f"they have: {', '.join(frame.columns)}")
    columns = [_column(frame[name], facts) for name in names]
    return np.column_stack(columns) if columns else np.zeros((frame.height, 0))


def _column(column: pl.Series, facts: Facts) -> NDArray[np.float64]:
    import polars as pl

    known = facts.categories.get(column.name)
    if known is not None:
        codes = {text: float(code) for code, text in enumerate(known)}
        found = column.cast(pl.String).replace_strict(codes, default=None, return_dtype=pl.Float64)
        return found.fill_null(np.nan).to_numpy()
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean or column.dtype == pl.Null):
        msg = f"the {facts.library} model takes numbers, and {column.name!r} is {column.dtype}"
        hint = "put it behind an encoder: a Pipeline with LGBMClassifier or XGBClassifier"
        raise InvalidInput(msg, hint=hint)
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()
