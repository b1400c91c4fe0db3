"""The candidate's contract, runtime and answers beside the version in charge."""

from __future__ import annotations

from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from cd4ml.errors import InvalidInput
from cd4ml.loop.candidate import project_modules
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.gathering.captured import Captured, captured, of_any
from cd4ml.models.compatibility import (
    changes,
    is_raised_enough,
    needed,
    next_version,
    raised,
    version_of,
)
from cd4ml.models.contract import CompiledContract
from cd4ml.models.frames import to_rows
from cd4ml.models.manifest import Manifest
from cd4ml.records.contract import Contract
from cd4ml.records.contract_gate import ContractEvidence, Moves, Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cd4ml.models.runtime import Runtime
    from cd4ml.store.blobs import Blobs

_TIMED = 200  # single answers
_WARM = 20  # of them before the clock runs
_TOLD = 20  # kinds of refusals
_MEGABYTE = 1_000_000


class _Replayed(NamedTuple):
    """What a candidate does with requests: why it refuses some, and what it answers to others."""

    refusals: tuple[Refusal, ...]
    n_refused: int
    n_failed: int
    masked: tuple[str, ...]
    taken: list[dict[str, Any]]  # whole: none of their fields is masked
    differences: NDArray[np.float64]  # of those that were answered
    n_flips: int


def gather_contract(asked: Asked, gates: tuple[Any, ...]) -> ContractEvidence:
    """The changes of the contract, the newest requests put to the candidate, and its budgets.

    Raises:
        ConfigurationError: If a gate names an environment that is not there.
    """
    contract = asked.runtime.contract
    found = captured(asked, gates)
    played = _replayed(asked, found)
    timed = played.taken or to_rows(contract, asked.holdout)
    latency, n_timed = _latency(asked, timed) if contract.latency_ms is not None else (None, 0)
    said = _versions(asked, contract)
    return msgspec.structs.replace(
        said,
        environment=found.environment,
        n_requests=found.predictions.height,
        n_refused=played.n_refused,
        refusals=played.refusals,
        n_failed=played.n_failed,
        masked=played.masked,
        moves=_moves(played, is_probability(contract)),
        latency_ms=latency,
        latency_budget_ms=contract.latency_ms,
        n_timed=n_timed,
        size_mb=size_mb(asked.project.blobs, asked.artifact),
        size_budget_mb=contract.size_mb,
    )


def is_probability(contract: Contract) -> bool:
    """Whether the contract says that an answer is a probability."""
    output = contract.output
    return output is not None and (output.minimum, output.maximum) == (0, 1)


def size_mb(blobs: Blobs, artifact: str) -> float:
    """How many megabytes (of 1,000,000 bytes) a server fetches of a packaged model."""
    manifest = blobs.get_record(artifact, Manifest)
    return sum(blobs.path(address).stat().st_size for address in manifest.served) / _MEGABYTE


def p99_ms(runtime: Runtime, rows: list[dict[str, Any]]) -> tuple[float, int]:
    """What 99 of 100 single answers of a runtime stay below, in ms, and how many were timed."""
    asked = [rows[i % len(rows)] for i in range(_TIMED + _WARM)]
    taken = []
    for row in asked:
        began = perf_counter()
        runtime.score([row])
        taken.append((perf_counter() - began) * 1000)
    return float(np.quantile(taken[_WARM:], 0.99)), _TIMED


def _versions(asked: Asked, contract: Contract) -> ContractEvidence:
    said = ContractEvidence(name=contract.name, version=contract.version)
    champion = asked.champion
    if champion is None or not champion.contract:
        return said
    before = asked.project.blobs.get_record(champion.contract, Contract)
    said = msgspec.structs.replace(said, before=champion.ref, before_version=before.version)
    try:
        old, new = version_of(before), version_of(contract)
    except InvalidInput as error:
        return msgspec.structs.replace(said, problem=error.message)
    found = changes(before, contract)
    bump = needed(found)
    return msgspec.structs.replace(
        said,
        changes=found,
        needed=bump,
        is_raised=is_raised_enough(old, new, bump),
        is_major_raised=raised(old, new) == "major",
        next_version=str(next_version(old, bump)),
    )


def _replayed(asked: Asked, found: Captured) -> _Replayed:
    compiled = CompiledContract(asked.runtime.contract)
    requests, masked = found.requests(), found.masked(asked.runtime.contract.names)
    broken = [
        [v for v in compiled.check(request) if v.field not in hidden]
        for request, hidden in zip(requests, masked, strict=True)
    ]
    kinds = Counter(kind for wrong in broken for kind in {(v.field, v.expected) for v in wrong})
    refusals = tuple(
        Refusal(field=field, expected=expected, n_requests=n)
        for (field, expected), n in kinds.most_common(_TOLD)
    )
    blank = dict.fromkeys(asked.runtime.contract.names)
    places = [i for i, wrong in enumerate(broken) if not wrong and not masked[i]]
    taken = [blank | requests[i] for i in places]
    with project_modules(asked.project):
        again = _scores(asked.runtime, taken)
    was = found.predictions["score"].to_numpy()[places]
    is_answered = np.isfinite(again)
    crosses = (again[is_answered] >= 0.5) != (was[is_answered] >= 0.5)
    return _Replayed(
        refusals=refusals,
        n_refused=sum(map(bool, broken)),
        n_failed=int((~is_answered).sum()),
        masked=of_any(masked),
        taken=taken,
        differences=np.abs(again - was)[is_answered],
        n_flips=int(crosses.sum()),
    )


def _scores(runtime: Runtime, rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    """The answer to each row; NaN where there is none. One bad row does not fail the others."""
    if not rows:
        return np.empty(0)
    try:
        return np.array(runtime.score(rows), dtype=np.float64)
    except Exception:  # whatever a model raises
        if len(rows) == 1:
            return np.array([np.nan])
        half = len(rows) // 2
        return np.concatenate([_scores(runtime, rows[:half]), _scores(runtime, rows[half:])])


def _moves(played: _Replayed, is_of_probabilities: bool) -> Moves | None:
    moved = played.differences
    if moved.size == 0:
        return None
    return Moves(
        n_answers=int(moved.size),
        mean=float(moved.mean()),
        median=float(np.median(moved)),
        most=float(np.quantile(moved, 0.95)),
        largest=float(moved.max()),
        n_flips=played.n_flips if is_of_probabilities else None,
    )


def _latency(asked: Asked, rows: list[dict[str, Any]]) -> tuple[float, int]:
    with project_modules(asked.project):
        return p99_ms(asked.runtime, rows)
