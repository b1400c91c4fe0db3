"""What people say of runs and experiments: a name, a note, tags."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import msgspec

from cd4ml.records.experiment import Experiment
from cd4ml.records.run import Run

D = TypeVar("D", Run, Experiment)

_FIELDS = ("name", "note", "tags")


def described(
    old: D,
    *,
    name: str | None,
    note: str | None,
    tags: Mapping[str, str] | None,
    untag: Collection[str],
) -> D:
    """The same thing with what is said of it now.

    Args:
        old: As it was.
        name: Its new name; None to keep it. So with `note`.
        note: What to say about it.
        tags: Added to what it has.
        untag: Keys of tags to take away.
    """
    kept = {key: value for key, value in old.tags.items() if key not in untag}
    changes: dict[str, Any] = {"tags": {**kept, **(tags or {})}}
    changes |= {} if note is None else {"note": note}
    changes |= {} if name is None else {"name": name}
    return msgspec.structs.replace(old, **changes)


def changes_between(old: D, new: D) -> dict[str, Any]:
    """What is said now and was not before, for the ledger."""
    return {
        each: getattr(new, each) for each in _FIELDS if getattr(new, each) != getattr(old, each)
    }
