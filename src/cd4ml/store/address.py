"""Content addresses: what a thing is called is what it contains."""

from __future__ import annotations

from typing import Any

import msgspec

from cd4ml.errors import NotFound
from cd4ml.store.digest import PREFIX, address_of, address_of_file, digest_of, short

__all__ = [
    "PREFIX",
    "address_of",
    "address_of_file",
    "address_of_record",
    "canonical",
    "digest_of",
    "key_of",
    "short",
]


def canonical(thing: Any) -> bytes:
    """The one JSON text of a record or of plain data: sorted keys, no spaces, UTF-8.

    Examples:
        >>> canonical({"b": 1, "a": (2, None)})
        b'{"a":[2,null],"b":1}'
    """
    return msgspec.json.encode(thing, order="sorted")


def address_of_record(thing: Any) -> str:
    """The content address of a record, through its canonical JSON."""
    return address_of(canonical(thing))


def key_of(address: str) -> str:
    """The name under which the bytes of an address lie in their store.

    Raises:
        NotFound: If it is no address.
    """
    digest = address.removeprefix(PREFIX)
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        msg = f"expected a content address blake3:<64 hex digits>, got {address!r}"
        raise NotFound(msg)
    return f"{digest[:2]}/{digest[2:]}"
