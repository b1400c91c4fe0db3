"""From a fitted estimator to a model that can be served: compiled where that is safe."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.errors import InvalidInput
from cd4ml.models import estimator as estimators
from cd4ml.models.compiled import choose
from cd4ml.models.contract import CompiledContract, strict
from cd4ml.models.explain.fast import NotFast, compile_explainer
from cd4ml.models.manifest import (
    CONTRACT,
    ESTIMATOR,
    EXPLAINER,
    JOBLIB,
    PROBES,
    Kind,
    Manifest,
    Probes,
)
from cd4ml.models.native import NativeScorer
from cd4ml.models.parity import Row, probes
from cd4ml.models.trust import IsTrusted, refuse_unless_trusted
from cd4ml.models.violations import shown
from cd4ml.records.contract import Contract

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from cd4ml.store.blobs import Blobs

_LIBRARIES = ("scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy", "polars")
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

    Raises:
        Refused: If the estimator was made elsewhere and nobody answers for it.
        ContractViolated: If the sample does not keep the contract.
        CannotAnswer: If there is no sample, or the estimator fails on a row that the contract allows.
    """
    from cd4ml.models.frames import to_rows

    rows = to_rows(contract, sample)
    CompiledContract(strict(contract)).refuse_unless_kept(rows)
    if not rows:
        msg = "a model cannot be packaged without a sample of the rows it will answer"
        raise CannotAnswer(msg, hint="give at least one row")
    refuse_unless_trusted(estimator, is_trusted)
    fitted = estimators.load(blobs.get(estimator), is_joblib=is_joblib)
    edges = probes(contract, rows)
    asked = [*edges, *rows]
    answers = _native_answers(NativeScorer(fitted, contract), contract, asked)
    chosen = choose(fitted, contract, asked, answers, n_probes=len(edges))
    every = -(-len(asked) // _KEPT)
    kept = Probes(rows=asked[::every], scores=answers[::every].tolist())
    files = {
        JOBLIB if is_joblib else ESTIMATOR: estimator,
        CONTRACT: blobs.put_record(contract),
        PROBES: blobs.put_record(kept),
    }
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
            libraries=libraries() | _treelite_of(chosen.kind),
            features=contract.names,
            refused=chosen.refused,
            unexplained=unexplained,
        )
    )


def libraries() -> dict[str, str]:
    """Name -> version of the libraries that decide what a model answers."""
    return dict(_libraries())


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
