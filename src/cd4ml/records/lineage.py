"""The graph of what was made from what."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A thing in the graph: an address, its kind, and the name people know it by.

    The address is a content address, or a ref ("run/3") for things that are
    events rather than contents.
    """

    address: str
    kind: str  # dataset version, run, step output, model version, verdict, release, plan
    name: str
    seen_at: datetime


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """`child` was made from, or decided by, `parent`."""

    child: str
    parent: str
    role: str  # input, output, trained by, judged by, approved by, released as, served by
