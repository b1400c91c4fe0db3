"""What segments have that the log has not, in as few pieces as memory allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cd4ml.store.segment_files import complete_lines

_BATCH_BYTES = 256 * 2**20  # of segments in one commit: bounds the memory of a late collector


class Piece(NamedTuple):
    """What one segment has that the table has not."""

    segment: Path
    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """Where the piece ends in its segment, in bytes."""
        return self.offset + len(self.data)


def batches(drained: Mapping[Path, int]) -> Iterator[list[Piece]]:
    """New complete lines of all segments, in as few batches as memory allows."""
    batch: list[Piece] = []
    n_bytes = 0
    for segment, offset in drained.items():
        piece = Piece(segment, offset, complete_lines(segment, offset))
        if not piece.data:
            continue
        batch.append(piece)
        n_bytes += len(piece.data)
        if n_bytes >= _BATCH_BYTES:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch
