"""A recipe that takes answers apart, as a packaged model takes it along: read without msgspec."""

from __future__ import annotations

import json

import msgspec

from cd4ml.models.explain.fast import Boosted, Recipe

MOST_BYTES = 8 * 2**20  # beyond that a model would be dwarfed by what explains it


def taken_along(recipe: bytes) -> bytes:
    """One line of JSON, then the arrays that it gives the lengths of; b"" if it cannot be had.

    That is so where the library that made the model takes it apart, and of huge forests.

    Args:
        recipe: Of `fast.compile_explainer`.
    """
    found = msgspec.msgpack.decode(recipe, type=Recipe)
    if isinstance(found.of, Boosted):
        return b""
    plain = msgspec.to_builtins(found, builtin_types=(bytes,))
    paths = plain["of"].get("paths", {})
    arrays = {name: value for name, value in paths.items() if isinstance(value, bytes)}
    paths |= {name: len(value) for name, value in arrays.items()}
    written = json.dumps(plain).encode() + b"\n" + b"".join(arrays.values())
    return written if len(written) <= MOST_BYTES else b""
