"""Evidence that lasts: stored under content addresses, and read back to be judged again."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from math import isnan, nan
from typing import TYPE_CHECKING

from cd4ml.errors import NotFound
from cd4ml.gates.evidence import Evidence, evidence_of
from cd4ml.gates.kinds import KINDS
from cd4ml.records.judged import Judged

if TYPE_CHECKING:
    from cd4ml.records.verdict import Verdict
    from cd4ml.store.blobs import Blobs

ROWS = "rows"  # Parquet: the scores of each row, the candidate's and the others'
JUDGED = "judged"  # JSON: `Judged`
SCORE = "score"  # the candidate's column; each other version's is its name


def store_evidence(blobs: Blobs, evidence: Evidence) -> dict[str, str]:
    """Keep all that a judge saw, but for the holdout itself, which is stored by its run.

    Args:
        blobs: Where it is kept.
        evidence: What was judged.

    Returns:
        What lies where, for `Verdict.evidence`: "rows", "judged", and the name of each kind of
        gate that has a record of its own.
    """
    told = Judged(
        target=evidence.target,
        slices=tuple(evidence.slices),
        champion=evidence.champion,
        base_rate=None if isnan(evidence.base_rate) else evidence.base_rate,
        found=evidence.found,
        missing=dict(evidence.missing),
    )
    stored = {ROWS: blobs.put(_parquet(evidence)), JUDGED: blobs.put_record(told)}
    return stored | {kind: blobs.put_record(own) for kind, own in evidence.gathered.items()}


def stored_evidence(blobs: Blobs, verdict: Verdict) -> Evidence:
    """What the judge of a verdict saw: judging it again by the same policy finds the same.

    Args:
        blobs: Where it is kept.
        verdict: One that names its evidence.

    Raises:
        NotFound: If it names none, or a part of it is gone.
        Corrupted: If a part of it is not what was stored.
    """
    import polars as pl

    if not {ROWS, JUDGED} <= verdict.evidence.keys():
        msg = f"{verdict.ref} names no evidence that could be judged again"
        raise NotFound(msg, hint=f"cd4ml gate run/{verdict.run} judges it anew")
    scores = pl.read_parquet(blobs.get(verdict.evidence[ROWS]))
    told = blobs.get_record(verdict.evidence[JUDGED], Judged)
    return evidence_of(
        pl.read_parquet(blobs.get(verdict.holdout)),
        target=told.target,
        score=scores[SCORE],
        base_rate=nan if told.base_rate is None else told.base_rate,
        champion=told.champion,
        others={name: scores[name] for name in scores.columns if name != SCORE},
        slices=told.slices,
    )._replace(found=told.found, missing=told.missing, gathered=_gathered(blobs, verdict.evidence))


def _gathered(blobs: Blobs, stored: Mapping[str, str]) -> dict[str, object]:
    records = {kind: row.record for kind, row in KINDS.items() if row.record is not None}
    return {
        kind: blobs.get_record(stored[kind], record)
        for kind, record in records.items()
        if kind in stored
    }


def _parquet(evidence: Evidence) -> bytes:
    import polars as pl

    columns = {SCORE: evidence.score, **evidence.others}
    written = BytesIO()
    pl.DataFrame(columns).write_parquet(written, compression="zstd")
    return written.getvalue()
