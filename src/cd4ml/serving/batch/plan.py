"""What a batch is: which rows of which files, by which version, and what of it is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from cd4ml.errors import Conflict, InvalidInput
from cd4ml.records.model_version import ModelVersion
from cd4ml.serving.batch.place import Place

Policy = Literal["refuse", "aside"]

NOTES = "_cd4ml"  # what readers of tables pass over
_PLAN, _DONE, _FINISHED = f"{NOTES}/plan.json", f"{NOTES}/done", f"{NOTES}/finished.json"


class Source(msgspec.Struct, frozen=True):
    """One file, as it was when the batch began: `stamp` changes with its content."""

    url: str
    stamp: str
    n_rows: int


class Piece(msgspec.Struct, frozen=True):
    """Some consecutive rows of one file."""

    name: str
    url: str
    first: int
    n_rows: int


class Done(msgspec.Struct, frozen=True):
    """How a piece ended: rows scored, rows set aside, and values forgiven in those scored."""

    name: str
    n_scored: int
    n_aside: int
    forgiven: dict[str, dict[str, int]] = {}  # field -> in what way -> how many values


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A batch, kept beside its output: whoever goes on with it does the same."""

    asked: str  # the name by which the version was asked for
    version: ModelVersion
    sources: tuple[Source, ...]
    piece_rows: int
    columns: tuple[str, ...]  # of the input, that the output has; none: all
    score: str  # the column of the answers

    @property
    def pieces(self) -> list[Piece]:
        """All pieces, in order."""
        return [
            Piece(f"part-{i:05}-{first:012}", source.url, first, n_rows)
            for i, source in enumerate(self.sources)
            for first, n_rows in _cut(source.n_rows, self.piece_rows)
        ]


def begun(place: Place, wanted: Plan) -> Plan:
    """The plan of a place: the one that was begun there, else what is wanted from now on.

    A batch that was begun goes on with its version, wherever the name points by now.

    Raises:
        Conflict: If another batch was begun there, or a file has changed since.
        InvalidInput: If there is something else.
    """
    known = place.read(_PLAN, Plan)
    if known is None:
        if found := place.names():
            msg = f"{place.url} is not empty: it has {found[0]}"
            raise InvalidInput(msg, hint="name another folder: --output FOLDER")
        place.put(_PLAN, msgspec.json.encode(wanted))
        return wanted
    same = msgspec.structs.replace(wanted, version=known.version)
    if known != same:
        changed = next(name for name in Plan.__struct_fields__ if _differs(known, same, name))
        said = {"asked": "another model was asked for", "sources": "other files were read"}
        what = said.get(changed, f"{changed} was {getattr(known, changed)}")
        msg = f"in {place.url} another batch was begun: {what}"
        raise Conflict(msg, hint="name another folder: --output FOLDER")
    return known


def forget_unless_written(place: Place) -> None:
    """Let a batch that ended before any row was written be begun otherwise."""
    if place.names() == [_PLAN]:
        place.remove(_PLAN)


def done(place: Place) -> dict[str, Done]:
    """Name -> how it ended, of all pieces that did."""
    finished = place.read(_FINISHED, tuple[Done, ...])
    if finished is not None:
        return {each.name: each for each in finished}
    found = (place.read(name, Done) for name in place.names(_DONE))
    return {each.name: each for each in found if each is not None}


def note_done(place: Place, ended: Done) -> None:
    """A piece has ended, and its rows are written."""
    place.put(f"{_DONE}/{ended.name}.json", msgspec.json.encode(ended))


def note_finished(place: Place, every: Iterable[Done]) -> None:
    """All pieces have ended."""
    place.put(_FINISHED, msgspec.json.encode(tuple(every)))


def _differs(known: Plan, wanted: Plan, name: str) -> bool:
    return bool(getattr(known, name) != getattr(wanted, name))


def _cut(n_rows: int, at_once: int) -> Sequence[tuple[int, int]]:
    return [(first, min(at_once, n_rows - first)) for first in range(0, n_rows, at_once)]
