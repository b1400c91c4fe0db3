"""Where the bytes of a dataset's file are kept."""

from __future__ import annotations

import msgspec


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes with this digest: a stretch of one object in the store.

    Small files lie side by side in one object (a pack), large ones are an object of their own
    with `offset` 0. An object's name is given once and never again, so what somebody
    removes cannot be what somebody else has just stored.
    """

    digest: str
    object: str
    offset: int  # bytes from the beginning of the object
    size: int  # bytes
