"""A packaged model, loaded and ready to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.errors import Corrupted
from cd4ml.models.fitted import fitted_in
from cd4ml.models.leniency import mender
from cd4ml.models.manifest import (
    COMPILED,
    CONTRACT,
    EXPLAINER,
    PROBES,
    TREES,
    Kind,
    Manifest,
    Probes,
)
from cd4ml.models.native import NativeScorer
from cd4ml.models.onnx import CompiledScorer
from cd4ml.models.pace import Pace
from cd4ml.models.treelite import TreeScorer
from cd4ml.models.trust import IsTrusted
from cd4ml.records.contract import Contract

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from cd4ml.models.explain.fast import Explainer
    from cd4ml.store.blobs import Blobs


class AnswersDiffer(Corrupted):
    """A model that answers otherwise than it did where it was packaged."""


_TRIES = 3


class Runtime:
    """A model that answers rows; immutable, safe to share between threads.

    `artifact` is the address it was loaded from, `contract` what its rows keep, `kind` is
    `onnx`, `treelite` or `native`. Rows are not checked here; what their contract forgives is
    scored as it says, clipped or as its default.
    `example` is one of those it was packaged with. `explainer` takes answers apart; it is None
    where that takes too long, and `unexplained` says why. `pace` says how long its calls take.
    """

    def __init__(
        self,
        scorer: CompiledScorer | TreeScorer | NativeScorer,
        *,
        artifact: str,
        contract: Contract,
        kind: Kind,
        example: dict[str, Any],
        explainer: Explainer | None = None,
        unexplained: str = "nothing was packaged that could",
    ) -> None:
        self.explainer = explainer
        self.unexplained = unexplained
        self.example = example
        self.artifact = artifact
        self.contract = contract
        self.kind = kind
        self.pace = Pace()
        # rows as tuples in the order of the contract's fields; what is compiled always takes the same
        self.score_values = self.pace.watching(scorer.score) if kind == "native" else scorer.score
        self.score_frame: Callable[[pl.DataFrame], NDArray[np.float64]] = scorer.score_frame
        mend = mender(contract.fields)
        if mend is not None:  # whoever asks, and however: rows are scored as the contract says
            score = self.score_values
            self.score_values = lambda values: score([mend(row) for row in values])
            self.score_frame = lambda frame: scorer.score_frame(_mended(contract, frame))
        self._get = _getter(contract.names)

    @property
    def is_quick(self) -> bool:
        """Whether a call of a few rows takes so little that others may wait for it meanwhile.

        A native model tells by its last hundred calls, a compiled one by the row that was tried when
        it was loaded.
        """
        return self.pace.is_quick

    def score(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """The answer to each row of JSON values.

        Returns:
            The probability of the second class, or the predicted value.
        """
        return self.score_values([self._get(row) for row in rows])


def _mended(contract: Contract, frame: pl.DataFrame) -> pl.DataFrame:
    from cd4ml.models.tables import mended

    return mended(contract.fields, frame)


def load(blobs: Blobs, artifact: str, *, is_trusted: IsTrusted) -> Runtime:
    """Load a packaged model, every part verified by its digest, and try it.

    The probes packaged with it are answered once, which warms it and proves that the
    libraries here answer as those did where it was packaged.

    Args:
        blobs: Where its parts are.
        artifact: Address of its manifest.
        is_trusted: Whether a pickle at an address may be loaded; asked only for native models.

    Raises:
        NotFound: If a part is missing.
        ConfigurationError: If treelite serves it and is not installed here.
        Corrupted: If a part is not what was packaged, or (`AnswersDiffer`) answers differently here.
        Refused: If the estimator was made elsewhere and nobody answers for it.
    """
    manifest = blobs.get_record(artifact, Manifest)
    contract = blobs.get_record(manifest.files[CONTRACT], Contract)
    known = blobs.get_record(manifest.files[PROBES], Probes)
    scorer = _scorer(blobs, manifest, contract, is_trusted)
    runtime = Runtime(
        scorer,
        artifact=artifact,
        contract=contract,
        kind=manifest.kind,
        example=known.rows[-1],
        explainer=_explainer(blobs, manifest, contract),
        unexplained=manifest.unexplained or "nothing was packaged that could",
    )
    answers = runtime.score(known.rows)
    _refuse_unless_same(runtime, manifest, answers, known.scores)
    _refuse_unless_same(runtime, manifest, _timed(runtime), known.scores[-1:])
    return runtime


def _timed(runtime: Runtime) -> list[float]:
    """Let its pace begin with one row: the probes are many, and the first call loads libraries.

    What is compiled is timed never again, so a machine that was busy just then does not count.
    """
    for _ in range(1 if runtime.kind == "native" else _TRIES):
        begun = perf_counter()
        answer = runtime.score([runtime.example])
        runtime.pace.begin(perf_counter() - begun)
        if runtime.is_quick:
            break
    return answer


def _explainer(blobs: Blobs, manifest: Manifest, contract: Contract) -> Explainer | None:
    address = manifest.files.get(EXPLAINER)
    if address is None:
        return None
    from cd4ml.models.explain.fast import open_explainer

    return open_explainer(blobs.get(address), contract)


def _scorer(
    blobs: Blobs, manifest: Manifest, contract: Contract, is_trusted: IsTrusted
) -> CompiledScorer | TreeScorer | NativeScorer:
    if manifest.kind == "onnx":
        return CompiledScorer(blobs.get(manifest.files[COMPILED]), contract)
    if manifest.kind == "treelite":
        return TreeScorer(blobs.get(manifest.files[TREES]), contract)
    return NativeScorer(fitted_in(blobs, manifest, is_trusted=is_trusted), contract)


def _refuse_unless_same(
    runtime: Runtime, manifest: Manifest, answers: Sequence[float], packaged: Sequence[float]
) -> None:
    scale = np.maximum(1.0, np.abs(packaged))
    difference = float(np.max(np.abs(np.subtract(answers, packaged)) / scale))
    if not difference <= manifest.parity.tolerance:
        raise _differs(runtime, manifest, difference)


def _differs(runtime: Runtime, manifest: Manifest, difference: float) -> AnswersDiffer:
    from cd4ml.models.package import installed

    by = f"by {difference:.2g}, more than {manifest.parity.tolerance:g}"
    if manifest.libraries == installed(manifest.libraries):
        msg = (
            f"the model {runtime.artifact} gives the same row another answer when it is asked again"
        )
        hint = (
            "an answer comes from its row alone: not from chance, from rows beside it, their order"
        )
        return AnswersDiffer(f"{msg}, among other rows: {by}", hint=f"{hint}, or calls before")
    then = ", ".join(f"{name} {number}" for name, number in manifest.libraries.items())
    msg = f"the model {runtime.artifact} answers differently here: {by}"
    hint = f"it was packaged with {then}; install these or package it again"
    return AnswersDiffer(msg, hint=hint)


def _getter(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) == 1:
        return lambda row: (row[names[0]],)
    return itemgetter(*names)
