"""Which compiled form of an estimator is served: the first that gives the estimator's answers.

ONNX in single precision answers fastest, in double it survives thresholds that rounding
crosses, and treelite reads an ensemble's trees exactly. Each is tried on the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cd4ml.models import estimator as estimators
from cd4ml.models.graph import Graph
from cd4ml.models.graph_compiled import compile_graph
from cd4ml.models.manifest import COMPILED, TREES, Kind, Parity
from cd4ml.models.onnx import CompiledScorer, compile_estimator
from cd4ml.models.parity import TOLERANCE, Row, compare
from cd4ml.models.treelite import TreeScorer, compile_trees
from cd4ml.records.contract import Contract

_REASON = 200  # characters of a library's message


class _Form(NamedTuple):
    """A way to compile an estimator."""

    name: str  # as people read it
    kind: Kind
    file: str
    compile: Callable[[Any, Contract], bytes]
    scorer: Callable[[bytes, Contract], CompiledScorer | TreeScorer]


_FORMS = (
    _Form("ONNX", "onnx", COMPILED, compile_estimator, CompiledScorer),
    _Form(
        "ONNX in double precision",
        "onnx",
        COMPILED,
        partial(compile_estimator, is_double=True),
        CompiledScorer,
    ),
    _Form("treelite", "treelite", TREES, compile_trees, TreeScorer),
)


_GRAPH_FORMS = (_Form("ONNX", "onnx", COMPILED, compile_graph, CompiledScorer),)


class Chosen(NamedTuple):
    """What is served: a compiled form, or the estimator itself (`native`, without a file).

    `parity` is of the form that is served, else of the first; `refused` says of every form
    before it why it is not (its name -> the reason).
    """

    kind: Kind
    file: str
    model: bytes
    parity: Parity
    refused: dict[str, str]


def choose(
    fitted: Any,
    contract: Contract,
    rows: list[Row],
    answers: NDArray[np.float64],
    *,
    n_probes: int,
) -> Chosen:
    """The first form that gives the estimator's answers to all rows.

    Args:
        fitted: The estimator.
        contract: What the rows keep.
        rows: As requests carry them.
        answers: What the estimator answers, shape (rows,); finite.
        n_probes: How many of the rows were made up.
    """
    refused: dict[str, str] = {}
    first: Parity | None = None
    for form in _GRAPH_FORMS if isinstance(fitted, Graph) else _FORMS:
        model, parity = _tried(form, fitted, contract, rows, answers)
        parity = msgspec.structs.replace(parity, n_probes=n_probes)
        first = first or parity
        if not parity.refusal:
            return Chosen(form.kind, form.file, model, parity, refused)
        refused[form.name] = parity.refusal
    assert first is not None
    return Chosen("native", "", b"", first, refused)


def _tried(
    form: _Form, fitted: Any, contract: Contract, rows: list[Row], answers: NDArray[np.float64]
) -> tuple[bytes, Parity]:
    try:
        model = form.compile(fitted, contract)
        values = [tuple(row[name] for name in contract.names) for row in rows]
        compiled = np.array(form.scorer(model, contract).score(values))
    except Exception as error:  # skl2onnx, onnxruntime and treelite raise classes of all kinds
        reason = next(iter(str(error).strip().splitlines()), "")[:_REASON]
        refusal = f"it does not compile: {type(error).__name__}: {reason}"
        return b"", Parity(n_rows=len(rows), n_probes=0, tolerance=TOLERANCE, refusal=refusal)
    are_probabilities = estimators.is_classifier(fitted)
    return model, compare(answers, compiled, n_probes=0, are_probabilities=are_probabilities)
