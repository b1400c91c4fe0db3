"""Who acts."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """A person or a system that may act, with the roles that say on what.

    `admin` may add people and give roles; every other role is a name that the
    project's policy uses (`roles = ["release-manager"]`).
    """

    name: str
    kind: Literal["person", "system"] = "person"
    roles: tuple[str, ...] = ()
    added_at: datetime
    added_by: str
    removed_at: datetime | None = None  # acts no more; what they did stays theirs
