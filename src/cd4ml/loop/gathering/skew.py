"""Captured requests beside what the candidate learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.errors import Cd4mlError
from cd4ml.loop.candidate import modules_for
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.gathering.captured import Captured, captured, of_any, without
from cd4ml.loop.gathering.made_again import made_again, require_step
from cd4ml.models.fitted import fitted_in
from cd4ml.models.manifest import CONTRACT, Manifest
from cd4ml.models.native import NativeScorer
from cd4ml.models.trust import trusted_in
from cd4ml.models.violations import expected_of, keeps
from cd4ml.monitoring.profile import column_profile, counts_in
from cd4ml.records.contract import Contract, Field
from cd4ml.records.skew_gate import AskedAgain, ServedColumn, SkewEvidence

if TYPE_CHECKING:
    import polars as pl

_VERSIONS = 3  # whose answers are asked again: those with the most of them
_KEPT = 100  # differences
_TOLD = 3  # fields in one reason


def gather_skew(asked: Asked, gates: tuple[Any, ...]) -> SkewEvidence:
    """The newest requests: their types, their columns, and their answers given once more.

    Raises:
        ConfigurationError: If a gate names an environment or a step that is not there.
    """
    for gate in gates:
        if gate.step:
            require_step(asked, gate)
    found = captured(asked, gates)
    if found.predictions.is_empty():
        return SkewEvidence(environment=found.environment)
    times = found.predictions["answered_at"]
    masked = found.masked(asked.runtime.contract.names)
    n_misfit, misfit = _misfit(asked.runtime.contract, found.requests(), masked)
    return SkewEvidence(
        environment=found.environment,
        n_requests=found.predictions.height,
        first_at=times.min(),  # type: ignore[arg-type]
        last_at=times.max(),  # type: ignore[arg-type]
        n_misfit=n_misfit,
        misfit=misfit,
        masked=of_any(masked),
        columns=() if n_misfit else tuple(_columns(asked, found, of_any(masked))),
        answers=tuple(_answers(asked, found)),
        made=tuple(each for gate in gates if gate.step for each in made_again(asked, found, gate)),
    )


def _columns(asked: Asked, found: Captured, masked: Sequence[str]) -> Iterator[ServedColumn]:
    """Each column of the candidate's contract that training and record have, but for times."""
    contract = without(asked.runtime.contract, masked)
    if not contract.fields:
        return
    requests = asked.project.log.inputs(found.predictions, contract)
    for field in contract.fields:
        if field.type != "datetime" and field.name in asked.training.columns:
            yield _column(asked.training[field.name], requests[field.name])


def _misfit(
    contract: Contract, requests: list[dict[str, Any]], masked: list[set[str]]
) -> tuple[int, str]:
    """How many requests hold values of other types than the contract's fields, and in words.

    Limits are not asked here: of what a field may be, only the type is what training had.
    """
    plain = {f.name: Field(f.name, f.type, nullable=True) for f in contract.fields}
    wrong = Counter[str]()
    n_wrong = 0
    for request, hidden in zip(requests, masked, strict=True):
        seen = ((n, value) for n, value in request.items() if n in plain and n not in hidden)
        names = [n for n, value in seen if not keeps(plain[n], value)]
        wrong.update(names)
        n_wrong += bool(names)
    if not n_wrong:
        return 0, ""
    told = "; ".join(
        f"{name}: expected {expected_of(plain[name]).removesuffix(', or null')} ({n:,} requests)"
        for name, n in wrong.most_common(_TOLD)
    )
    words = f"{n_wrong:,} of {len(requests):,} requests hold values of other types: {told}"
    return n_wrong, words


def _column(training: pl.Series, served: pl.Series) -> ServedColumn:
    bins = column_profile(training)
    return ServedColumn(
        column=training.name,
        n_served=len(served),
        missing_training=_n_missing(training) / max(1, len(training)),
        n_missing=_n_missing(served),
        n_unseen=_n_unseen(training, served),
        training=bins.counts,
        served=tuple(int(count) for count in counts_in(bins, served)),
    )


def _n_missing(column: pl.Series) -> int:
    n_nan = int(column.is_nan().sum()) if column.dtype.is_float() else 0
    return column.null_count() + n_nan


def _n_unseen(training: pl.Series, served: pl.Series) -> int:
    """Served values that are no training row's text, or lie outside the training rows' numbers."""
    import polars as pl

    if training.dtype.is_numeric():
        known = training.cast(pl.Float64).fill_nan(None)
        values = served.cast(pl.Float64).fill_nan(None)
        low, high = known.min(), known.max()
        if low is None or high is None:
            return len(values) - values.null_count()
        return int(((values < low) | (values > high)).fill_null(value=False).sum())
    texts = training.cast(pl.String).unique().drop_nulls()
    return int((~served.cast(pl.String).is_in(texts.implode())).fill_null(value=False).sum())


def _answers(asked: Asked, found: Captured) -> Iterator[AskedAgain]:
    import polars as pl

    by = found.predictions.group_by("model", "number", "artifact").len()
    most = by.sort("len", "number", descending=True).head(_VERSIONS)
    for model, number, artifact, n in most.iter_rows():
        version = f"{model}/{number}"
        rows = found.predictions.filter(pl.col("number") == number, pl.col("artifact") == artifact)
        try:
            yield _again(asked, version, artifact, found._replace(predictions=rows))
        except Cd4mlError as error:
            yield AskedAgain(version=version, n_answers=n, problem=error.discreet or error.message)


def _again(asked: Asked, version: str, artifact: str, found: Captured) -> AskedAgain:
    """The answers of one version, as far as their requests are on record."""
    manifest = asked.project.blobs.get_record(artifact, Manifest)
    contract = asked.project.blobs.get_record(manifest.files[CONTRACT], Contract)
    whole = found.whole(contract.names)
    n, n_masked = whole.predictions.height, found.predictions.height - whole.predictions.height
    masked = of_any(found.masked(contract.names))
    if not n:
        return AskedAgain(version=version, n_answers=0, n_masked=n_masked, masked=masked)
    differences = _differences(asked, manifest, contract, whole)
    known = differences[np.isfinite(differences)]
    return AskedAgain(
        version=version,
        n_answers=n,
        differences=tuple(sorted(known.tolist(), reverse=True)[:_KEPT]),
        n_undefined=n - known.size,
        n_masked=n_masked,
        masked=masked,
    )


def _differences(
    asked: Asked, manifest: Manifest, contract: Contract, found: Captured
) -> np.ndarray[Any, Any]:
    """How far the fitted estimator is from each answer on record; relative above 1."""
    blobs = asked.project.blobs
    is_trusted = trusted_in(asked.project.database)
    requests = found.requests()
    values = [[request.get(name) for name in contract.names] for request in requests]
    with modules_for(asked.project, manifest):
        fitted = fitted_in(blobs, manifest, is_trusted=is_trusted)
        again = np.array(NativeScorer(fitted, contract).score(values))
    recorded = found.predictions["score"].to_numpy()
    differences: np.ndarray[Any, Any] = np.abs(again - recorded) / np.maximum(1.0, np.abs(again))
    return differences
