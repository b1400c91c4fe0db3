"""An Arrow stream of a stranger as columns of plain values, read here byte by byte.

The readers of Arrow that there are trust its lengths: one that lies makes them end the whole
process, or ask for more memory than there is. Here nothing is taken at its word, and no reader
sees what came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from cd4ml.serving.protocols.arrow_compression import decompressed
from cd4ml.serving.protocols.arrow_messages import Batch, Dictionary, Stream
from cd4ml.serving.protocols.arrow_types import Column, Kind
from cd4ml.serving.protocols.arrow_values import Budget, values_of
from cd4ml.serving.protocols.flatbuffers import Damaged
from cd4ml.serving.request import RequestRefused

_ENTRIES = 1_000_000  # of all dictionaries


class _Cut(NamedTuple):
    """A column of a batch: how many values, and the buffers that hold them."""

    kind: Kind
    n: int
    buffers: list[memoryview]


def _is_empty(cuts: Sequence[tuple[int, int]]) -> bool:
    """Whether the first of some buffers has no bytes."""
    return not cuts or cuts[0][0] == cuts[0][1]


class ColumnReader:
    """Reads some columns of one stream, batch after batch.

    Args:
        stream: Whose messages were read.
        names: The columns that are wanted; others are stepped over.
    """

    def __init__(self, stream: Stream, names: Collection[str]) -> None:
        self._stream = stream
        self._names = names
        self._dictionaries: dict[int, list[Any]] = {}
        self._kinds = {c.dictionary: c for c in stream.columns if c.places and c.name in names}
        self._n_entries = 0
        self._inflated, self._listed, self._written = Budget(), Budget(), Budget()

    def read(self) -> dict[str, list[Any]]:
        """The values of the columns, by name.

        Raises:
            Damaged: If the stream does not hold what it says.
            RequestRefused: If it holds more than a request may.
        """
        found: dict[str, list[Any]] = {name: [] for name in self._names}
        for part in self._stream.parts:
            if isinstance(part, Dictionary):
                self._learn(part)
            elif part.n_rows:
                for column, cut in self._cuts(part, self._stream.columns):
                    found[column.name] += self._values(column, cut)
        return found

    def _learn(self, told: Dictionary) -> None:
        """Keep the values of a dictionary."""
        column = self._kinds.get(told.number)
        if column is None:
            return
        self._n_entries += told.values.n_rows
        if self._n_entries > _ENTRIES:
            msg = f"the dictionaries of the stream have more than {_ENTRIES} values"
            raise RequestRefused(413, msg, hint="send the values that the rows have, and no others")
        alone = Column(column.name, column.kind)
        ((_, cut),) = self._cuts(told.values, [alone])
        values = values_of(cut.kind, cut.buffers, cut.n, self._listed)
        if told.is_more:
            self._dictionaries.setdefault(told.number, []).extend(values)
        else:
            self._dictionaries[told.number] = values

    def _values(self, column: Column, cut: _Cut) -> list[Any]:
        values = values_of(cut.kind, cut.buffers, cut.n, self._written)
        if column.places is None:
            return values
        known = self._dictionaries.get(column.dictionary, [])
        places = Counter(place for place in values if place is not None)
        for place, n in places.items():
            if not 0 <= place < len(known):
                raise Damaged("a row points at no value of its dictionary")
            if isinstance(text := known[place], str):
                self._written.spend(n * len(text.encode()))
        return [None if place is None else known[place] for place in values]

    def _cuts(self, batch: Batch, columns: list[Column]) -> Iterator[tuple[Column, _Cut]]:
        """The buffers of each wanted column of a batch."""
        n_more = iter(batch.n_more)
        place, wanted = 0, []
        for column, n_null in zip(columns, batch.n_null, strict=True):
            more = next(n_more, -1) if column.stored.form == "view" else 0
            if more < 0:
                raise Damaged("a batch does not say where its texts are")
            end = place + column.stored.n_buffers + more
            if column.name in self._names:
                if n_null and column.stored.form != "null" and _is_empty(batch.cuts[place:end]):
                    raise Damaged("a column has nulls, and does not say where")
                wanted.append((column, slice(place, end)))
            place = end
        if place != len(batch.cuts) or next(n_more, None) is not None:
            raise Damaged("a batch has not the buffers that its columns need")
        yield from self._opened(batch, wanted)

    def _opened(
        self, batch: Batch, wanted: list[tuple[Column, slice]]
    ) -> Iterator[tuple[Column, _Cut]]:
        parts = [[batch.body[i:j] for i, j in batch.cuts[where]] for _, where in wanted]
        if batch.codec:
            flat = [buffer for part in parts for buffer in part]
            whole = iter(decompressed(batch.codec, flat, self._inflated))
            parts = [[next(whole) for _ in part] for part in parts]
        for (column, _), part in zip(wanted, parts, strict=True):
            yield column, _Cut(column.stored, batch.n_rows, part)
