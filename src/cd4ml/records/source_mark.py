"""Where a source stood when it was last read."""

from __future__ import annotations

from datetime import datetime

import msgspec


class SourceMark(msgspec.Struct, frozen=True, kw_only=True):
    """What a source said of its own state, and the version that was made of it.

    A source that says the same again (an ETag, the number of a Delta version) is not
    read again, as long as it and the contract are `asked` for in the same words.
    """

    dataset: str
    asked: str  # address of the settings and the contract the version was made under
    state: dict[str, str]  # in the source's own words: {"etag": ...}, {"version": "7"}
    version: int
    read_at: datetime
