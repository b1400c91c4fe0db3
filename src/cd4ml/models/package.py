"""From a fitted estimator to a model that can be served: compiled where that is safe."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.errors import Cd4mlError, InvalidInput
from cd4ml.models import boosters
from cd4ml.models.compiled import choose
from cd4ml.models.contract import CompiledContract, strict
from cd4ml.models.explain.fast import NotFast, compile_explainer
from cd4ml.models.fitted import fitted_at
from cd4ml.models.formats import FILES, format_of
from cd4ml.models.graph import Graph
from cd4ml.models.leniency import mender
from cd4ml.models.manifest import CONTRACT, EXPLAINER, PROBES, Kind, Manifest, Probes
from cd4ml.models.native import NativeScorer
from cd4ml.models.own_code import CODE, OwnCode
from cd4ml.models.parity import TOLERANCE, Row, probes
from cd4ml.models.trust import IsTrusted
from cd4ml.models.violations import shown
from cd4ml.records.contract import Contract

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from cd4ml.store.blobs import Blobs

_LIBRARIES = ("scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy", "polars")
_ALONE = 8  # rows that are asked one by one, too
_KEPT = 200  # rows with answers that stay with the model, for the places that load it


class CannotAnswer(InvalidInput):
    """An estimator that gives no answer, or none that means anything, to a row it has to answer."""


def package(
    blobs: Blobs,
    *,
    estimator: str,
    contract: Contract,
    sample: pl.DataFrame,
    is_trusted: IsTrusted,
    is_joblib: bool = False,
    code: OwnCode | None = None,
) -> str:
    """Package a fitted estimator as a model; returns the address of its manifest.

    A compiled form (`models.compiled`) is used if it gives the estimator's answers, within 1e-5
    and without a flipped label, to every row of the sample and to the probes made from it;
    the figures are in the manifest, with why faster forms are not used. The same estimator, contract and sample give the same
    address.

    Args:
        blobs: Where the parts are stored.
        estimator: Address of the pickled estimator, as a step stored it.
        contract: What its requests must keep.
        sample: Raw columns of requests, at least one row; the rows it will be judged on
            are a good choice.
        is_trusted: Whether a pickle at an address may be loaded.
        is_joblib: Whether joblib wrote it.
        code: The project's own modules that it needs: they travel with it.

    Raises:
        Refused: If the estimator was made elsewhere and nobody answers for it.
        ContractViolated: If the sample does not keep the contract.
        CannotAnswer: If there is no sample, or the estimator cannot be loaded, or fails on a row
            that the contract allows.
    """
    from cd4ml.models.frames import to_rows

    rows = to_rows(contract, sample)
    CompiledContract(strict(contract)).refuse_unless_kept(rows)
    rows = _as_scored(contract, rows)
    if not rows:
        msg = "a model cannot be packaged without a sample of the rows it will answer"
        raise CannotAnswer(msg, hint="give at least one row")
    fitted = _loaded(blobs, estimator, is_trusted, is_joblib=is_joblib, code=code)
    edges = probes(contract, rows)
    asked = [*edges, *rows]
    scorer = _scorer(fitted, contract)
    answers = _native_answers(scorer, contract, asked)
    _refuse_dependent(scorer, contract, asked, answers)
    if isinstance(fitted, Graph):
        _refuse_logits(contract, answers)
    chosen = choose(fitted, contract, asked, answers, n_probes=len(edges))
    files = {
        FILES[format_of(blobs.get(estimator), is_joblib=is_joblib)]: estimator,
        CONTRACT: blobs.put_record(contract),
        PROBES: blobs.put_record(_kept(asked, answers)),
    }
    if code is not None and code.modules:
        files[CODE] = blobs.put_record(code)
    if chosen.file:
        files[chosen.file] = blobs.put(chosen.model)
    explainer, unexplained = _explainer(fitted, contract, asked, answers, usual=rows)
    if explainer:
        files[EXPLAINER] = blobs.put(explainer)
    return blobs.put_record(
        Manifest(
            kind=chosen.kind,
            files=files,
            parity=chosen.parity,
            libraries=libraries() | _library_of(fitted) | _treelite_of(chosen.kind),
            features=contract.names,
            refused=chosen.refused,
            unexplained=unexplained,
        )
    )


def _as_scored(contract: Contract, rows: list[Row]) -> list[Row]:
    """The rows as the model is asked them: a null that keeps the contract may stand for a default."""
    mend = mender(contract.fields)
    if mend is None:
        return rows
    return [dict(zip(contract.names, mend(v), strict=True)) for v in _values(contract, rows)]


def _kept(asked: list[Row], answers: NDArray[np.float64]) -> Probes:
    """Some rows with their answers, for the places that load the model."""
    every = -(-len(asked) // _KEPT)
    return Probes(rows=asked[::every], scores=answers[::every].tolist())


def libraries() -> dict[str, str]:
    """Name -> version of the libraries that decide what a model answers."""
    return dict(_libraries())


def installed(names: Iterable[str]) -> dict[str, str]:
    """The versions of distributions as they are installed here; those that are not are left out."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _library_of(fitted: Any) -> dict[str, str]:
    """The boosting library whose trees answer."""
    last = getattr(fitted, "steps", [("", fitted)])[-1][1]
    name = boosters.library_of(last) or type(last).__module__.partition(".")[0]
    if name not in ("lightgbm", "xgboost"):
        return {}
    return installed((name, f"{name}-cpu"))  # XGBoost comes in two distributions


def _explainer(
    fitted: Any,
    contract: Contract,
    rows: list[Row],
    answers: NDArray[np.float64],
    *,
    usual: list[Row],
) -> tuple[bytes, str]:
    """What takes answers apart while they are given, or why nothing does."""
    try:
        asked, rest = _values(contract, rows), _values(contract, usual)
        return compile_explainer(fitted, contract, asked, answers, usual=rest), ""
    except NotFast as reason:
        return b"", str(reason)


def _treelite_of(kind: Kind) -> dict[str, str]:
    return {"treelite": version("treelite")} if kind == "treelite" else {}


@cache
def _libraries() -> tuple[tuple[str, str], ...]:
    # their metadata take 4 ms each to read, and do not change while this process lives
    return tuple((name, version(name)) for name in _LIBRARIES)


def _loaded(
    blobs: Blobs,
    estimator: str,
    is_trusted: IsTrusted,
    *,
    is_joblib: bool,
    code: OwnCode | None,
) -> Any:
    try:
        return fitted_at(blobs, estimator, is_trusted=is_trusted, is_joblib=is_joblib, code=code)
    except InvalidInput as error:
        raise CannotAnswer(error.message, hint=error.hint) from error
    except Cd4mlError:
        raise
    except Exception as error:  # bytes run code while they are loaded: the user's own
        msg = f"the estimator cannot be loaded: {type(error).__name__}: {error}"
        raise CannotAnswer(msg, hint="loading it runs its class's code: mend it") from error


def _scorer(fitted: Any, contract: Contract) -> NativeScorer:
    try:
        return NativeScorer(fitted, contract)
    except InvalidInput as error:
        raise CannotAnswer(error.message, hint=error.hint) from error


def _refuse_dependent(
    scorer: NativeScorer, contract: Contract, rows: list[Row], answers: NDArray[np.float64]
) -> None:
    """Let no estimator through whose answer to a row is another among other rows, or again."""
    every = max(1, len(rows) // _ALONE)
    places = list(range(0, len(rows), every))
    alone = np.array([_native_answers(scorer, contract, [rows[i]])[0] for i in places])
    turned = _native_answers(scorer, contract, rows[::-1])[::-1][places]
    together = answers[places]
    apart = np.maximum(np.abs(alone - together), np.abs(turned - together))
    relative = apart / np.maximum(1.0, np.abs(together))
    worst = int(np.argmax(np.where(np.isnan(relative), np.inf, relative)))
    if not relative[worst] <= TOLERANCE:
        msg = (
            f"the estimator's answer to a row depends on the rows beside it, or on chance: it"
            f" differs by {relative[worst]:.2g}, more than {TOLERANCE:g}, for"
            f" {shown(rows[places[worst]])}"
        )
        hint = "answer each row from its own values: no means of the batch, no random numbers"
        raise CannotAnswer(msg, hint=hint)


def _refuse_logits(contract: Contract, answers: NDArray[np.float64]) -> None:
    """Let no graph through that answers a question of two classes outside of 0 to 1."""
    outside = answers[(answers < -TOLERANCE) | (answers > 1 + TOLERANCE)]
    said = contract.output
    is_share = said is not None and (said.minimum, said.maximum) == (0, 1)
    if (is_share or len(contract.classes) == 2) and len(outside):
        msg = f"the graph answers {outside[0]:.3g}, which is no probability"
        raise CannotAnswer(msg, hint="these may be logits: end the graph with a Sigmoid")


def _native_answers(
    scorer: NativeScorer, contract: Contract, rows: list[Row]
) -> NDArray[np.float64]:
    try:
        answers = np.array(scorer.score(_values(contract, rows)))
    except InvalidInput as error:
        raise CannotAnswer(error.message, hint=error.hint) from error
    except Exception as error:  # whatever the estimator raises: it is the user's own code
        _refuse_other_columns(scorer.n_unnamed, contract)
        row, reason = _first_failing(scorer, contract, rows, error)
        msg = f"the estimator fails on a row that its contract allows: {row}: {reason}"
        raise CannotAnswer(msg, hint="let it handle the row, or narrow the contract") from error
    if not np.isfinite(answers).all():
        culprit = shown(rows[int(np.argmin(np.isfinite(answers)))])
        msg = f"the estimator's answer is not a finite number to the row {culprit}"
        raise CannotAnswer(msg, hint="let it handle the row, or narrow the contract")
    return answers


def _refuse_other_columns(n_unnamed: int | None, contract: Contract) -> None:
    if n_unnamed is not None and n_unnamed != len(contract.names):
        fields = ", ".join(contract.names)
        msg = (
            f"the estimator was fitted on {n_unnamed} columns without names, and requests have"
            f" {len(contract.names)} fields: {fields}"
        )
        hint = "fit it on a frame with named columns, or declare these alone: [model] contract"
        raise CannotAnswer(msg, hint=hint)


def _first_failing(
    scorer: NativeScorer, contract: Contract, rows: list[Row], error: Exception
) -> tuple[str, Exception]:
    for row in rows:
        try:
            scorer.score(_values(contract, [row]))
        except Exception as reason:  # as above
            return shown(row), reason
    return "one among others, though none alone", error


def _values(contract: Contract, rows: list[Row]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in contract.names) for row in rows]
