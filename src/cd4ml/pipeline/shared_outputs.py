"""What steps have given anywhere: kept beside the outputs, for everybody who has the same blobs.

An entry says which output a fingerprint gave. Who clones a project, or works on another
machine or branch with another database, finds there what others have computed. An output is
taken only if its bytes are what its address says. That the entry tells the truth rests on
who may write to the blob store: whoever may, decides what others load. Loading a model runs
code, so models are taken only where `[store] share_models` says that those people are trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cd4ml.errors import Corrupted, NotFound
from cd4ml.pipeline.storage import Kind, Output
from cd4ml.store.address import PREFIX, canonical

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a step with a fingerprint gave."""

    fingerprint: str
    kind: Kind
    output: str
    beside: dict[str, str] = {}  # what else it read -> digest


class Known(NamedTuple):
    """An output, and what it depended on beside its fingerprint."""

    output: Output
    beside: dict[str, str]


def share(
    blobs: Blobs, fingerprint: str, output: Output, beside: dict[str, str] | None = None
) -> None:
    """Tell others what a fingerprint gave; what was said before is replaced."""
    entry = Entry(
        fingerprint=fingerprint, kind=output.kind, output=output.address, beside=beside or {}
    )
    blobs.put_entry(_name(fingerprint), canonical(entry))


def shared(blobs: Blobs, fingerprint: str) -> Known | None:
    """What a fingerprint gave somewhere, verified; None if nobody knows, or it is lost."""
    said = blobs.get_entry(_name(fingerprint))
    if said is None:
        return None
    try:
        entry = msgspec.json.decode(said, type=Entry)
        if entry.fingerprint != fingerprint:
            return None
        blobs.path(entry.output)
    except (msgspec.MsgspecError, NotFound, Corrupted):
        return None  # compute it again
    return Known(Output(entry.kind, entry.output), entry.beside)


def _name(fingerprint: str) -> str:
    digest = fingerprint.removeprefix(PREFIX)
    return f"steps/{digest[:2]}/{digest[2:]}"
