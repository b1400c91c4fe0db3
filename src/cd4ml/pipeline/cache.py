"""Outputs that were computed before, by whichever run, and still are what was stored."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import msgspec

from cd4ml.errors import Corrupted, NotFound
from cd4ml.pipeline.shared_outputs import Known, shared
from cd4ml.pipeline.storage import Kind, Output
from cd4ml.records.run import StepRun
from cd4ml.store import rows

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.database import Database

_LOOKED_AT = 20  # runs of a step that differ in what they read beside their fingerprint


def find_output(
    database: Database,
    blobs: Blobs,
    fingerprint: str,
    *,
    holds: Callable[[dict[str, str]], bool],
    shared_kinds: Collection[Kind] = (),
) -> Known | None:
    """The output of a step with this fingerprint, verified; None if it has to be computed.

    Args:
        database: Where this project's steps are recorded.
        blobs: Where outputs are kept.
        fingerprint: Of the step.
        holds: Whether what an output depended on beside its fingerprint is as it was.
        shared_kinds: The kinds that are also taken from other databases with the same blobs.
    """
    with database.read() as connection:
        found = rows.find(
            connection,
            StepRun,
            fingerprint=fingerprint,
            state="computed",
            limit=_LOOKED_AT,
            newest_first=True,
        )
    for known in found:
        if not holds(known.beside):
            continue
        try:
            blobs.path(known.output)
        except (NotFound, Corrupted):
            break  # compute it again, unless somebody else has it
        return Known(msgspec.convert((known.kind, known.output), Output), known.beside)
    there = shared(blobs, fingerprint) if shared_kinds else None
    return there if there and there.output.kind in shared_kinds and holds(there.beside) else None
