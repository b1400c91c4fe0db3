"""Profiles of versions: kept as blobs, and made from what is new since the version before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from cd4ml.data.profile import can_be_added, profile, together
from cd4ml.errors import Corrupted, NotFound
from cd4ml.records.profile import Bins, Part, Profile

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.store.blobs import Blobs


class Profiling:
    """The profile of a version that is being made, beside that of the version before.

    The files that both have in common, read alike, keep their profile; `fresh` are the
    others. A version's first profile settles the bins of all that follow.

    Args:
        blobs: Where profiles are kept.
        before: The address of the profile of the version before; "" if there is none.
        digests: Of the version's files, in the order in which they are read.
        reading: The address of how they are read.
        schema: Names and types of the columns, as they are now.
    """

    def __init__(
        self,
        blobs: Blobs,
        before: str,
        digests: Sequence[str],
        *,
        reading: str,
        schema: Mapping[str, str],
    ) -> None:
        self._blobs = blobs
        self._digests = tuple(digests)
        self._reading = reading
        self._before = _found(blobs, before)
        self._is_as_before = [(c.name, c.type) for c in self._before.columns] == [*schema.items()]

    @property
    def bins(self) -> dict[str, Bins]:
        """Name of a column -> the bins of before."""
        return {column.name: column.bins for column in self._before.columns}

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the profile of before that are still there as they were."""
        left, kept = Counter(self._digests), []
        for part in self._before.parts if self._is_as_before else ():
            files = Counter(part.files)
            if part.reading == self._reading and files <= left:
                left -= files
                kept.append(part)
        return tuple(kept)

    @cached_property
    def fresh(self) -> tuple[int, ...]:
        """The places of the files whose rows have to be read."""
        known = Counter(digest for part in self.parts for digest in part.files)
        places = []
        for place, digest in enumerate(self._digests):
            if known[digest]:
                known[digest] -= 1
            else:
                places.append(place)
        return tuple(places)

    def keep(self, rows: pl.LazyFrame, everything: pl.LazyFrame) -> Profile:
        """Profile the rows of the fresh files, and keep that as a part of the whole.

        Args:
            rows: Those of the fresh files.
            everything: Those of all files: read only if the bins of a part are others.

        Returns:
            The whole; its parts are stored, it is not.
        """
        try:
            return self._kept(rows, everything)
        except (Corrupted, NotFound):  # a part of before is lost: what can be made is made again
            return self._whole((), self._part(profile(everything, self.bins), self._digests))

    def _kept(self, rows: pl.LazyFrame, everything: pl.LazyFrame) -> Profile:
        if not self.fresh and self.parts:
            return self._whole(self.parts, None)
        made = profile(rows, self.bins)
        files = tuple(self._digests[place] for place in self.fresh)
        if self.parts and not can_be_added(self._sum(self.parts), made):
            made, files = profile(everything, self.bins), self._digests
            return self._whole((), self._part(made, files))
        return self._whole(self.parts, self._part(made, files))

    def _part(self, made: Profile, files: tuple[str, ...]) -> Part:
        return Part(files=files, reading=self._reading, profile=self._blobs.put_record(made))

    def _whole(self, kept: tuple[Part, ...], new: Part | None) -> Profile:
        parts = (*kept, new) if new else kept
        summed = [self._sum(kept)] if kept else []
        if new:
            summed.append(self._blobs.get_record(new.profile, Profile))
        return msgspec.structs.replace(together(summed), parts=parts)

    def _sum(self, parts: tuple[Part, ...]) -> Profile:
        if parts == self._before.parts:
            return self._before
        return together(self._blobs.get_record(part.profile, Profile) for part in parts)


def profile_of(blobs: Blobs, address: str) -> Profile:
    """The profile at an address.

    Raises:
        NotFound: If the version has none.
        Corrupted: If its bytes are not what was stored.
    """
    if not address:
        raise NotFound("this version has no profile")
    return blobs.get_record(address, Profile)


def _found(blobs: Blobs, address: str) -> Profile:
    """The profile of before; without it everything is as if there were no version before."""
    try:
        return profile_of(blobs, address)
    except (Corrupted, NotFound):
        return Profile(n_rows=0, columns=())
